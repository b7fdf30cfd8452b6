"""Lists in newest-first order, which open only the files that their time bounds require.

Rows are ordered by `(time, id)` in every snapshot, so pages are stable while data arrives. Of a row
that was received twice, the first is shown.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from tapehouse_query import metrics
from tapehouse_query.reads import arrow_scan
from tapehouse_query.reads.conditions import Before, Condition, TimeRange, matching, where
from tapehouse_query.reads.engine import Session
from tapehouse_query.reads.files import File
from tapehouse_query.reads.lake import Snapshot
from tapehouse_query.reads.relation import relation
from tapehouse_query.reads.slices import Slice, cut

RowT = TypeVar("RowT", bound=tuple[Any, ...])

_SPARE = 16
"""Extra rows fetched, since some may be repetitions."""


@dataclass(frozen=True, slots=True)
class Newest(Generic[RowT]):
    """A list of one kind of row."""

    name: str
    time: str
    """Column of the time, a timestamptz."""
    id: str
    """Column that distinguishes rows of the same time."""
    row: type[RowT]
    """A named tuple."""
    key: Callable[[RowT], tuple[int, str]]
    """The sort key: microseconds and id."""
    columns: tuple[str, ...] = ()
    """Columns that are the row's values, where none is computed."""
    fields: str = ""
    """SQL of the row's values, where some have to be computed."""
    arrival: tuple[str, ...] = ()
    """Columns of the order of arrival among repetitions."""

    def read(
        self,
        session: Session,
        snapshot: Snapshot,
        conditions: Sequence[Condition],
        size: int,
        after: tuple[int, str] | None,
    ) -> Slice[RowT]:
        """The `size` newest rows after a sort key."""
        wanted = list(conditions)
        if after is not None:
            wanted.append(Before(self.time, self.id, *after))
        return session.slices.get(
            (self.name, snapshot.key, tuple(wanted), size),
            lambda: cut(self._newest(session, snapshot, wanted, size + 1), size),
        )

    def find(
        self, session: Session, snapshot: Snapshot, conditions: Sequence[Condition]
    ) -> RowT | None:
        """The only row with these conditions; opens increasing batches of files."""
        for batch in _batches(self._files(snapshot, conditions), rows=100_000):
            if found := self._query(session, snapshot, batch, conditions, 1):
                return found[0]
        return None

    def count(self, session: Session, snapshot: Snapshot, conditions: Sequence[Condition]) -> int:
        """How many different rows there are."""
        key = ("count", self.name, snapshot.key, tuple(conditions))
        page = session.slices.get(
            key, lambda: Slice([self._count(session, snapshot, conditions)], more=False)
        )
        return page.rows[0]

    def _count(self, session: Session, snapshot: Snapshot, conditions: Sequence[Condition]) -> int:
        condition, parameters = where(conditions)
        files = matching(snapshot.files, conditions)
        rows = _select(snapshot, files, f'DISTINCT "{self.time}", "{self.id}"', condition)
        counted = session.rows(f"SELECT count(*) FROM ({rows})", parameters, files)  # noqa: S608
        return int(counted[0][0])

    def _newest(
        self, session: Session, snapshot: Snapshot, conditions: Sequence[Condition], want: int
    ) -> list[RowT]:
        """Open files newest first until no unopened one can hold a row of the page."""
        files = self._files(snapshot, conditions)
        found: list[RowT] = []
        opened = 0
        for batch in self._runs(files, conditions, want):
            more = self._query(session, snapshot, batch, conditions, want)
            found = self._merge(found, more, want) if found else more
            opened += len(batch)
            if len(found) == want:
                break
        if len(found) < want:
            return found
        floor, _ = self.key(found[-1])
        rest = [file for file in files[opened:] if self._upper(file) >= floor]
        bounded = [*conditions, TimeRange(self.time, low=floor)]
        return self._merge(found, self._query(session, snapshot, rest, bounded, want), want)

    def _files(self, snapshot: Snapshot, conditions: Sequence[Condition]) -> list[File]:
        return sorted(matching(snapshot.files, conditions), key=self._upper, reverse=True)

    def _upper(self, file: File) -> float:
        return float(file.upper.get(self.time, "inf"))

    def _lower(self, file: File) -> float:
        return float(file.lower.get(self.time, "-inf"))

    def _runs(
        self, files: Sequence[File], conditions: Sequence[Condition], want: int
    ) -> Iterator[list[File]]:
        """The files in runs to open at once, the first with a page's rows if only bounds decide."""
        if any(one.parameters() for one in conditions):
            yield from _batches(files, rows=(4 if _selective(conditions) else 2) * want)
            return
        held, floor = 0, float("-inf")
        for file in sorted(files, key=self._lower, reverse=True):
            held, floor = held + file.rows, self._lower(file)
            if held >= want + _SPARE:
                break
        first = [file for file in files if self._upper(file) > floor]
        yield first
        yield from _batches(files[len(first) :], rows=4 * want)

    def _query(
        self,
        session: Session,
        snapshot: Snapshot,
        files: Sequence[File],
        conditions: Sequence[Condition],
        want: int,
    ) -> list[RowT]:
        if not files:
            return []
        first = self._first(session, snapshot, files, conditions)
        make = partial(tuple.__new__, self.row)  # as `_make` does, without a call in Python
        limit = want + _SPARE
        while True:
            found = list(map(make, first(limit)))
            whole = len(found) < limit
            if len(set(map(self.key, found))) < len(found):
                found = self._merge([], found, want)
            if len(found) >= want or whole:
                return found[:want]
            limit *= 2

    def _first(
        self,
        session: Session,
        snapshot: Snapshot,
        files: Sequence[File],
        conditions: Sequence[Condition],
    ) -> Callable[[int], Iterable[Iterable[Any]]]:
        """A function that returns the first `limit` rows of these files."""
        if self.columns and arrow_scan.suits(files, conditions):
            keys = self.time, self.id, *self.arrival
            return arrow_scan.Sorted(snapshot, files, self.columns, conditions, keys).first
        condition, parameters = where(conditions)
        order = ", ".join((f'"{self.time}" DESC', f'"{self.id}" DESC', *self.arrival))
        sql = f"{_select(snapshot, files, self._fields(), condition)} ORDER BY {order}"
        return lambda limit: session.rows(f"{sql} LIMIT {limit}", parameters, files)

    def _fields(self) -> str:
        plain = (f'epoch_us("{n}")' if n == self.time else f'"{n}"' for n in self.columns)
        return self.fields or ", ".join(plain)

    def _merge(self, found: list[RowT], more: list[RowT], want: int) -> list[RowT]:
        """The first of each key, in order."""
        if not more:
            return found
        unique = {self.key(row): row for row in reversed((*found, *more))}
        return [unique[key] for key in sorted(unique, reverse=True)][:want]


def _selective(conditions: Sequence[Condition]) -> bool:
    """Whether conditions other than time select rows within a file."""
    return any(one.parameters() for one in conditions if not isinstance(one, TimeRange | Before))


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


def _select(snapshot: Snapshot, files: Sequence[File], fields: str, condition: str) -> str:
    metrics.FILES.inc(len(files))
    return f"SELECT {fields} FROM {relation(snapshot, files)} WHERE {condition}"  # noqa: S608
