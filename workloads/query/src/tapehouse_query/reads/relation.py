"""A snapshot's files as a DuckDB table expression."""

from collections.abc import Iterable

from tapehouse_lake.sql import identifier, read_parquet, type_name

from tapehouse_query.reads.files import File
from tapehouse_query.reads.lake import Snapshot


def relation(snapshot: Snapshot, files: Iterable[File]) -> str:
    """SQL of a table expression with the table's declared columns.

    A column that a file does not have is null, and so is one that the table does not have.
    """
    columns = snapshot.table.columns
    fields = {f.name: f for f in snapshot.schema.fields if f.name in columns}
    missing = [f"NULL AS {identifier(name)}" for name in columns if name not in fields]
    paths = [file.path for file in files]
    if not paths:
        empty = [
            f"NULL::{type_name(field.field_type)} AS {identifier(name)}"
            for name, field in fields.items()
        ]
        return f"(SELECT {', '.join(empty + missing)} WHERE false)"
    names = list(map(identifier, fields))
    source = read_parquet(paths, fields.values())
    return f"(SELECT {', '.join(names + missing)} FROM {source})"  # noqa: S608
