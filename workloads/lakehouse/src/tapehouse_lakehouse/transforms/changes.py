"""What changed in a table between two snapshots, from its manifests alone."""

from collections.abc import Iterator

from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile, ManifestEntryStatus
from pyiceberg.partitioning import PartitionField
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot
from pyiceberg.transforms import (
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    YearTransform,
)
from pyiceberg.types import DateType, PrimitiveType, TimestampType, TimestamptzType
from tapehouse_lake.ranges import DAY, Range

from tapehouse_lakehouse.ancestry import MAIN
from tapehouse_lakehouse.transforms.units import Changes, Recompute, unit

_GRAINS = {
    HourTransform: Recompute.HOUR,
    DayTransform: Recompute.DAY,
    MonthTransform: Recompute.MONTH,
    YearTransform: Recompute.YEAR,
    IdentityTransform: Recompute.DAY,
}


def time_partition(table: Table) -> tuple[str, Recompute] | None:
    """The column and grain of the first partition field over time, if there is one."""
    for field in table.spec().fields:
        source = table.schema().find_field(field.source_id)
        if isinstance(source.field_type, _times(field)):
            return source.name, _GRAINS[type(field.transform)]
    return None


def since(table: Table, old: int | None, new: int | None) -> Changes:
    """The times that the commits after `old` up to `new` changed, by the partition's unit.

    Everything, when `old` is not an ancestor of `new` (any more), or there is no time partition.
    Commits that only rewrote files are ignored.
    """
    if old == new:
        return Changes()
    if old is None or new is None:
        return Changes(everything=True)
    found: set[Range] = set()
    for snapshot in _back(table, new, old):
        if snapshot is None or _counted(snapshot, "added-delete-files"):
            return Changes(everything=True)
        spans = {file_range(table, file) for file in _touched(table, snapshot)}
        if None in spans:
            return Changes(everything=True)
        found |= {span for span in spans if span is not None}
    return Changes(tuple(sorted(found)))


def file_range(table: Table, file: DataFile) -> Range | None:
    """The times a data file may contain, from its column bounds; None without bounds."""
    timed = time_partition(table)
    if timed is None:
        return None
    field = table.schema().find_field(timed[0])
    low = (file.lower_bounds or {}).get(field.field_id)
    high = (file.upper_bounds or {}).get(field.field_id)
    if (file.null_value_counts or {}).get(field.field_id) == file.record_count:
        return 0, 0  # Rows without a time belong to no range.
    if low is None or high is None or not isinstance(field.field_type, PrimitiveType):
        return None
    scale = DAY if isinstance(field.field_type, DateType) else 1
    return (
        int(from_bytes(field.field_type, low)) * scale,
        int(from_bytes(field.field_type, high)) * scale + 1,
    )


def extent(table: Table, snapshot: int | None) -> list[Range]:
    """The ranges of all files of a snapshot, rounded out to the partition's grain."""
    timed = time_partition(table)
    if snapshot is None or timed is None:
        return []
    spans = (file_range(table, task.file) for task in table.scan(snapshot_id=snapshot).plan_files())
    return sorted(
        {(unit(timed[1], s[0])[0], unit(timed[1], s[1] - 1)[1]) for s in spans if s and any(s)}
    )


def straddles(table: Table, grain: Recompute) -> bool:
    """Whether a file of `main` spans several partitions of the current spec.

    Such files are older than the spec; they can only be replaced together.
    """
    head = table.metadata.snapshot_by_name(MAIN)
    if head is None:
        return False
    for task in table.scan(snapshot_id=head.snapshot_id).plan_files():
        span = file_range(table, task.file)
        if span is None or unit(grain, span[0]) != unit(grain, max(span[1] - 1, span[0])):
            return True
    return False


def _times(field: PartitionField) -> tuple[type, ...]:
    if isinstance(field.transform, IdentityTransform):
        return (DateType,)
    if isinstance(field.transform, tuple(_GRAINS)):
        return (DateType, TimestampType, TimestamptzType)
    return ()


def _back(table: Table, new: int, old: int) -> Iterator[Snapshot | None]:
    """Commits from `new` to before `old`; ends with None when `old` is not among them."""
    known = {s.snapshot_id: s for s in table.metadata.snapshots}
    at: int | None = new
    while at != old:
        snapshot = known.get(at) if at is not None else None
        yield snapshot
        if snapshot is None:
            return
        at = snapshot.parent_snapshot_id


def _touched(table: Table, snapshot: Snapshot) -> Iterator[DataFile]:
    if snapshot.summary is not None and snapshot.summary.operation is Operation.REPLACE:
        return
    if not _counted(snapshot, "added-data-files", "deleted-data-files"):
        return
    for manifest in snapshot.manifests(table.io):
        if manifest.added_snapshot_id != snapshot.snapshot_id:
            continue
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False):
            mine = entry.snapshot_id in (None, snapshot.snapshot_id)
            if mine and entry.status is not ManifestEntryStatus.EXISTING:
                yield entry.data_file


def _counted(snapshot: Snapshot, *counts: str) -> bool:
    said = snapshot.summary.additional_properties if snapshot.summary is not None else {}
    return any(int(said.get(count, "0")) for count in counts)
