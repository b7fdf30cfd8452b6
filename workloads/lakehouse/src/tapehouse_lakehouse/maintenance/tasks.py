"""Upkeep of one table, as its `maintenance` says. Readers and commits go on meanwhile."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask, Table
from pyiceberg.table.snapshots import Operation, Snapshot
from pyiceberg.table.update import (
    AssertRefSnapshotId,
    AssertTableUUID,
    RemoveSnapshotsUpdate,
    TableRequirement,
)
from tapehouse_contracts.durations import seconds, size

from tapehouse_lakehouse import rewrite
from tapehouse_lakehouse.catalog import Lake
from tapehouse_lakehouse.maintenance import files
from tapehouse_lakehouse.maintenance.plan import Small, expired, merges, orphans
from tapehouse_lakehouse.model import Compact, Expire, Orphans, TableSpec

log = logging.getLogger(__name__)

GROUPS_PER_COMMIT = 32
_ATTEMPTS = 5
_TARGET_PROPERTY = "write.target-file-size-bytes"


@dataclass(frozen=True, slots=True)
class Done:
    """What a task did, for the log."""

    before: int = 0
    after: int = 0
    removed: int = 0


def expire(lake: Lake, spec: TableSpec, rule: Expire) -> Done:
    """Forget old snapshots and remove the files only they named."""
    table = _load(lake, spec)
    for _ in range(_ATTEMPTS):
        view = lake.look(spec.identifier, whole=True)
        if view is None:
            return Done()
        limit = int((time.time() - seconds(rule.older_than)) * 1000)
        gone = expired(view, rule.keep_last, limit)
        if not gone:
            return Done(len(view.commits), len(view.commits))
        table = _load(lake, spec)
        old = [s for s in table.metadata.snapshots if s.snapshot_id in gone]
        doomed = files.reachable(table, old)
        # A branch moved back meanwhile may need what this forgets: then look again.
        asserted: list[TableRequirement] = [
            AssertRefSnapshotId(ref=name, snapshot_id=head) for name, head in view.refs.items()
        ]
        asserted.append(AssertTableUUID(uuid=table.metadata.table_uuid))
        update = RemoveSnapshotsUpdate(snapshot_ids=sorted(gone))
        try:
            lake.catalog.commit_table(table, tuple(asserted), (update,))
        except CommitFailedException:
            continue
        table = _load(lake, spec)
        removed = files.remove(table, doomed - files.reachable(table, table.metadata.snapshots))
        return Done(len(view.commits), len(view.commits) - len(gone), removed)
    return Done()


def compact(lake: Lake, spec: TableSpec, rule: Compact, branch: str) -> Done:
    """Merge small files on the branch that its writer goes on with."""
    table = _load(lake, spec)
    head = table.metadata.snapshot_by_name(branch)
    if head is None:
        return Done()
    target = size(rule.target_file_size)
    found = {t.file.file_path: t for t in table.scan(snapshot_id=head.snapshot_id).plan_files()}
    # Files with row-level deletes are another tool's work; no producer here makes any. Those of an
    # older partitioning are divided by today's, which a running job may not know yet.
    small = [_small(task) for task in found.values() if not task.delete_files]
    groups = merges(small, target, rule.min_files)[:GROUPS_PER_COMMIT]
    old = [found[file.path].file for group in groups for file in group]
    new = list(_merged(table, spec, [[found[file.path] for file in group] for group in groups]))
    if not new or rewrite.replace(table, branch, old, new) is None:
        return Done(len(found), len(found))
    return Done(len(found), len(found) - len(old) + len(new))


def sweep(lake: Lake, spec: TableSpec, rule: Orphans) -> Done:
    """Remove files that no snapshot names: left behind by crashes and lost commits."""
    table = _load(lake, spec)
    # Listed first: what is committed after the listing is not in it.
    found = files.present(table)
    table = _load(lake, spec)
    named = files.reachable(table, table.metadata.snapshots) | files.metadata(table)
    committed = max((s.timestamp_ms for s in table.metadata.snapshots if _wrote(s)), default=0)
    gone = orphans(
        found,
        {files.normal(table, path) for path in named},
        int(seconds(rule.older_than) * 1000),
        committed,
        int(time.time() * 1000),
    )
    return Done(len(found), len(found) - len(gone), files.remove(table, gone))


def _wrote(snapshot: Snapshot) -> bool:
    """Whether a producer made it; compaction goes on while a job is stopped."""
    return snapshot.summary is None or snapshot.summary.operation is not Operation.REPLACE


def _small(task: FileScanTask) -> Small:
    file = task.file
    return Small(file.file_path, (file.spec_id, file.partition), file.file_size_in_bytes)


def _merged(
    table: Table, spec: TableSpec, groups: Sequence[Sequence[FileScanTask]]
) -> Iterator[DataFile]:
    """One file per group and partition of today's layout, sorted as declared."""
    whole = {**table.metadata.properties, _TARGET_PROPERTY: str(1 << 40)}
    for group in groups:
        scan = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue())
        rows = _sorted(scan.to_table(group), spec)
        yield from rewrite.write_files(table, rows, whole)


def _sorted(rows: pa.Table, spec: TableSpec) -> pa.Table:
    order = []
    for field in spec.sort:
        name, _, rest = field.partition(" ")
        if name in rows.column_names:
            order.append((name, "descending" if rest.startswith("desc") else "ascending"))
    return rows.sort_by(order) if order else rows


def _load(lake: Lake, spec: TableSpec) -> Table:
    table: Table = lake.catalog.load_table(lake.qualified(spec.identifier))
    return table
