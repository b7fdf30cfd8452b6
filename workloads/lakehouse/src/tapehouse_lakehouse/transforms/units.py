"""Units of time that are recomputed as a whole: arithmetic on UTC microseconds. Pure."""

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from tapehouse_lake.ranges import DAY, Range

_MONDAY = 4 * DAY
"""1970-01-05, the first Monday of the epoch."""


class Recompute(StrEnum):
    """The unit that is recomputed when any row in it changes."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"
    ALL = "all"


_LENGTHS = {Recompute.HOUR: DAY // 24, Recompute.DAY: DAY, Recompute.WEEK: 7 * DAY}


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes since the last run."""

    ranges: tuple[Range, ...] = ()
    everything: bool = False

    def __bool__(self) -> bool:
        return self.everything or bool(self.ranges)


def unit(kind: Recompute, at: int) -> Range:
    """The unit that holds the moment `at`; weeks begin on Monday.

    Raises:
        ValueError: `kind` is ALL, which has no bounds.
    """
    if kind in _LENGTHS:
        length, origin = _LENGTHS[kind], _MONDAY if kind is Recompute.WEEK else 0
        start = (at - origin) // length * length + origin
        return start, start + length
    moment = datetime.fromtimestamp(at // 1_000_000, UTC)
    if kind is Recompute.MONTH:
        days = calendar.monthrange(moment.year, moment.month)[1]
        start = _micros(moment.year, moment.month)
        return start, start + days * DAY
    if kind is Recompute.YEAR:
        return _micros(moment.year, 1), _micros(moment.year + 1, 1)
    raise ValueError("recompute ALL has no time range")


def units(kind: Recompute, ranges: Iterable[Range]) -> list[Range]:
    """Every unit that overlaps one of `ranges`, oldest first, each once."""
    found: set[Range] = set()
    for low, high in ranges:
        at = low
        while at < high:
            one = unit(kind, at)
            found.add(one)
            at = one[1]
    return sorted(found)


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The same times in as few ranges as possible."""
    out: list[Range] = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1]:
            out[-1] = (out[-1][0], max(high, out[-1][1]))
        else:
            out.append((low, high))
    return out


def batches(wanted: list[Range], size: int) -> list[list[Range]]:
    """`wanted` in order, at most `size` at a time: a replay of a year takes several commits."""
    return [wanted[i : i + size] for i in range(0, len(wanted), size)]


def _micros(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1_000_000
