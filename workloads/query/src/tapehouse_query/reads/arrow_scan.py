"""Small scans with Arrow, which reads, filters and sorts them faster than DuckDB plans a query.

The result equals DuckDB's with the same conditions over the same files.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.types import NestedField, TimestamptzType

from tapehouse_query import metrics
from tapehouse_query.reads.conditions import Before, Condition, OneOf, TimeRange
from tapehouse_query.reads.files import File
from tapehouse_query.reads.lake import Snapshot

_MAX_ROWS = 20_000
"""Rows of all files up to which Arrow is faster."""
_FIELD_ID = b"PARQUET:field_id"
_NOWHERE, _NO_ID = -1, -2
_PLAIN = (TimeRange, OneOf, Before)


def suits(files: Sequence[File], conditions: Sequence[Condition]) -> bool:
    """Whether Arrow may read these: few rows in local files, with conditions that have the same
    semantics as in DuckDB. Numeric bounds do not: DuckDB orders NaN as the largest number."""
    return (
        sum(file.rows for file in files) <= _MAX_ROWS
        and all(file.path.startswith("/") for file in files)
        and all(isinstance(one, _PLAIN) or not one.parameters() for one in conditions)
    )


class Sorted:
    """The rows of some files with these conditions; times are in microseconds.

    `order` begins with two columns that are descending; the others are ascending.

    Raises:
        OSError: a file is not there.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        files: Sequence[File],
        columns: Sequence[str],
        conditions: Sequence[Condition],
        order: Sequence[str],
    ) -> None:
        used = [one.column for one in conditions if isinstance(one, TimeRange | OneOf)]
        names = list(dict.fromkeys((*columns, *order, *used)))
        fields = {field.name: field for field in snapshot.schema.fields}
        sources = [_Source(name, fields.get(name)) for name in names]
        metrics.FILES.inc(len(files))
        table = _together([_read(file, sources) for file in files], sources)
        for condition in conditions:
            table = _matching(table, condition)
        ways = ["descending", "descending", *["ascending"] * (len(order) - 2)]
        self._order = pc.sort_indices(table, sort_keys=list(zip(order, ways, strict=True)))
        self._table = table.select(columns)

    def first(self, limit: int) -> Iterable[tuple[Any, ...]]:
        """At most `limit` rows, in order."""
        rows = self._table.take(self._order[:limit])
        metrics.ROWS.inc(rows.num_rows)
        return zip(*(column.to_pylist() for column in rows.columns), strict=True)


class _Source:
    """The source of a column, found by field id, which survives renames."""

    def __init__(self, name: str, field: NestedField | None) -> None:
        self.name = name
        self.id = field.field_id if field else _NOWHERE
        self._type = schema_to_pyarrow(field.field_type) if field else pa.string()
        self._time = bool(field and isinstance(field.field_type, TimestamptzType))

    def typed(self, stored: pa.Table) -> Any:
        """The column in the table's current type, times as numbers."""
        if self.name not in stored.column_names:
            return pa.nulls(stored.num_rows, self._type)
        column = stored[self.name]
        column = column if column.type == self._type else column.cast(self._type)
        return column.cast(pa.int64()) if self._time else column


def _together(parts: Sequence[pa.Table], sources: Sequence[_Source]) -> pa.Table:
    """The rows of several files as one table; files of one schema are converted at once."""
    if all(part.schema == parts[0].schema for part in parts):
        parts = [pa.concat_tables(parts)]
    return pa.concat_tables(
        pa.table({source.name: source.typed(part) for source in sources}) for part in parts
    )


def _read(file: File, sources: Sequence[_Source]) -> pa.Table:
    """The columns that the file has, by the table's names."""
    metadata, stored = _footer(file.path)
    there = {stored[source.id]: source.name for source in sources if source.id in stored}
    with pq.ParquetFile(file.path, metadata=metadata, pre_buffer=False) as parquet:
        read = parquet.read(list(there), use_threads=False)
    return read.rename_columns([there[name] for name in read.column_names])


@lru_cache(maxsize=256)
def _footer(path: str) -> tuple[pq.FileMetaData, dict[int, str]]:
    """A file's metadata, and its columns by field id; files never change."""
    metadata = pq.read_metadata(path)
    fields = metadata.schema.to_arrow_schema()
    return metadata, {int((f.metadata or {}).get(_FIELD_ID, _NO_ID)): f.name for f in fields}


def _matching(table: pa.Table, condition: Condition) -> pa.Table:
    match condition:
        case TimeRange(column, low, high):
            for compare, bound in ((pc.greater_equal, low), (pc.less_equal, high)):
                if bound is not None:
                    table = table.filter(compare(table[column], bound))
        case OneOf(column, values):
            wanted = pa.array(values, table[column].type)
            table = table.filter(pc.is_in(table[column], value_set=wanted))
        case Before(time_column, id_column, time, id):
            times, ids = table[time_column], table[id_column]
            tied = pc.and_kleene(pc.equal(times, time), pc.less(ids, id))
            table = table.filter(pc.or_kleene(pc.less(times, time), tied))
    return table
