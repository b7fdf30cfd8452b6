"""Candles of one symbol, oldest first, only where something was traded.

A candle's open and close are its first and last trades by event time, ties by arrival. Weeks
begin on Monday; all times are UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tapehouse_query import metrics
from tapehouse_query.reads.conditions import Condition, OneOf, TimeRange, where
from tapehouse_query.reads.engine import Session
from tapehouse_query.reads.files import File
from tapehouse_query.reads.lake import Snapshot
from tapehouse_query.reads.pages import Page, cut
from tapehouse_query.reads.relation import relation
from tapehouse_query.reads.trades import SOURCES

_MINUTE = 60_000_000
_WEEK = 7 * 24 * 60 * _MINUTE
_MONDAY = 4 * 24 * 60 * _MINUTE
"""1970-01-05, the first Monday of the epoch, in microseconds."""

INTERVALS = {
    "1m": _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "30m": 30 * _MINUTE,
    "1h": 60 * _MINUTE,
    "4h": 240 * _MINUTE,
    "1d": 1440 * _MINUTE,
    "1w": _WEEK,
}
"""Lengths in microseconds."""


class Candle(NamedTuple):
    """One bucket; `timestamp` is its start in microseconds since 1970 UTC."""

    symbol: str
    timestamp: int
    open_price: float
    close_price: float
    high_price: float
    low_price: float
    total_volume: int
    trade_count: int
    vwap: float


@dataclass(frozen=True, slots=True)
class CandleQuery:
    """Candles of a symbol whose start is within `start` and `end` (included; None = open)."""

    symbol: str
    interval: str
    start: int | None = None
    end: int | None = None

    @property
    def size(self) -> int:
        """Length of a bucket in microseconds."""
        return INTERVALS[self.interval]

    def floor(self, time: int) -> int:
        """The start of the bucket that holds this time."""
        origin = _MONDAY if self.size == _WEEK else 0
        return (time - origin) // self.size * self.size + origin

    def ceiling(self, time: int) -> int:
        """The first bucket that starts at or after this time."""
        return -(-(time - self.floor(time)) // self.size) * self.size + self.floor(time)


def key(candle: Candle) -> tuple[int]:
    """The sort key."""
    return (candle.timestamp,)


def page(session: Session, wanted: CandleQuery, size: int, after: int | None) -> Page[Candle]:
    """The `size` oldest candles that start after `after`."""
    snapshot = session.lake.first(*SOURCES)
    return session.pages.get(
        ("candles", snapshot.key, wanted, size, after),
        lambda: cut(_oldest(session, snapshot, wanted, size + 1, after), size),
    )


def _oldest(
    session: Session, snapshot: Snapshot, wanted: CandleQuery, want: int, after: int | None
) -> list[Candle]:
    """Open files oldest first until no unopened one can hold a trade of these candles."""
    conditions = _conditions(wanted, after)
    files = [f for f in snapshot.files if all(c.may_match(f) for c in conditions)]
    files.sort(key=_lower)
    opened = 8
    while True:
        horizon = _lower(files[opened]) if opened < len(files) else float("inf")
        found = _query(session, snapshot, files[:opened], wanted, conditions, want)
        whole = [candle for candle in found if candle.timestamp + wanted.size <= horizon]
        if len(whole) == want or horizon == float("inf"):
            return whole
        opened *= 4


def count(session: Session, wanted: CandleQuery) -> int:
    """How many candles there are."""
    snapshot = session.lake.first(*SOURCES)
    conditions = _conditions(wanted, None)
    files = [f for f in snapshot.files if all(c.may_match(f) for c in conditions)]
    condition, parameters = where(conditions)
    source = relation(snapshot, files)
    sql = f"SELECT count(DISTINCT {_bucket(wanted)}) FROM {source} WHERE {condition}"  # noqa: S608
    return int(session.rows(sql, parameters)[0][0])


def _conditions(wanted: CandleQuery, after: int | None) -> list[Condition]:
    start = None if wanted.start is None else wanted.ceiling(wanted.start)
    if after is not None:
        start = max(wanted.floor(after) + wanted.size, start if start is not None else after)
    end = None if wanted.end is None else wanted.floor(wanted.end) + wanted.size - 1
    return [OneOf("symbol", (wanted.symbol,)), TimeRange("timestamp", start, end)]


def _lower(file: File) -> float:
    return float(file.lower.get("timestamp", "-inf"))


def _bucket(wanted: CandleQuery) -> str:
    origin = _MONDAY if wanted.size == _WEEK else 0
    micros = f"(epoch_us(timestamp) - {origin})"
    return f"({micros} - ({micros} % {wanted.size} + {wanted.size}) % {wanted.size} + {origin})"


def _query(
    session: Session,
    snapshot: Snapshot,
    files: Sequence[File],
    wanted: CandleQuery,
    conditions: Sequence[Condition],
    limit: int,
) -> list[Candle]:
    condition, parameters = where(conditions)
    metrics.FILES.inc(len(files))
    sql = f"""
        WITH each AS (
          SELECT {_bucket(wanted)} AS bucket, price, quantity,
                 row(timestamp, kafka_partition, kafka_offset, trade_id) AS place
          FROM {relation(snapshot, files)} WHERE {condition}
          QUALIFY row_number() OVER (
            PARTITION BY timestamp, trade_id ORDER BY kafka_partition, kafka_offset) = 1)
        SELECT bucket, arg_min(price, place), arg_max(price, place), max(price), min(price),
               sum(quantity)::BIGINT, count(*), sum(price * quantity) / nullif(sum(quantity), 0)
        FROM each GROUP BY bucket ORDER BY bucket LIMIT {limit}"""  # noqa: S608
    rows = session.rows(sql, parameters)
    return [Candle(wanted.symbol, *row) for row in rows]
