"""Candles of one symbol, oldest first, without empty buckets.

A candle's open and close are its first and last trades by event time, ties by arrival. Weeks
begin on Monday; all times are UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tapehouse_query.reads.engine import Session
from tapehouse_query.reads.files import File
from tapehouse_query.reads.parts import MINUTE, Bucket, Source, Wanted, merged, sources
from tapehouse_query.reads.slices import Slice, cut

_WEEK = 7 * 24 * 60 * MINUTE
_MONDAY = 4 * 24 * 60 * MINUTE
"""1970-01-05, the first Monday of the epoch, in microseconds."""

INTERVALS = {
    "1m": MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": 60 * MINUTE,
    "4h": 240 * MINUTE,
    "1d": 1440 * MINUTE,
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
    """Candles of a symbol that start within `start` and `end` (included; None = open)."""

    symbol: str
    interval: str
    start: int | None = None
    end: int | None = None

    def wanted(self, after: int | None = None) -> Wanted:
        """The buckets, whole, that start after `after`."""
        kind = bucket(self.interval, (self.symbol,))
        start = None if self.start is None else kind.floor(self.start + kind.size - 1)
        end = None if self.end is None else kind.floor(self.end) + kind.size - 1
        later = None if after is None else kind.floor(after) + kind.size
        return kind.within(start, end).within(later, None)


def bucket(interval: str, symbols: tuple[str, ...] | None) -> Wanted:
    """All buckets of this length."""
    size = INTERVALS[interval]
    return Wanted(interval, size, _MONDAY if size == _WEEK else 0, symbols)


def key(candle: Candle) -> tuple[int]:
    """The sort key."""
    return (candle.timestamp,)


def read(session: Session, query: CandleQuery, size: int, after: int | None) -> Slice[Candle]:
    """The `size` oldest candles that start after `after`."""
    wanted = query.wanted(after)
    found = sources(session.lake, wanted)
    return session.slices.get(
        ("candles", *(source.snapshot.key for source in found), query, size, after),
        lambda: cut(_oldest(session, found, wanted, size + 1), size),
    )


def count(session: Session, query: CandleQuery) -> int:
    """How many candles there are."""
    wanted = query.wanted()
    opened = [(source, source.files()) for source in sources(session.lake, wanted)]
    return len(merged(session, wanted, opened, ""))


def _oldest(session: Session, found: Sequence[Source], wanted: Wanted, want: int) -> list[Candle]:
    """Open files oldest first until no unopened file can contain a part of these candles."""
    files = sorted(
        ((source.lower(file), index, file) for index, source in enumerate(found)
         for file in source.files()),
        key=lambda entry: entry[0],
    )  # fmt: skip
    opened = 8
    while True:
        horizon = files[opened][0] if opened < len(files) else float("inf")
        chosen = _by_source(found, files[:opened])
        rows = merged(session, wanted, chosen, f"ORDER BY bucket LIMIT {want}") if files else []
        candles = [_candle(row) for row in rows]
        whole = [candle for candle in candles if candle.timestamp + wanted.size <= horizon]
        if len(whole) == want or horizon == float("inf"):
            return whole
        opened *= 4


def _by_source(
    found: Sequence[Source], files: Sequence[tuple[float, int, File]]
) -> list[tuple[Source, list[File]]]:
    return [
        (source, [file for _, source_index, file in files if source_index == index])
        for index, source in enumerate(found)
    ]


def _candle(found: Bucket) -> Candle:
    *prices, value = found
    return Candle._make((*prices, value / found.volume))
