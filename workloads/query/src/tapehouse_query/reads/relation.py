"""A snapshot's files as a DuckDB relation, columns mapped by Iceberg field id."""

from collections.abc import Iterable

from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    UUIDType,
)

from tapehouse_query.reads.files import File
from tapehouse_query.reads.lake import Snapshot

_TYPES: dict[type[IcebergType], str] = {
    BooleanType: "BOOLEAN",
    IntegerType: "INTEGER",
    LongType: "BIGINT",
    FloatType: "FLOAT",
    DoubleType: "DOUBLE",
    StringType: "VARCHAR",
    UUIDType: "UUID",
    DateType: "DATE",
    TimestampType: "TIMESTAMP",
    TimestamptzType: "TIMESTAMP WITH TIME ZONE",
}


def relation(snapshot: Snapshot, files: Iterable[File]) -> str:
    """SQL of a table expression with the table's declared columns.

    Names break when a column is renamed; field ids do not. A column that a file does not have is
    null, and so is one that the table does not have.
    """
    columns = snapshot.table.columns
    fields = {f.name: f for f in snapshot.schema.fields if f.name in columns}
    missing = [f'NULL AS "{name}"' for name in columns if name not in fields]
    names = [f'"{name}"' for name in fields]
    paths = ", ".join(_literal(file.path) for file in files)
    if not paths:
        empty = [f'NULL::{sql_type(f.field_type)} AS "{f.name}"' for f in fields.values()]
        return f"(SELECT {', '.join(empty + missing)} WHERE false)"
    entries = ", ".join(
        f"{f.field_id}: {{name: {_literal(f.name)}, type: {_literal(sql_type(f.field_type))},"
        " default_value: NULL}"
        for f in fields.values()
    )
    source = f"read_parquet([{paths}], schema=MAP {{{entries}}})"
    return f"(SELECT {', '.join(names + missing)} FROM {source})"  # noqa: S608


def sql_type(kind: IcebergType) -> str:
    """DuckDB's name of an Iceberg type.

    Raises:
        TypeError: a type that no table of ours has.
    """
    if isinstance(kind, DecimalType):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if isinstance(kind, ListType):
        return f"{sql_type(kind.element_type)}[]"
    if isinstance(kind, StructType):
        inner = ", ".join(f'"{f.name}" {sql_type(f.field_type)}' for f in kind.fields)
        return f"STRUCT({inner})"
    try:
        return _TYPES[type(kind)]
    except KeyError:
        raise TypeError(f"columns of type {kind} cannot be read") from None


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
