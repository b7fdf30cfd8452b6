"""DuckDB over one Iceberg snapshot: files planned by PyIceberg, columns found by field id.

Names in old files are old names; ids never change, so renamed, added and widened columns read
right whatever the file's age.
"""

import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

import duckdb
import pyarrow as pa
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, GreaterThanOrEqual, LessThan
from pyiceberg.expressions import Or as AnyOf
from pyiceberg.io.fsspec import FsspecFileIO
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import FileScanTask, Table
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IcebergType,
    IntegerType,
    LongType,
    PrimitiveType,
    StringType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from tapehouse_lakehouse import nulls

nulls.mend()

Range = tuple[int, int]
"""Microseconds since 1970 UTC, the end excluded."""

DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES: dict[type[IcebergType], str] = {
    BooleanType: "BOOLEAN",
    IntegerType: "INTEGER",
    LongType: "BIGINT",
    FloatType: "FLOAT",
    DoubleType: "DOUBLE",
    DateType: "DATE",
    TimeType: "TIME",
    TimestampType: "TIMESTAMP",
    TimestamptzType: "TIMESTAMPTZ",
    StringType: "VARCHAR",
    UUIDType: "UUID",
    BinaryType: "BLOB",
    FixedType: "BLOB",
}


class Database:
    """An empty DuckDB in UTC that reads attached tables and never touches the network.

    One thread: sums of floats then come out the same every time, and a repeat changes nothing.
    """

    def __init__(self, memory: str = "1GB", threads: int = 1) -> None:
        self.connection = duckdb.connect(
            config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
        )
        self._paths: list[str] = []
        self._spill = tempfile.TemporaryDirectory(prefix="tapehouse-duckdb-")
        self.connection.execute(f"SET temp_directory = {_text(self._spill.name)}")
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute(f"SET memory_limit = '{memory}'")
        self.connection.execute(f"SET threads = {threads}")
        self.connection.execute("SET python_enable_replacements = false")

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self._spill.cleanup()

    def attach(
        self,
        name: str,
        table: Table,
        snapshot: int | None,
        column: str = "",
        ranges: Sequence[Range] | None = None,
    ) -> None:
        """Make a snapshot readable as `name` (`silver.trades`), limited to `ranges` of `column`.

        Args:
            snapshot: None for a table that has none yet: it is empty.
            ranges: None for everything.
        """
        schema, _, _ = name.rpartition(".")
        if schema:
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
        view = ".".join(quoted(part) for part in name.split("."))
        condition = _sql_condition(table, column, ranges)
        source = self._source(name, table, snapshot, _iceberg_condition(table, column, ranges))
        self.connection.execute(
            f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM {source} WHERE {condition}"  # noqa: S608
        )

    def seal(self) -> None:
        """Let what runs next see the attached tables and nothing else: no files, no settings.

        With tables in an object store, files stay reachable: DuckDB reads them through Python.
        """
        if not self.connection.list_filesystems():
            paths = ", ".join(map(_text, self._paths))
            self.connection.execute(f"SET allowed_paths = [{paths}]")
            self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")

    def _source(
        self, name: str, table: Table, snapshot: int | None, condition: BooleanExpression
    ) -> str:
        tasks: list[FileScanTask] = []
        if snapshot is not None:
            scan = table.scan(row_filter=condition, snapshot_id=snapshot)
            tasks = sorted(scan.plan_files(), key=lambda task: task.file.file_path)
        if not tasks:
            empty = schema_to_pyarrow(table.schema(), include_field_ids=False).empty_table()
            return self._arrow(name, empty)
        if _flat(table) and not any(task.delete_files for task in tasks):
            return self._parquet(table, [task.file.file_path for task in tasks])
        # DuckDB reads a null list as an empty one by field id, and knows nothing of deletes.
        scan = table.scan(row_filter=condition, snapshot_id=snapshot)
        return self._arrow(name, scan.to_arrow())

    def _arrow(self, name: str, rows: pa.Table) -> str:
        handle = name.replace(".", "__") + "__arrow"
        self.connection.register(handle, rows)
        return quoted(handle)

    def _parquet(self, table: Table, paths: Iterable[str]) -> str:
        reachable = [self._reachable(table, path) for path in paths]
        self._paths += reachable
        columns = ", ".join(
            f"{f.field_id}: {{name: {_text(f.name)}, type: '{_type(f.field_type)}', "
            "default_value: NULL}"
            for f in table.schema().fields
        )
        files = ", ".join(map(_text, reachable))
        return f"read_parquet([{files}], schema = MAP {{{columns}}})"

    def _reachable(self, table: Table, path: str) -> str:
        """A path DuckDB can open: its own for local files, through fsspec for object stores."""
        scheme, separator, rest = path.partition(":")
        if not separator:
            return path
        if scheme == "file":
            return "/" + rest.lstrip("/")
        if not self.connection.filesystem_is_registered(scheme):
            io = FsspecFileIO(table.io.properties)
            self.connection.register_filesystem(io.get_fs(scheme))
        return path


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def moment(micros: int) -> datetime:
    """Microseconds since 1970 as a UTC time."""
    return _EPOCH + timedelta(microseconds=micros)


def _flat(table: Table) -> bool:
    return all(isinstance(field.field_type, PrimitiveType) for field in table.schema().fields)


def _type(kind: IcebergType) -> str:
    if isinstance(kind, DecimalType):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    return _TYPES[type(kind)]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _iceberg_condition(
    table: Table, column: str, ranges: Sequence[Range] | None
) -> BooleanExpression:
    if ranges is None:
        return AlwaysTrue()
    parts: list[BooleanExpression] = [
        And(
            GreaterThanOrEqual(term=column, value=_literal(table, column, low)),
            LessThan(term=column, value=_literal(table, column, high)),
        )
        for low, high in ranges
    ]
    return parts[0] if len(parts) == 1 else AnyOf(*parts)


def _sql_condition(table: Table, column: str, ranges: Sequence[Range] | None) -> str:
    if ranges is None:
        return "true"
    name, kind = quoted(column), _type(table.schema().find_field(column).field_type)
    parts = [
        f"({name} >= {kind} {_text(_literal(table, column, low))}"
        f" AND {name} < {kind} {_text(_literal(table, column, high))})"
        for low, high in ranges
    ]
    return " OR ".join(parts)


def _literal(table: Table, column: str, micros: int) -> str:
    kind = table.schema().find_field(column).field_type
    if isinstance(kind, DateType):
        return date.fromordinal(_EPOCH.toordinal() + -(-micros // DAY)).isoformat()
    text = moment(micros).isoformat(timespec="microseconds")
    return text if isinstance(kind, TimestamptzType) else text.removesuffix("+00:00")
