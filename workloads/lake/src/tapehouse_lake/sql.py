"""DuckDB's SQL for Iceberg schemas and their Parquet files.

Files keep the column names they were written with. Field ids never change, so columns are resolved
by id: renamed, added and widened columns read correctly from files of any age.
"""

from collections.abc import Iterable

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
    ListType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

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


def identifier(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A quoted SQL string."""
    return "'" + text.replace("'", "''") + "'"


def type_name(kind: IcebergType) -> str:
    """DuckDB's name of an Iceberg type.

    Raises:
        TypeError: DuckDB has no such type.
    """
    if isinstance(kind, DecimalType):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if isinstance(kind, ListType):
        return f"{type_name(kind.element_type)}[]"
    if isinstance(kind, StructType):
        fields = (f"{identifier(f.name)} {type_name(f.field_type)}" for f in kind.fields)
        return f"STRUCT({', '.join(fields)})"
    try:
        return _TYPES[type(kind)]
    except KeyError:
        raise TypeError(f"columns of type {kind} cannot be read with DuckDB") from None


def read_parquet(paths: Iterable[str], fields: Iterable[NestedField]) -> str:
    """A table function call that reads these fields; one that a file does not have is null."""
    files = ", ".join(map(literal, paths))
    columns = ", ".join(
        f"{field.field_id}: {{name: {literal(field.name)}, "
        f"type: {literal(type_name(field.field_type))}, default_value: NULL}}"
        for field in fields
    )
    return f"read_parquet([{files}], schema = MAP {{{columns}}})"
