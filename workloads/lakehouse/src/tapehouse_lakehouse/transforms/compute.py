"""Runs a transform over time ranges and compares the result with the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from pyiceberg.table import Table
from pyiceberg.types import DateType
from tapehouse_lake.database import Database
from tapehouse_lake.ranges import DAY, Range, utc_time
from tapehouse_lake.sql import identifier

from tapehouse_lakehouse.ancestry import MAIN
from tapehouse_lakehouse.model import InvalidError, TableSpec
from tapehouse_lakehouse.transforms.changes import extent, time_partition
from tapehouse_lakehouse.transforms.inputs import Input
from tapehouse_lakehouse.transforms.units import merged, unit, units


@dataclass(frozen=True, slots=True)
class Difference:
    """The rows to write so that the table equals the result of the SQL."""

    rows: pa.Table
    """All rows of the partitions that differ."""
    ranges: tuple[Range, ...] | None
    """The time ranges of these partitions; None for the whole table."""
    changed: int = 0
    """Rows added, changed or removed."""
    corrected: int = 0
    """Of these, existing rows that were not the newest of their key."""


def difference(
    spec: TableSpec,
    target: Table,
    inputs: Mapping[str, Input],
    ranges: Sequence[Range] | None,
) -> Difference | None:
    """Recompute `ranges` (None: everything); None when the table is already equal.

    Raises:
        InvalidError: the SQL fails, or its columns or times are not the table's.
    """
    with Database() as database:
        for name, source in inputs.items():
            timed = time_partition(source.table)
            limits, column = (ranges, timed[0]) if timed else (None, "")
            database.attach(name, source.table, source.snapshot, column, limits)
        head = target.metadata.snapshot_by_name(MAIN)
        snapshot = head.snapshot_id if head else None
        column = _time(target) if ranges is not None else ""
        # Whole partitions are replaced, even if only a part of one is recomputed.
        database.attach("tapehouse.around", target, snapshot, column, _around(target, ranges))
        database.seal()
        connection = database.connection
        connection.execute(
            f"CREATE TABLE tapehouse.old AS FROM tapehouse.around WHERE {_inside(target, ranges)}"
        )
        _compute(connection, spec, target)
        _check_times(connection, spec, target, ranges)
        return _compare(connection, spec, target, ranges)


def one_select(connection: duckdb.DuckDBPyConnection, spec: TableSpec) -> str:
    """The SQL of a transform.

    Raises:
        InvalidError: it is more than one SELECT, or something else.
    """
    statements = connection.extract_statements(spec.producer.sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise InvalidError(f"table {spec.table}: spec.transform.sql: write one SELECT")
    return statements[0].query.strip().rstrip(";")


def _compute(connection: duckdb.DuckDBPyConnection, spec: TableSpec, target: Table) -> None:
    where = f"table {spec.table}: spec.transform.sql"
    try:
        sql = one_select(connection, spec)
        given = connection.execute(f"DESCRIBE {sql}").fetchall()
        _check_columns(where, {row[0] for row in given}, target)
        names = ", ".join(identifier(field.name) for field in target.schema().fields)
        connection.execute("CREATE TABLE tapehouse.new AS FROM tapehouse.old LIMIT 0")
        connection.execute(
            # The SQL may end in a comment.
            f"INSERT INTO tapehouse.new SELECT {names} FROM (\n{sql}\n)"  # noqa: S608
        )
    except duckdb.Error as error:
        raise InvalidError(f"{where}: {error}") from error


def _check_columns(where: str, given: set[str], target: Table) -> None:
    wanted = {field.name for field in target.schema().fields}
    if missing := sorted(wanted - given):
        raise InvalidError(f"{where}: gives no column {', '.join(missing)}; add it to the SELECT")
    if extra := sorted(given - wanted):
        raise InvalidError(f"{where}: gives {', '.join(extra)}, which spec.columns does not have")


def _check_times(
    connection: duckdb.DuckDBPyConnection,
    spec: TableSpec,
    target: Table,
    ranges: Sequence[Range] | None,
) -> None:
    if ranges is None:
        return
    inside = _inside(target, ranges)
    stray = connection.execute(
        f"SELECT {_micros(target)} FROM tapehouse.new "  # noqa: S608
        f"WHERE ({inside}) IS NOT TRUE LIMIT 1"
    ).fetchone()
    if stray is not None:
        shown = "null" if stray[0] is None else utc_time(stray[0]).isoformat()
        raise InvalidError(
            f"table {spec.table}: spec.transform.recompute: a row has {_time(target)}={shown}, "
            "which lies outside the time it was computed from; recompute a longer one, like week"
        )


def _compare(
    connection: duckdb.DuckDBPyConnection,
    spec: TableSpec,
    target: Table,
    ranges: Sequence[Range] | None,
) -> Difference | None:
    connection.execute(
        "CREATE TABLE tapehouse.gone AS FROM tapehouse.old EXCEPT ALL FROM tapehouse.new"
    )
    connection.execute(
        "CREATE TABLE tapehouse.come AS FROM tapehouse.new EXCEPT ALL FROM tapehouse.old"
    )
    changed = _changed(connection, spec)
    if not changed:
        return None
    spans = None if ranges is None else _partitions(connection, target)
    order = ", ".join(_order(spec, target)) or "ALL"
    rows = connection.execute(
        f"FROM (FROM tapehouse.new UNION ALL "
        f"FROM tapehouse.around WHERE NOT ({_inside(target, ranges)})) "
        f"WHERE {_inside(target, spans)} ORDER BY {order}"
    ).to_arrow_table()
    corrected = _corrected(connection, spec, target, ranges)
    return Difference(rows.cast(_arrow(target)), spans, changed, corrected)


def _changed(connection: duckdb.DuckDBPyConnection, spec: TableSpec) -> int:
    """Distinct keys among added and removed rows; a changed row counts once."""
    key = ", ".join(map(identifier, spec.key)) or "*"
    both = f"SELECT {key} FROM tapehouse.gone UNION SELECT {key} FROM tapehouse.come"  # noqa: S608
    return _count(connection, both if spec.key else both.replace("UNION", "UNION ALL"))


def _corrected(
    connection: duckdb.DuckDBPyConnection,
    spec: TableSpec,
    target: Table,
    ranges: Sequence[Range] | None,
) -> int:
    """Published rows that are now different, except the newest of each key, which still change."""
    timed = time_partition(target)
    if timed is None or timed[0] not in spec.key or ranges is None:
        return _count(connection, "FROM tapehouse.gone")
    column = identifier(timed[0])
    group = [identifier(k) for k in spec.key if k != timed[0]]
    same = " AND ".join([f"n.{k} IS NOT DISTINCT FROM g.{k}" for k in group] or ["true"])
    head = target.metadata.snapshot_by_name(MAIN)
    spans = extent(target, head.snapshot_id if head else None)
    closed = spans[-1][0] if spans else 0
    return _count(
        connection,
        f"FROM tapehouse.gone g WHERE {_micros(target)} < {closed} OR EXISTS "
        "(FROM (FROM tapehouse.new UNION ALL FROM tapehouse.around) n "
        f"WHERE {same} AND n.{column} > g.{column})",
    )


def _partitions(connection: duckdb.DuckDBPyConnection, target: Table) -> tuple[Range, ...]:
    timed = time_partition(target)
    if timed is None:
        raise ValueError("only a table partitioned by time is replaced in parts")
    at = _micros(target)
    starts = connection.execute(
        f"SELECT DISTINCT {at} // {DAY // 24} FROM "  # noqa: S608
        "(FROM tapehouse.gone UNION ALL FROM tapehouse.come)"
    ).fetchall()
    return tuple(sorted({unit(timed[1], hour * (DAY // 24)) for (hour,) in starts}))


def _around(target: Table, ranges: Sequence[Range] | None) -> Sequence[Range] | None:
    """The partitions that contain `ranges`."""
    timed = time_partition(target)
    if ranges is None or timed is None:
        return ranges
    return merged(units(timed[1], ranges))


def _inside(target: Table, ranges: Sequence[Range] | None) -> str:
    """The condition on a row that its time is in `ranges`; None: any."""
    if ranges is None:
        return "true"
    at = _micros(target)
    return " OR ".join(f"({at} >= {low} AND {at} < {high})" for low, high in ranges)


def _order(spec: TableSpec, target: Table) -> list[str]:
    """The declared sort order, else the key, so that rows read together are stored together."""
    plain = [field for field in spec.sort if "(" not in field]
    names = {field.name for field in target.schema().fields}
    return [_sorted(f) for f in plain] or [identifier(k) for k in spec.key if k in names]


def _sorted(field: str) -> str:
    name, _, rest = field.partition(" ")
    return f"{identifier(name)} {rest}"


def _micros(target: Table) -> str:
    name = identifier(_time(target))
    if isinstance(target.schema().find_field(_time(target)).field_type, DateType):
        return f"(({name} - DATE '1970-01-01')::BIGINT * {DAY})"
    return f"epoch_us({name})"


def _time(target: Table) -> str:
    timed = time_partition(target)
    return timed[0] if timed else ""


def _arrow(target: Table) -> pa.Schema:
    return target.schema().as_arrow()


def _count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    found = connection.execute(f"SELECT count(*) FROM ({relation})").fetchone()  # noqa: S608
    return int(found[0]) if found else 0
