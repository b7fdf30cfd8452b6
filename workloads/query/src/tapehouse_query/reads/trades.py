"""Trades, newest first, each once."""

from dataclasses import dataclass
from typing import NamedTuple

from tapehouse_query import tables
from tapehouse_query.reads.conditions import Condition, OneOf, Range, TimeRange
from tapehouse_query.reads.engine import Session
from tapehouse_query.reads.newest import Newest
from tapehouse_query.reads.slices import Slice


class Trade(NamedTuple):
    """One trade; `timestamp` in microseconds since 1970 UTC."""

    trade_id: str
    symbol: str
    price: float
    quantity: int
    buy_order_id: str | None
    sell_order_id: str | None
    buyer_agent_id: str | None
    seller_agent_id: str | None
    is_aggressive_buy: bool | None
    timestamp: int
    company_name: str | None
    sector: str | None


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """Which trades; None = any. Bounds are included; times in microseconds."""

    symbols: tuple[str, ...] | None = None
    is_aggressive_buy: bool | None = None
    min_price: float | None = None
    max_price: float | None = None
    min_quantity: int | None = None
    max_quantity: int | None = None
    start: int | None = None
    end: int | None = None

    def conditions(self) -> list[Condition]:
        """The filter as predicates."""
        found: list[Condition] = [TimeRange("timestamp", self.start, self.end)]
        if self.symbols is not None:
            found.append(OneOf("symbol", self.symbols))
        if self.is_aggressive_buy is not None:
            found.append(OneOf("is_aggressive_buy", (self.is_aggressive_buy,)))
        found.append(Range("price", self.min_price, self.max_price))
        found.append(Range("quantity", self.min_quantity, self.max_quantity))
        return found


def key(trade: Trade) -> tuple[int, str]:
    """The sort key."""
    return trade.timestamp, trade.trade_id


_LIST = Newest(
    name="trades",
    time="timestamp",
    id="trade_id",
    row=Trade,
    key=key,
    columns=Trade._fields,
    arrival=("kafka_partition", "kafka_offset"),
)


def read(
    session: Session, chosen: TradeFilter, size: int, after: tuple[int, str] | None
) -> Slice[Trade]:
    """The `size` newest trades after a sort key."""
    snapshot = session.lake.first(*tables.TRADES)
    return _LIST.read(session, snapshot, chosen.conditions(), size, after)


def count(session: Session, chosen: TradeFilter) -> int:
    """How many trades the filter lets through."""
    return _LIST.count(session, session.lake.first(*tables.TRADES), chosen.conditions())


def by_id(session: Session, trade_id: str) -> Trade | None:
    """The trade with this id, looked for in the newest files first."""
    snapshot = session.lake.first(*tables.TRADES)
    return _LIST.find(session, snapshot, [OneOf("trade_id", (trade_id,))])
