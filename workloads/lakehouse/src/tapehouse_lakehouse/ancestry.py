"""Plans the moves of `main` from the snapshots that the catalog holds. Pure.

A job commits each checkpoint to its branch in every table it writes. `main` of all of them moves
together to the newest checkpoint that all branches have, and only forward.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MAIN = "main"


class PublishReason(StrEnum):
    """Why a table's `main` points where it does; a closed set, shown to users."""

    PUBLISHED = "Published"
    AWAITING_CHECKPOINT = "AwaitingCheckpoint"
    TABLE_MISSING = "TableMissing"
    COMMIT_STALLED = "CommitStalled"
    BRANCH_DIVERGED = "BranchDiverged"
    DIRECT_WRITE = "DirectWrite"
    LINEAGE_BROKEN = "LineageBroken"


@dataclass(frozen=True, slots=True)
class Commit:
    """The fields of a snapshot that publishing needs."""

    snapshot: int
    parent: int | None
    at_ms: int = 0
    job: str = ""
    checkpoint: int | None = None
    rows: int | None = None

    @property
    def mark(self) -> tuple[str, int] | None:
        """Identifies a checkpoint across tables; None for a snapshot that Flink did not commit."""
        return None if self.checkpoint is None or not self.job else (self.job, self.checkpoint)


@dataclass(frozen=True, slots=True)
class TableView:
    """The known state of one table at one moment."""

    uuid: str
    refs: Mapping[str, int]
    commits: Mapping[int, Commit]
    """By snapshot id; may be incomplete."""
    complete: bool = False
    """`commits` holds every snapshot that still exists."""

    @property
    def main(self) -> int | None:
        """The snapshot readers see."""
        return self.refs.get(MAIN)


@dataclass(frozen=True, slots=True)
class Move:
    """`main` of `table` from `old` (None: it does not exist yet) to `new`."""

    table: str
    uuid: str
    old: int | None
    new: Commit


@dataclass(frozen=True, slots=True)
class Advance:
    """Move these together; empty when `main` is current."""

    moves: tuple[Move, ...] = ()
    pending: bool = False
    """One branch has a checkpoint that another does not have yet."""


@dataclass(frozen=True, slots=True)
class Hold:
    """No table may move."""

    reasons: Mapping[str, PublishReason]
    """By table; the other tables of the job wait too."""


@dataclass(frozen=True, slots=True)
class NeedHistory:
    """The complete ancestry of these tables is needed for a decision."""

    tables: frozenset[str]


Plan = Advance | Hold | NeedHistory


@dataclass(frozen=True, slots=True)
class _Path:
    """The branch from its head down to `main`, newest first."""

    commits: tuple[Commit, ...]
    blocked: PublishReason | None = None
    unknown: bool = False
    marks: frozenset[tuple[str, int]] = field(default_factory=frozenset)


def plan(branch: str, views: Mapping[str, TableView | None], put: Mapping[str, int]) -> Plan:
    """Decide the next move of a job's tables.

    Args:
        branch: where the job's live revision commits.
        views: by table; None for a table the catalog does not have.
        put: the snapshot to which this process last moved `main`, by table, on this branch.
    """
    absent = {t: PublishReason.TABLE_MISSING for t, view in views.items() if view is None}
    if absent:
        return Hold(absent)
    present = {t: view for t, view in views.items() if view is not None}
    waiting = {
        t: PublishReason.AWAITING_CHECKPOINT for t, v in present.items() if branch not in v.refs
    }
    if waiting:
        return Hold(dict.fromkeys(waiting, PublishReason.AWAITING_CHECKPOINT))
    paths = {t: _path(branch, view, put.get(t)) for t, view in present.items()}
    if unknown := frozenset(t for t, path in paths.items() if path.unknown):
        return NeedHistory(unknown)
    if blocked := {t: path.blocked for t, path in paths.items() if path.blocked}:
        return Hold(blocked)
    return _advance(present, paths)


def _advance(views: Mapping[str, TableView], paths: Mapping[str, _Path]) -> Plan:
    shared = frozenset.intersection(*(path.marks for path in paths.values())) if paths else None
    newest = {t: _first_mark(path) for t, path in paths.items()}
    pending = len(set(newest.values())) > 1
    if not shared:
        fresh = {
            t: PublishReason.AWAITING_CHECKPOINT for t, view in views.items() if view.main is None
        }
        return Hold(fresh) if fresh else Advance(pending=pending)
    # Branches only grow, so every table has the shared checkpoints in the same order.
    lead = next(iter(paths.values()))
    target = next(c.mark for c in lead.commits if c.mark in shared)
    moves = tuple(
        Move(table, views[table].uuid, views[table].main, commit)
        for table, path in paths.items()
        if (commit := _newest(path, target)).snapshot != views[table].main
    )
    return Advance(moves, pending)


def _first_mark(path: _Path) -> tuple[str, int] | None:
    return next((c.mark for c in path.commits if c.mark), None)


def _newest(path: _Path, mark: tuple[str, int] | None) -> Commit:
    """The newest commit with this mark: compaction repeats the mark of its checkpoint."""
    return next(c for c in path.commits if c.mark == mark)


def _path(branch: str, view: TableView, put: int | None) -> _Path:
    """The commits from the head of `branch` to `main`, both included, if they are connected."""
    chain: list[Commit] = []
    for commit in ancestors(view, view.refs[branch]):
        chain.append(commit)
        if commit.snapshot == view.main:
            break
    reached = bool(chain) and chain[-1].snapshot == view.main
    ended = bool(chain) and chain[-1].parent is None
    if not reached and not view.complete and not ended:
        return _Path((), unknown=True)
    if view.main is not None and not reached:
        return _Path((), blocked=_why_apart(view, ended))
    if put is not None and any(c.snapshot == put for c in chain[:-1]):
        return _Path((), blocked=PublishReason.DIRECT_WRITE)
    return _Path(tuple(chain), marks=frozenset(c.mark for c in chain if c.mark))


def _why_apart(view: TableView, ended: bool) -> PublishReason:
    main = view.commits.get(view.main) if view.main is not None else None
    if main is not None and main.mark is None:
        return PublishReason.DIRECT_WRITE
    return PublishReason.BRANCH_DIVERGED if ended else PublishReason.LINEAGE_BROKEN


def ancestors(view: TableView, head: int | None) -> Iterator[Commit]:
    """`head` and its ancestors, as far as known."""
    while head is not None and (commit := view.commits.get(head)) is not None:
        yield commit
        head = commit.parent
