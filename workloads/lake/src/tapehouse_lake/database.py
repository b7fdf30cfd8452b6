"""DuckDB databases in UTC, and one that reads attached Iceberg snapshots and nothing else."""

import tempfile
from collections.abc import Sequence

import duckdb
import pyarrow as pa
from pyiceberg.expressions import BooleanExpression
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import FileScanTask, Table
from pyiceberg.types import PrimitiveType

from tapehouse_lake import null_lists
from tapehouse_lake.ranges import Range, scan_filter, sql_condition
from tapehouse_lake.sql import identifier, literal, read_parquet
from tapehouse_lake.storage import mount, readable_path

null_lists.patch_projection()


def connect(memory: str, threads: int) -> duckdb.DuckDBPyConnection:
    """An empty database in UTC that loads no extensions; `memory` as in `1GB`."""
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": memory,
            "threads": threads,
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection


class Database:
    """An empty DuckDB that reads attached tables and never connects to the network.

    With one thread, sums of floats are the same every time, and a repetition changes nothing.
    """

    def __init__(self, memory: str = "1GB", threads: int = 1) -> None:
        self.connection = connect(memory, threads)
        self._paths: list[str] = []
        self._spill = tempfile.TemporaryDirectory(prefix="tapehouse-duckdb-")
        self.connection.execute(f"SET temp_directory = {literal(self._spill.name)}")
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
            name: `schema.table`, or a name without schema.
            table: as loaded from the catalog.
            snapshot: None for a table without snapshots, which is empty.
            column: of time; only used with `ranges`.
            ranges: None for everything.
        """
        schema, _, _ = name.rpartition(".")
        if schema:
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}")
        view = ".".join(map(identifier, name.split(".")))
        condition = sql_condition(table.schema(), column, ranges)
        source = self._source(name, table, snapshot, scan_filter(table.schema(), column, ranges))
        self.connection.execute(
            f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM {source} WHERE {condition}"  # noqa: S608
        )

    def seal(self) -> None:
        """Restrict following statements to the attached tables: no other files, no settings.

        With tables in an object store files stay reachable: DuckDB reads them through Python.
        """
        if not self.connection.list_filesystems():
            paths = ", ".join(map(literal, self._paths))
            self.connection.execute(f"SET allowed_paths = [{paths}]")
            self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")

    def _source(
        self, name: str, table: Table, snapshot: int | None, row_filter: BooleanExpression
    ) -> str:
        tasks: list[FileScanTask] = []
        if snapshot is not None:
            scan = table.scan(row_filter=row_filter, snapshot_id=snapshot)
            tasks = sorted(scan.plan_files(), key=lambda task: task.file.file_path)
        if not tasks:
            empty = schema_to_pyarrow(table.schema(), include_field_ids=False).empty_table()
            return self._arrow(name, empty)
        if _is_flat(table) and not any(task.delete_files for task in tasks):
            return self._parquet(table, [readable_path(task.file.file_path) for task in tasks])
        # By field id DuckDB reads a null list as an empty one, and it does not apply deletes.
        return self._arrow(name, table.scan(row_filter=row_filter, snapshot_id=snapshot).to_arrow())

    def _arrow(self, name: str, rows: pa.Table) -> str:
        handle = name.replace(".", "__") + "__arrow"
        self.connection.register(handle, rows)
        return identifier(handle)

    def _parquet(self, table: Table, paths: list[str]) -> str:
        mount(self.connection, paths, table.io.properties)
        self._paths += paths
        return read_parquet(paths, table.schema().fields)


def _is_flat(table: Table) -> bool:
    return all(isinstance(field.field_type, PrimitiveType) for field in table.schema().fields)
