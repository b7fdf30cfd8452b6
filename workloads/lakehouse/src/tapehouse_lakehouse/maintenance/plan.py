"""Selects snapshots to expire, files to merge and orphans to remove. Pure."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tapehouse_lakehouse.ancestry import MAIN, Commit, TableView, ancestors

KEPT_JOBS = 5
"""The number of Flink jobs, newest first, whose last checkpoint each branch keeps."""
FULL = 0.75
"""A file of at least this share of the target size is not compacted."""


def expired(view: TableView, keep_last: int, before_ms: int) -> set[int]:
    """Snapshots that may be expired.

    Kept are: the targets of branches and tags; the newest `keep_last` of each branch; those
    committed at or after `before_ms`; those from each branch down to `main`, which the publisher
    follows; and each branch's last checkpoint of every recent Flink job, without which a
    restored job would commit the same data again.
    """
    kept = set(view.refs.values())
    kept |= {c.snapshot for c in view.commits.values() if c.at_ms >= before_ms}
    for head in view.refs.values():
        chain = list(ancestors(view, head))
        kept |= {c.snapshot for c in chain[:keep_last]}
        kept |= {c.snapshot for c in islice(_newest_of_jobs(chain), KEPT_JOBS)}
        kept |= _down_to_main(chain, view.refs.get(MAIN))
    return set(view.commits) - kept


def _newest_of_jobs(chain: Iterable[Commit]) -> Iterator[Commit]:
    seen: set[str] = set()
    for commit in chain:
        if commit.mark is not None and commit.job not in seen:
            seen.add(commit.job)
            yield commit


def _down_to_main(chain: Sequence[Commit], main: int | None) -> set[int]:
    path: set[int] = set()
    for commit in chain:
        path.add(commit.snapshot)
        if commit.snapshot == main:
            return path
    return set()


@dataclass(frozen=True, slots=True)
class Small:
    """A data file that may be merged."""

    path: str
    partition: Any
    """Hashable; files of different partitions are never merged."""
    bytes: int


def merges(files: Iterable[Small], target: int, min_files: int) -> list[list[Small]]:
    """Groups of files to merge, each into one of at most about `target` bytes.

    Only files of similar size are merged: each byte is then rewritten a logarithmic number of
    times, however often small files arrive.
    """
    tiers: dict[tuple[Any, int], list[Small]] = {}
    for file in sorted(files, key=lambda f: f.path):
        if file.bytes < FULL * target:
            tiers.setdefault((file.partition, _tier(file.bytes, target, min_files)), []).append(
                file
            )
    groups: list[list[Small]] = []
    for members in tiers.values():
        if len(members) >= min_files:
            groups += [group for group in _packed(members, target) if len(group) > 1]
    return groups


def _tier(size: int, target: int, base: int) -> int:
    """0 for files up to `base` times smaller than the target, 1 for `base` times smaller ones."""
    return int(math.log(target / max(size, 1), max(base, 2)))


def _packed(files: Sequence[Small], target: int) -> Iterator[list[Small]]:
    group: list[Small] = []
    for file in files:
        if group and sum(f.bytes for f in group) + file.bytes > target:
            yield group
            group = []
        group.append(file)
    if group:
        yield group


def orphans(
    found: Mapping[str, int],
    referenced: set[str],
    older_than_ms: int,
    committed_ms: int,
    now_ms: int,
) -> set[str]:
    """Files to remove: referenced by no snapshot, and too old to be part of a pending commit.

    A stopped job may have written files that its next start commits; all of them are newer than
    its last commit. Age is therefore relative to that commit, not to now.

    Args:
        found: when each file below the table's location was last modified, ms since 1970.
        committed_ms: when the table was last committed to.
    """
    limit = min(now_ms, committed_ms) - older_than_ms
    return {path for path, at in found.items() if at < limit and path not in referenced}
