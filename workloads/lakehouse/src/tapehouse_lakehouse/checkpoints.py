"""Reads a job's completed checkpoints from storage, to detect that it does not commit."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pyarrow import fs

from tapehouse_lakehouse.ancestry import Commit

METADATA = "_metadata"
_NUMBER = re.compile(r"chk-(\d+)")
_VARIABLE = re.compile(r"\$\((\w+)\)")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A completed checkpoint."""

    job: str
    number: int
    at_ms: int
    path: str
    """A URI from which a job can start."""


def completed(directory: str) -> list[Checkpoint]:
    """The retained checkpoints below `directory`, a URI, of every Flink job id.

    Variables such as `$(TAPEHOUSE_DATA)` are replaced from the environment.

    Raises:
        OSError: the storage does not answer.
        ValueError: not a URI of a kind that can be read.
    """
    uri = _VARIABLE.sub(lambda name: os.environ.get(name[1], ""), directory).rstrip("/")
    store, root = fs.FileSystem.from_uri(uri)
    found = []
    for job in _names(store, root):
        numbers = [m for m in map(_NUMBER.fullmatch, _names(store, f"{root}/{job}")) if m]
        files = [f"{root}/{job}/{m[0]}/{METADATA}" for m in numbers]
        for match, info in zip(numbers, store.get_file_info(files), strict=True):
            if info.type is fs.FileType.File:
                at_ms = info.mtime_ns // 1_000_000
                found.append(Checkpoint(job, int(match[1]), at_ms, f"{uri}/{job}/{match[0]}"))
    return found


def _names(store: fs.FileSystem, directory: str) -> list[str]:
    selector = fs.FileSelector(directory, allow_not_found=True)
    return [info.base_name for info in store.get_file_info(selector)]


def is_stalled(found: Sequence[Checkpoint], since_ms: int, now_ms: int, interval_ms: float) -> bool:
    """Whether the job completes checkpoints without committing them.

    A job commits a checkpoint before it completes the next. Two checkpoints later than the newest
    commit, the first of them at least an interval old, prove a stall.

    Args:
        found: the completed checkpoints.
        since_ms: the newest commit.
        now_ms: now.
        interval_ms: between two checkpoints.
    """
    later = sorted(each.at_ms for each in found if each.at_ms > since_ms)
    return len(later) >= 2 and later[0] <= now_ms - interval_ms


def restorable(found: Sequence[Checkpoint], commits: Sequence[Commit | None]) -> str:
    """The checkpoint that equals the newest commits; empty when there is none.

    Args:
        found: the completed checkpoints.
        commits: the newest of each table; a checkpoint must be in all of them, or rows would be
            written twice.
    """
    marks = {commit.mark if commit else None for commit in commits}
    oldest = min((commit.at_ms for commit in commits if commit), default=0)
    # A job restarted with its old id overwrites the checkpoints it committed before.
    kept = (c for c in found if marks == {(c.job, c.number)} and c.at_ms <= oldest)
    return next((each.path for each in kept), "")
