"""Replaces data files of a branch in one commit.

PyIceberg 0.12 writes appends, deletes and overwrites only; this adds the two commits it lacks: a
REPLACE (same rows, other files) that yields to concurrent appends, and an overwrite that is only
valid on the snapshot it was computed from.
"""

import itertools
import uuid
from collections.abc import Iterable, Mapping

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.io.pyarrow import _dataframe_to_data_files
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Summary
from pyiceberg.table.update.snapshot import _OverwriteFiles
from pyiceberg.table.update.validate import (
    _validate_data_files_exist,
    _validate_no_new_deletes_for_data_files,
)
from pyiceberg.typedef import EMPTY_DICT
from tapehouse_lake import null_lists

null_lists.patch_projection()

CARRIED = ("flink.", "tapehouse.transform.")
"""Prefixes of summary properties that are read from the newest snapshot: the checkpoint from which
Flink restores, and the input snapshots of a transform."""


class SupersededError(Exception):
    """Another commit came first; the computed rows may be outdated."""


def write_files(
    table: Table, rows: pa.Table, properties: Mapping[str, str] | None = None
) -> list[DataFile]:
    """Write `rows` as data files of the table, split by partition, in their order.

    Args:
        properties: overrides of the table's properties for these files.
    """
    if not rows.num_rows:
        return []
    metadata = table.metadata
    if properties is not None:
        metadata = metadata.model_copy(update={"properties": dict(properties)})
    written = _dataframe_to_data_files(
        table_metadata=metadata,
        df=rows,
        io=table.io,
        write_uuid=uuid.uuid4(),
        counter=itertools.count(0),
    )
    return list(written)


def replace(
    table: Table, branch: str, old: Iterable[DataFile], new: Iterable[DataFile]
) -> int | None:
    """Commit the same rows in other files to `branch`, retrying after concurrent appends.

    Returns:
        The new snapshot, or None if a file of `old` was removed or had rows deleted: then the new
        files are removed and nothing is committed.
    """
    added = list(new)
    transaction = table.transaction()
    commit = _Replace(Operation.OVERWRITE, transaction, table.io, branch=branch)
    try:
        snapshot = _commit(commit, old, added)
        transaction.commit_transaction()
    except (ValidationException, CommitFailedException):
        discard(table, added)
        return None
    return snapshot


def overwrite(
    table: Table,
    branch: str,
    old: Iterable[DataFile],
    new: Iterable[DataFile],
    properties: Mapping[str, str],
) -> int:
    """Replace `old` by other rows, only on the snapshot at which `table` was loaded.

    Raises:
        SupersededError: the branch has moved; the new files are removed.
    """
    added = list(new)
    head = table.metadata.snapshot_by_name(branch)
    operation = Operation.APPEND if head is None else Operation.OVERWRITE
    transaction = table.transaction()
    commit = _Overwrite(
        operation, transaction, table.io, branch=branch, snapshot_properties=dict(properties)
    )
    try:
        snapshot = _commit(commit, old, added)
        transaction.commit_transaction()
    except (ValidationException, CommitFailedException) as error:
        discard(table, added)
        raise SupersededError(f"{'.'.join(table.name())}: {error}") from error
    return snapshot


def discard(table: Table, files: Iterable[DataFile]) -> None:
    """Remove written files that will not be committed."""
    for file in files:
        table.io.delete(file.file_path)


def _commit(commit: _OverwriteFiles, old: Iterable[DataFile], new: Iterable[DataFile]) -> int:
    for file in old:
        commit.delete_data_file(file)
    for file in new:
        commit.append_data_file(file)
    commit.commit()
    return commit.snapshot_id


class _Replace(_OverwriteFiles):
    def _summary(self, snapshot_properties: dict[str, str] = EMPTY_DICT) -> Summary:
        """An overwrite's summary, with the operation REPLACE and the parent's *current* properties.

        A compaction committed after a checkpoint must not appear older than it, or Flink would
        restore and commit that checkpoint again.
        """
        parent = self._transaction.table_metadata.snapshot_by_id(self._parent_snapshot_id or 0)
        own = parent.summary.additional_properties if parent and parent.summary else {}
        carried = {k: v for k, v in own.items() if k.startswith(CARRIED)}
        counted = super()._summary(carried)
        return Summary(Operation.REPLACE, **counted.additional_properties)

    def _validate_concurrency(self) -> None:
        """Appends are allowed; the replaced files must still exist with all their rows."""
        window = self._commit_window
        if window is None or window.head is None or window.is_empty():
            return
        table, files = self._transaction._table, self._deleted_data_files
        _validate_data_files_exist(table, window.head, files, window.base)
        _validate_no_new_deletes_for_data_files(table, window.head, None, files, window.base)


class _Overwrite(_OverwriteFiles):
    def _refresh_for_retry(self) -> None:
        raise CommitFailedException("the branch has moved since this was computed")
