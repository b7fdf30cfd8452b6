"""Scalars: times, days and 64-bit integers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NewType

import numpy as np
import strawberry
from strawberry.types.scalar import ScalarDefinition

from tapehouse_query.errors import QueryError

_LOW, _HIGH = -(2**63), 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = _EPOCH.replace(tzinfo=None)
_DAY = 24 * 60 * 60 * 1_000_000
_MICROSECOND = timedelta(microseconds=1)

BigInt = NewType("BigInt", int)
Time = NewType("Time", int)
"""Microseconds since 1970 UTC."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A time given by a client: an instant, or a whole day. Microseconds since 1970 UTC."""

    first: int
    last: int
    """The last microsecond meant: `first` for an instant, the day's last for a day."""


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC, exactly; a time without zone counts as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


_FIRST = to_micros(datetime.min.replace(tzinfo=UTC))
_LAST = to_micros(datetime.max.replace(tzinfo=UTC))
"""The times that a row can have; an offset may lead a bound beyond them."""


def format_time(micros: int) -> str:
    """As on the wire: `2026-01-31T09:30:00.000000Z`."""
    minute, rest = divmod(micros, 60_000_000)
    second, rest = divmod(rest, 1_000_000)
    return f"{_format_minute(minute)}:{second:02}.{rest:06}Z"


@lru_cache(maxsize=1 << 14)
def _format_minute(minute: int) -> str:
    """Lists hold many times of few minutes."""
    return (_NAIVE_EPOCH + timedelta(minutes=minute)).isoformat(timespec="minutes")


def format_times(micros: Sequence[int]) -> list[str]:
    """`format_time` of many."""
    moments = np.array(micros, "datetime64[us]")
    return [f"{text}Z" for text in np.datetime_as_string(moments).tolist()]


def parse_bound(value: Any) -> Bound:
    """A date or a time as a client writes it.

    Raises:
        QueryError: it is neither; names the value.
    """
    try:
        if len(value) == 10:
            start = datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC)
            first = to_micros(start)
            return Bound(first, first + _DAY - 1)  # the day after 9999-12-31 is no datetime
        micros = min(max(to_micros(datetime.fromisoformat(value)), _FIRST), _LAST)
    except (TypeError, ValueError, OverflowError):
        raise QueryError(
            f"{value!r} is not a time: write 2026-01-31T09:30:00Z, or 2026-01-31 for the whole day",
            "BAD_USER_INPUT",
        ) from None
    return Bound(micros, micros)


def parse_big_int(value: Any) -> int:
    """A 64-bit integer, as a JSON number or a string of digits.

    Raises:
        QueryError: it is not, or does not fit 64 bits.
    """
    try:
        number = int(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool) or not _LOW <= number <= _HIGH:
        raise QueryError(f"{value!r} is not a 64-bit integer", "BAD_USER_INPUT")
    return number


SCALARS: dict[object, ScalarDefinition] = {
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A 64-bit integer, as a JSON number.",
        serialize=parse_big_int,
        parse_value=parse_big_int,
    ),
    Time: strawberry.scalar(
        name="DateTime",
        description="ISO-8601, UTC, six digits: 2026-01-31T09:30:00.000000Z. "
        "As an argument also a date, which means the whole day.",
        serialize=format_time,
        parse_value=parse_bound,
    ),
    Bound: strawberry.scalar(
        name="DateTimeOrDate",
        description="ISO-8601 time, or a date which means the whole day; without zone UTC.",
        serialize=str,
        parse_value=parse_bound,
    ),
}
