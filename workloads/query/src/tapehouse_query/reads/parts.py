"""Mergeable parts of candles, from the cheapest source.

A part describes one symbol in one bucket or minute: first and last price with their order, high,
low, volume, value and count. Parts merge in any order. They come from up to three sources, which
are disjoint in time:

- `gold.candles` of the wanted interval, where whole buckets have been folded;
- `gold.candles` of one minute, for the bucket in which folding stopped;
- `silver.candle_parts`, or trades, for all that is newer.

Folding may lag, so gold is used up to `_TRUST` before its newest minute.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tapehouse_query import metrics, tables
from tapehouse_query.reads.conditions import Condition, OneOf, TimeRange, matching, where
from tapehouse_query.reads.engine import Session
from tapehouse_query.reads.files import File
from tapehouse_query.reads.lake import Lake, Snapshot
from tapehouse_query.reads.relation import relation

MINUTE = 60_000_000
_TRUST = 10 * MINUTE

_COLUMNS = (
    "symbol, time, first_price, first_order, last_price, last_order, high, low, volume, value,"
    " trade_count"
)


def _order(time: str, offset: str) -> str:
    """SQL of an order by time, ties by offset: numbers are compared sooner than structs."""
    return f"epoch_us({time})::HUGEINT * 18446744073709551616 + coalesce({offset}, 0)"


_GOLD = f"""SELECT symbol, epoch_us(window_start) AS time,
  open_price AS first_price, {_order("window_start", "0")} AS first_order,
  close_price AS last_price, {_order("window_start", "0")} AS last_order,
  high_price AS high, low_price AS low, total_volume AS volume, total_value AS value, trade_count
FROM {{}} WHERE {{}}"""  # noqa: S608
_PARTS = f"""SELECT symbol, epoch_us(minute) AS time,
  first_price, {_order("first_time", "first_offset")} AS first_order,
  last_price, {_order("last_time", "last_offset")} AS last_order,
  high, low, volume, value, trade_count
FROM {{}} WHERE {{}}"""  # noqa: S608
_TRADES = f"""SELECT symbol, epoch_us(timestamp) AS time,
  price AS first_price, {_order("timestamp", "kafka_offset")} AS first_order,
  price AS last_price, {_order("timestamp", "kafka_offset")} AS last_order,
  price AS high, price AS low, quantity AS volume, price * quantity AS value, 1 AS trade_count
FROM {{}} WHERE {{}}
QUALIFY row_number() OVER (PARTITION BY timestamp, trade_id
                           ORDER BY kafka_partition, kafka_offset) = 1"""  # noqa: S608


class Bucket(NamedTuple):
    """One symbol's trades in one bucket; `start` in microseconds since 1970 UTC."""

    symbol: str
    start: int
    open: float
    close: float
    high: float
    low: float
    volume: int
    trades: int
    """The number of trades."""
    value: float
    """Sum of price times quantity."""


@dataclass(frozen=True, slots=True)
class Source:
    """Parts in one table, within a span of time."""

    snapshot: Snapshot
    select: str
    conditions: tuple[Condition, ...]

    def files(self) -> list[File]:
        """The files that may contain such parts."""
        return matching(self.snapshot.files, self.conditions)

    def lower(self, file: File) -> float:
        """The earliest time in a file."""
        return float(file.lower.get(self.snapshot.table.time, "-inf"))

    def sql(self, files: Sequence[File]) -> tuple[str, list[object]]:
        """The parts in these files, and the query's parameters."""
        metrics.FILES.inc(len(files))
        condition, parameters = where(self.conditions)
        return self.select.format(relation(self.snapshot, files), condition), parameters


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which parts: of these symbols (None = all), in buckets of this length and origin.

    `start` and `end` are whole buckets: first and last microsecond, None = open.
    """

    interval: str
    size: int
    origin: int = 0
    symbols: tuple[str, ...] | None = None
    start: int | None = None
    end: int | None = None

    def floor(self, time: int) -> int:
        """The start of the bucket that holds this time."""
        return (time - self.origin) // self.size * self.size + self.origin

    def within(self, low: int | None, high: int | None) -> "Wanted":
        """The same, also bounded by these times."""
        lows = [one for one in (self.start, low) if one is not None]
        highs = [one for one in (self.end, high) if one is not None]
        return replace(self, start=max(lows, default=None), end=min(highs, default=None))


def sources(lake: Lake, wanted: Wanted) -> list[Source]:
    """Where the parts are.

    Raises:
        UnavailableError: nothing has any.
    """
    live = lake.find(tables.CANDLE_PARTS)
    if live is None or not live.id:
        live = lake.first(*tables.TRADES)
    gold = lake.find(tables.CANDLES)
    folded = _folded(gold) if gold else None
    if gold is None or folded is None:
        return [_live(live, wanted)]
    whole = wanted.floor(folded)
    return [
        _gold(gold, wanted.interval, wanted.within(None, whole - 1)),
        _gold(gold, "1m", wanted.within(whole, folded - 1)),
        _live(live, wanted.within(folded, None)),
    ]


def _folded(gold: Snapshot) -> int | None:
    """The minute up to which gold is used; None while it is empty."""
    newest = [file.upper[gold.table.time] for file in gold.files if gold.table.time in file.upper]
    return (max(newest) - _TRUST) // MINUTE * MINUTE if newest else None


def _gold(gold: Snapshot, interval: str, wanted: Wanted) -> Source:
    return Source(gold, _GOLD, (OneOf("interval", (interval,)), *_conditions(gold, wanted)))


def _live(live: Snapshot, wanted: Wanted) -> Source:
    select = _PARTS if live.table is tables.CANDLE_PARTS else _TRADES
    return Source(live, select, _conditions(live, wanted))


def _conditions(snapshot: Snapshot, wanted: Wanted) -> tuple[Condition, ...]:
    time = TimeRange(snapshot.table.time, wanted.start, wanted.end)
    return (time,) if wanted.symbols is None else (OneOf("symbol", wanted.symbols), time)


def merged(
    session: Session, wanted: Wanted, opened: Sequence[tuple[Source, Sequence[File]]], tail: str
) -> list[Bucket]:
    """Every bucket, of all its parts in these files; `tail` is SQL after the grouping."""
    selects: list[str] = []
    parameters: list[object] = []
    read: list[File] = []
    for source, files in opened:
        read += files
        sql, values = source.sql(files)
        selects.append(f"SELECT {_COLUMNS} FROM ({sql})")  # noqa: S608
        parameters += values
    bucket = f"time - ((time - {wanted.origin}) % {wanted.size} + {wanted.size}) % {wanted.size}"
    rows = session.rows(
        f"""WITH parts AS ({" UNION ALL ".join(selects)})
        SELECT symbol, {bucket} AS bucket, arg_min(first_price, first_order),
               arg_max(last_price, last_order), max(high), min(low), sum(volume)::BIGINT,
               sum(trade_count)::BIGINT, fsum(value)
        FROM parts GROUP BY symbol, bucket {tail}""",  # noqa: S608
        parameters,
        read,
    )
    return list(map(Bucket._make, rows))
