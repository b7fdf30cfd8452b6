"""The age of a checkpoint's rows when it is published, from the catalog's own files."""

from pyiceberg.conversions import from_bytes
from pyiceberg.exceptions import NoSuchTableError, RESTError
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation
from pyiceberg.types import NestedField, TimestamptzType

from tapehouse_lakehouse.catalog import Lake

ARRIVED = "ingested_at"
"""The column with the time at which a row's event arrived in Kafka."""


def oldest_arrival(lake: Lake, identifier: str, snapshot: int) -> float | None:
    """Arrival time of the oldest row that a snapshot added, in seconds since 1970.

    No data is read: Parquet's bounds are in the manifests. None where the table has no arrival
    times, the snapshot added no rows, or the catalog does not answer.
    """
    try:
        table = lake.catalog.load_table(lake.qualified(identifier))
        field = table.schema().find_field(ARRIVED)
        found = [_lower(file, field) for file in added(table, snapshot)]
    except (RESTError, NoSuchTableError, OSError, ValueError):
        return None
    return min((at / 1e6 for at in found if at is not None), default=None)


def added(table: Table, snapshot: int) -> list[DataFile]:
    """The files with rows that one snapshot appended."""
    found = table.snapshot_by_id(snapshot)
    if found is None or (found.summary and found.summary.operation is not Operation.APPEND):
        return []  # compaction rewrites existing rows
    return [
        entry.data_file
        for manifest in found.manifests(table.io)
        if manifest.added_snapshot_id == snapshot
        for entry in manifest.fetch_manifest_entry(table.io)
        if entry.snapshot_id == snapshot
    ]


def _lower(file: DataFile, field: NestedField) -> int | None:
    """The smallest value of a time, in microseconds."""
    bound = (file.lower_bounds or {}).get(field.field_id)
    if not bound or not isinstance(field.field_type, TimestamptzType):
        return None
    return int(from_bytes(field.field_type, bound))
