"""The newest order-book snapshot of a symbol."""

from typing import NamedTuple

from tapehouse_query import tables
from tapehouse_query.reads.conditions import OneOf
from tapehouse_query.reads.engine import Session
from tapehouse_query.reads.newest import Newest


class Book(NamedTuple):
    """What a snapshot says at a glance; `timestamp` in microseconds since 1970 UTC."""

    symbol: str
    timestamp: int
    best_bid_price: float | None
    best_bid_qty: int | None
    best_ask_price: float | None
    best_ask_qty: int | None
    bid_depth: int | None
    ask_depth: int | None
    spread: float | None
    mid_price: float | None
    company_name: str | None
    sector: str | None
    event_id: str | None


def key(book: Book) -> tuple[int, str]:
    """The sort key."""
    return book.timestamp, book.event_id or ""


_SILVER = Newest(
    name="books",
    time="timestamp",
    id="event_id",
    row=Book,
    key=key,
    columns=Book._fields,
    arrival=("kafka_partition", "kafka_offset"),
)


def _side(levels: str, order: str) -> str:
    """The levels that count, best first: as `BOOK_STATS` takes them for silver."""
    counted = f"list_filter({levels}, lambda l: l.price IS NOT NULL AND l.quantity > 0)"
    plain = f"list_transform({counted}, lambda l: {{price: l.price, quantity: l.quantity}})"
    return f"list_sort({plain}, '{order}')"


def _depth(side: str) -> str:
    return f"coalesce(list_sum(list_transform({side}, lambda l: l.quantity)), 0)::BIGINT"


_BID, _ASK = _side("bids", "DESC"), _side("asks", "ASC")
_BRONZE = Newest(
    name="raw books",
    time="timestamp",
    id="event_id",
    fields=f"""symbol, epoch_us(timestamp), {_BID}[1].price, {_BID}[1].quantity, {_ASK}[1].price,
        {_ASK}[1].quantity, {_depth(_BID)}, {_depth(_ASK)}, {_ASK}[1].price - {_BID}[1].price,
        ({_ASK}[1].price + {_BID}[1].price) / 2, NULL, NULL, event_id""",
    row=Book,
    key=key,
    arrival=("kafka_partition", "kafka_offset"),
)


def newest(session: Session, symbol: str) -> Book | None:
    """The newest snapshot, if there is one."""
    snapshot = session.lake.first(tables.SILVER_ORDERBOOK, tables.BRONZE_ORDERBOOK)
    books = _SILVER if snapshot.table is tables.SILVER_ORDERBOOK else _BRONZE
    found = books.read(session, snapshot, [OneOf("symbol", (symbol,))], 1, None)
    return found.rows[0] if found.rows else None
