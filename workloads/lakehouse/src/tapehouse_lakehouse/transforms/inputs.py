"""The input tables of a transform, loaded from the catalog."""

from dataclasses import dataclass

from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table

from tapehouse_lakehouse.ancestry import MAIN
from tapehouse_lakehouse.catalog import Lake
from tapehouse_lakehouse.model import InvalidError, TableSpec


@dataclass(frozen=True, slots=True)
class Input:
    """A table the SQL reads, pinned to a snapshot."""

    table: Table
    snapshot: int | None


def pinned(lake: Lake, spec: TableSpec, name: str) -> Input:
    """An input at its published snapshot; raises as `table_of`."""
    table = table_of(lake, spec, name)
    head = table.metadata.snapshot_by_name(MAIN)
    return Input(table, head.snapshot_id if head else None)


def table_of(lake: Lake, spec: TableSpec, identifier: str) -> Table:
    """A table by its identifier.

    Raises:
        InvalidError: the catalog does not have it.
    """
    try:
        table: Table = lake.catalog.load_table(lake.qualified(identifier))
    except NoSuchTableError as error:
        raise InvalidError(
            f"table {spec.table}: the catalog has no table {identifier}; declare it first"
        ) from error
    return table
