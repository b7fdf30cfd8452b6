"""Trades, newest first, each once.

A trade's place in the list is `(timestamp, trade_id)`, whatever the snapshot, so pages stay put
while data arrives. A trade that was received twice is shown as it arrived first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tapehouse_query import metrics, tables
from tapehouse_query.reads.conditions import Before, Condition, OneOf, Range, TimeRange, where
from tapehouse_query.reads.engine import Session
from tapehouse_query.reads.files import File
from tapehouse_query.reads.lake import Snapshot
from tapehouse_query.reads.pages import Page, cut
from tapehouse_query.reads.relation import relation

SOURCES = (tables.SILVER_TRADES, tables.BRONZE_TRADES)
"""The first that the catalog has is read."""

_FIELDS = (
    "trade_id, symbol, price, quantity, buy_order_id, sell_order_id, buyer_agent_id,"
    " seller_agent_id, is_aggressive_buy, epoch_us(timestamp), company_name, sector"
)
_SPARE = 16
"""Rows fetched beyond a page, since some may be repetitions."""


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


def page(
    session: Session, chosen: TradeFilter, size: int, after: tuple[int, str] | None
) -> Page[Trade]:
    """The `size` newest trades after a sort key."""
    snapshot = session.lake.first(*SOURCES)
    conditions = chosen.conditions()
    if after is not None:
        conditions.append(Before("timestamp", "trade_id", *after))
    return session.pages.get(
        ("trades", snapshot.key, chosen, size, after),
        lambda: cut(_newest(session, snapshot, conditions, size + 1), size),
    )


def count(session: Session, chosen: TradeFilter) -> int:
    """How many trades the filter lets through."""
    snapshot = session.lake.first(*SOURCES)
    conditions = chosen.conditions()
    files = [f for f in snapshot.files if all(c.may_match(f) for c in conditions)]
    condition, parameters = where(conditions)
    rows = _select(session, snapshot, files, "DISTINCT timestamp, trade_id", condition)
    return int(session.rows(f"SELECT count(*) FROM ({rows})", parameters)[0][0])  # noqa: S608


def by_id(session: Session, trade_id: str) -> Trade | None:
    """The trade with this id, looked for in the newest files first."""
    snapshot = session.lake.first(*SOURCES)
    conditions = [OneOf("trade_id", (trade_id,))]
    for batch in _batches(_newest_files(snapshot, conditions), rows=1_000_000):
        if found := _query(session, snapshot, batch, conditions, 1):
            return found[0]
    return None


def _newest(
    session: Session, snapshot: Snapshot, conditions: Sequence[Condition], want: int
) -> list[Trade]:
    """Open files newest first until no unopened one can hold a row of the page."""
    files = _newest_files(snapshot, conditions)
    found: list[Trade] = []
    opened = 0
    for batch in _batches(files, rows=4 * want):
        found = _merge(found, _query(session, snapshot, batch, conditions, want), want)
        opened += len(batch)
        if len(found) == want:
            break
    if len(found) < want:
        return found
    floor = found[-1].timestamp
    rest = [file for file in files[opened:] if _upper(file) >= floor]
    bounded = [*conditions, TimeRange("timestamp", low=floor)]
    return _merge(found, _query(session, snapshot, rest, bounded, want), want)


def _newest_files(snapshot: Snapshot, conditions: Sequence[Condition]) -> list[File]:
    files = [f for f in snapshot.files if all(c.may_match(f) for c in conditions)]
    return sorted(files, key=_upper, reverse=True)


def _upper(file: File) -> float:
    return float(file.upper.get("timestamp", "inf"))


def _batches(files: Sequence[File], rows: int) -> Iterator[list[File]]:
    """Runs of files with at least so many rows, each run four times the one before."""
    batch: list[File] = []
    held = 0
    for file in files:
        batch.append(file)
        held += file.rows
        if held >= rows:
            yield batch
            batch, held, rows = [], 0, rows * 4
    if batch:
        yield batch


def _query(
    session: Session,
    snapshot: Snapshot,
    files: Sequence[File],
    conditions: Sequence[Condition],
    want: int,
) -> list[Trade]:
    if not files:
        return []
    condition, parameters = where(conditions)
    limit = want + _SPARE
    while True:
        sql = _select(session, snapshot, files, _FIELDS, condition) + (
            f" ORDER BY timestamp DESC, trade_id DESC, kafka_partition, kafka_offset LIMIT {limit}"
        )
        rows = session.rows(sql, parameters)
        found = _merge([], list(map(Trade._make, rows)), want)
        if len(found) == want or len(rows) < limit:
            return found
        limit *= 2


def _select(
    session: Session, snapshot: Snapshot, files: Sequence[File], fields: str, condition: str
) -> str:
    metrics.FILES.inc(len(files))
    return f"SELECT {fields} FROM {relation(snapshot, files)} WHERE {condition}"  # noqa: S608


def _merge(found: list[Trade], more: list[Trade], want: int) -> list[Trade]:
    unique: dict[Any, Trade] = {}
    for trade in (*found, *more):
        unique.setdefault(key(trade), trade)
    return sorted(unique.values(), key=key, reverse=True)[:want]
