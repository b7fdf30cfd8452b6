"""Conditions on rows: each is SQL for DuckDB and a test whether a file may hold such rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from pyiceberg.types import StringType

from tapehouse_query.reads.files import File

_EPOCH = date(1970, 1, 1)


class Condition(Protocol):
    """A predicate that can rule out whole files by their bounds."""

    def sql(self) -> str:
        """The predicate, with `?` for each of `parameters`."""
        ...

    def parameters(self) -> list[Any]:
        """Values for the `?` in `sql`."""
        ...

    def may_match(self, file: File) -> bool:
        """False only if no row of the file satisfies the condition."""
        ...


@dataclass(frozen=True, slots=True)
class Range:
    """`low <= column <= high`; None = open."""

    column: str
    low: Any = None
    high: Any = None

    def sql(self) -> str:
        """See `Condition`."""
        parts = [f'"{self.column}" {sign} ?' for sign, value in self._ends() if value is not None]
        return " AND ".join(parts) or "true"

    def parameters(self) -> list[Any]:
        """See `Condition`."""
        return [value for _, value in self._ends() if value is not None]

    def may_match(self, file: File) -> bool:
        """See `Condition`."""
        return _overlaps(file, self.column, self.low, self.high)

    def _ends(self) -> tuple[tuple[str, Any], tuple[str, Any]]:
        return (">=", self.low), ("<=", self.high)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """`low <= column <= high` in microseconds since 1970 UTC; None = open."""

    column: str
    low: int | None = None
    high: int | None = None

    def sql(self) -> str:
        """See `Condition`."""
        low = f'"{self.column}" >= make_timestamptz(?)' if self.low is not None else "true"
        high = f'"{self.column}" <= make_timestamptz(?)' if self.high is not None else "true"
        return f"{low} AND {high}"

    def parameters(self) -> list[Any]:
        """See `Condition`."""
        return [value for value in (self.low, self.high) if value is not None]

    def may_match(self, file: File) -> bool:
        """See `Condition`."""
        return _overlaps(file, self.column, self.low, self.high)


@dataclass(frozen=True, slots=True)
class DayRange:
    """`low <= column <= high`; None = open."""

    column: str
    low: date | None = None
    high: date | None = None

    def sql(self) -> str:
        """See `Condition`."""
        return Range(self.column, self.low, self.high).sql()

    def parameters(self) -> list[Any]:
        """See `Condition`."""
        return Range(self.column, self.low, self.high).parameters()

    def may_match(self, file: File) -> bool:
        """See `Condition`; bounds of dates are days since 1970."""
        low, high = (day and (day - _EPOCH).days for day in (self.low, self.high))
        return _overlaps(file, self.column, low, high)


@dataclass(frozen=True, slots=True)
class OneOf:
    """`column IN (values)`."""

    column: str
    values: tuple[Any, ...]

    def sql(self) -> str:
        """See `Condition`."""
        if not self.values:
            return "false"
        return f'"{self.column}" IN ({", ".join("?" * len(self.values))})'

    def parameters(self) -> list[Any]:
        """See `Condition`."""
        return list(self.values)

    def may_match(self, file: File) -> bool:
        """See `Condition`."""
        return any(
            _overlaps(file, self.column, value, value) and _in_bucket(file, self.column, value)
            for value in self.values
        )


@dataclass(frozen=True, slots=True)
class Before:
    """The rows after `(time, id)` in a list that is sorted descending by both."""

    time_column: str
    id_column: str
    time: int
    id: str

    def sql(self) -> str:
        """See `Condition`; the first part alone lets DuckDB skip row groups."""
        time, key = f'"{self.time_column}"', f'"{self.id_column}"'
        return f"{time} <= make_timestamptz(?) AND ({time} < make_timestamptz(?) OR {key} < ?)"

    def parameters(self) -> list[Any]:
        """See `Condition`."""
        return [self.time, self.time, self.id]

    def may_match(self, file: File) -> bool:
        """See `Condition`."""
        return _overlaps(file, self.time_column, None, self.time)


def where(conditions: Sequence[Condition]) -> tuple[str, list[Any]]:
    """All conditions as one SQL expression with its parameters."""
    sql = " AND ".join(condition.sql() for condition in conditions) or "true"
    return sql, [value for condition in conditions for value in condition.parameters()]


def matching(files: Iterable[File], conditions: Sequence[Condition]) -> list[File]:
    """The files that may hold rows which satisfy all conditions."""
    return [file for file in files if all(one.may_match(file) for one in conditions)]


def _overlaps(file: File, column: str, low: Any, high: Any) -> bool:
    lower, upper = file.lower.get(column), file.upper.get(column)
    if low is not None and upper is not None and upper < low:
        return False
    return high is None or lower is None or bool(lower <= high)


def _in_bucket(file: File, column: str, value: Any) -> bool:
    if column not in file.buckets:
        return True
    transform, bucket = file.buckets[column]
    return transform.transform(StringType())(value) == bucket
