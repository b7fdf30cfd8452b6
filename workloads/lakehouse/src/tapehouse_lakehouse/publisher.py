"""Moves `main` of each job's tables to the newest checkpoint that all of their branches have."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kubernetes import client
from urllib3.exceptions import HTTPError

from tapehouse_lakehouse import checkpoints
from tapehouse_lakehouse.age import oldest_arrival
from tapehouse_lakehouse.ancestry import (
    Advance,
    Commit,
    Hold,
    Move,
    NeedHistory,
    Plan,
    PublishReason,
    TableView,
    plan,
)
from tapehouse_lakehouse.catalog import ConflictError, Lake, UnavailableError
from tapehouse_lakehouse.kube import Results, World
from tapehouse_lakehouse.metrics import Metrics
from tapehouse_lakehouse.model import Published, PublishIntent

log = logging.getLogger(__name__)

FASTEST, SLOWEST = 0.1, 2.0
"""Seconds between two polls of a job's branches."""
STALLED_AFTER = 3.0
"""Checkpoint intervals for which a table may lag behind another before it is stalled."""
DEFAULT_INTERVAL, LEAST_STALL = 20.0, 10.0
"""Seconds: for a job without a known interval; and the minimum before a stall is reported."""
SAMPLE_SECONDS = 5.0
"""Seconds between two samples of row age from manifests."""
CHECK_STALL_AFTER = 2.0
"""Intervals without a commit after which the job's checkpoints are read."""

_MESSAGES = {
    PublishReason.PUBLISHED: "readers see this revision's checkpoints",
    PublishReason.AWAITING_CHECKPOINT: "no checkpoint is on the branch yet",
    PublishReason.TABLE_MISSING: "the catalog has no such table",
    PublishReason.COMMIT_STALLED: "the job completes checkpoints that this table lacks",
    PublishReason.BRANCH_DIVERGED: (
        "the branch lacks rows that readers see: fork it from main's snapshot"
    ),
    PublishReason.DIRECT_WRITE: (
        "main was written by something else: it stays; set main back to go on"
    ),
    PublishReason.LINEAGE_BROKEN: (
        "snapshots between main and the branch were expired: set main by hand"
    ),
}


@dataclass
class _Follow:
    """The state of one job between polls; a cache, not needed for correctness."""

    intent: PublishIntent
    due: float = 0.0
    turn: int = 0
    cadence: float = 5.0
    views: dict[str, TableView | None] = field(default_factory=dict)
    put: dict[str, int] = field(default_factory=dict)
    apart_since: float | None = None
    """Since when a table has had a checkpoint that another lacks, without a move."""
    began_ms: int = 0
    """When it was first polled; earlier commits are not its own."""
    changed: float = 0.0
    """When the branches last changed."""
    looked: float = 0.0
    """When the job's checkpoints were last read."""
    restore: str | None = None
    """The checkpoint from which a stalled job can restart; empty if there is none."""


class Publisher:
    """The only mover of `main` in a namespace."""

    def __init__(
        self,
        lake: Lake,
        results: Results,
        metrics: Metrics,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 10**6,
    ) -> None:
        self.lake = lake
        self._clock_ms = clock_ms
        self.catalog_error = ""
        self._results = results
        self._metrics = metrics
        self._jobs: dict[str, _Follow] = {}
        self._pending: dict[str, Published] = {}
        self._written: dict[str, Published] = {}
        self._next_sample = 0.0

    def step(self, world: World, now: float) -> float:
        """Do what is due at `now` (monotonic seconds); returns when the next step is due."""
        self._adopt(world)
        for follow in self._jobs.values():
            if follow.due <= now:
                follow.due = now + self._poll(follow, now)
        self._write_results(world)
        return min((f.due for f in self._jobs.values()), default=now + SLOWEST)

    def _adopt(self, world: World) -> None:
        for name in [n for n in self._jobs if n not in world.intents]:
            for table in self._jobs.pop(name).intent.tables:
                self.lake.forget(table)
                self._metrics.forget(table)
        for name, intent in world.intents.items():
            if name not in self._jobs or self._jobs[name].intent != intent:
                self._jobs[name] = _Follow(intent, began_ms=self._clock_ms())

    def _poll(self, follow: _Follow, now: float) -> float:
        """Poll, and move if something is new; returns seconds until the next poll."""
        try:
            pause = self._follow(follow, now)
        except UnavailableError as error:
            self._metrics.catalog_errors.inc()
            self._metrics.catalog_up.set(0)
            if not self.catalog_error:
                log.warning("the catalog does not answer, retrying: %s", error)
            self.catalog_error = str(error)
            return SLOWEST
        except ConflictError as error:
            self._metrics.conflicts.inc()
            log.info("a table changed while main was moved, retrying: %s", error)
            follow.views.clear()
            return FASTEST
        self._metrics.catalog_up.set(1)
        self.catalog_error = ""
        return pause

    def _follow(self, follow: _Follow, now: float) -> float:
        if not self._anything_new(follow):
            self._check_for_stall(follow, now)
            return self._pause(follow)
        follow.changed, follow.restore = now, None
        intent = follow.intent
        follow.views = {table: self.lake.look(table) for table in intent.tables}
        decision = plan(intent.branch, follow.views, follow.put)
        if isinstance(decision, NeedHistory):
            for table in decision.tables:
                follow.views[table] = self.lake.look(table, whole=True)
            decision = plan(intent.branch, follow.views, follow.put)
        if isinstance(decision, Advance) and decision.moves:
            self._move(follow, decision.moves)
        self._report(follow, decision, now)
        apart = follow.apart_since is not None and now - follow.apart_since < SLOWEST
        return FASTEST if apart else self._pause(follow)

    def _anything_new(self, follow: _Follow) -> bool:
        """Probe one table, in turn: a checkpoint reaches all of them together."""
        tables = follow.intent.tables
        if set(follow.views) != set(tables) or follow.apart_since is not None:
            return True
        table = tables[follow.turn % len(tables)]
        follow.turn += 1
        return self.lake.look(table) is not follow.views[table]

    def _check_for_stall(self, follow: _Follow, now: float) -> None:
        """Nothing is committed: check whether the job completes checkpoints nevertheless."""
        intent = follow.intent
        due = max(
            follow.changed + CHECK_STALL_AFTER * intent.interval, follow.looked + intent.interval
        )
        if not intent.checkpoints or follow.restore is not None or now < due:
            return
        follow.looked = now
        try:
            found = checkpoints.completed(intent.checkpoints)
        except (OSError, ValueError) as error:
            log.warning("checkpoints of %s cannot be read: %s", intent.job, error)
            return
        heads = [_head(follow.views[table], intent.branch) for table in intent.tables]
        since = max([follow.began_ms, *(head.at_ms for head in heads if head)])
        if checkpoints.is_stalled(found, since, self._clock_ms(), 1000 * intent.interval):
            follow.restore = checkpoints.restorable(found, heads)
            log.error("%s completes checkpoints without committing them", intent.job)
            self._report_reasons(follow, dict.fromkeys(intent.tables, PublishReason.COMMIT_STALLED))

    @staticmethod
    def _pause(follow: _Follow) -> float:
        return min(max(follow.cadence / 8, FASTEST), SLOWEST)

    def _move(self, follow: _Follow, moves: tuple[Move, ...]) -> None:
        """Move, then verify the move.

        Iceberg's reference server reports a transaction as done even if it dropped the changes of
        a table to which another client committed at the same moment.
        """
        before = follow.views
        self.lake.move(moves)
        follow.views = before | {move.table: self.lake.look(move.table) for move in moves}
        for move in moves:
            view, known = follow.views[move.table], before[move.table]
            if view is None or view.main != move.new.snapshot:
                raise ConflictError(f"{move.table}: main did not move to {move.new.snapshot}")
            old = known.commits.get(move.old or 0) if known is not None else None
            self._moved(follow, move, old, len(moves))

    def _moved(self, follow: _Follow, move: Move, old: Commit | None, together: int) -> None:
        if old is not None:
            gap = min((move.new.at_ms - old.at_ms) / 1000, 120.0)
            follow.cadence += 0.2 / together * (gap - follow.cadence)
        follow.put[move.table] = move.new.snapshot
        self._metrics.moves.labels(move.table).inc()
        now = time.time()
        lag = max(now - move.new.at_ms / 1000, 0.0)
        self._metrics.lag.labels(move.table).set(lag)
        self._metrics.publish_seconds.labels(move.table).observe(lag)
        self._sample_age(move, now)
        self._show(move.table, move.new.at_ms, move.new.rows)

    def _sample_age(self, move: Move, now: float) -> None:
        """Sample one table at a time: manifests are small, but there are many."""
        if now < self._next_sample:
            return
        self._next_sample = now + SAMPLE_SECONDS
        arrived = oldest_arrival(self.lake, move.table, move.new.snapshot)
        if arrived is not None:
            self._metrics.visible_seconds.labels(move.table).observe(max(now - arrived, 0.0))

    def _show(self, table: str, at_ms: int, rows: int | None) -> None:
        self._metrics.snapshot_time.labels(table).set(at_ms / 1000)
        if rows is not None:
            self._metrics.rows.labels(table).set(rows)

    def _report(self, follow: _Follow, decision: Plan, now: float) -> None:
        reasons = _reasons(follow, decision, now)
        for table in follow.intent.tables:
            if table not in reasons and table not in follow.put:
                self._show_published(follow.views.get(table), table)
        self._report_reasons(follow, reasons)

    def _report_reasons(self, follow: _Follow, reasons: Mapping[str, PublishReason]) -> None:
        intent = follow.intent
        for table in intent.tables:
            reason = reasons.get(table, PublishReason.PUBLISHED)
            self._pending[table] = Published(
                identifier=table,
                revision=intent.revision,
                branch=intent.branch,
                ok=reason is PublishReason.PUBLISHED,
                reason=reason,
                message=_MESSAGES[reason],
                restore=follow.restore or "",
            )

    def _show_published(self, view: TableView | None, table: str) -> None:
        """After a restart, before the first move: show the published snapshot."""
        if view is not None and view.main is not None and (at := view.commits.get(view.main)):
            self._show(table, at.at_ms, at.rows)

    def _write_results(self, world: World) -> None:
        """Write transitions; one that cannot be written, or has no table yet, is retried."""
        for table, result in list(self._pending.items()):
            if self._written.get(table) == result:
                del self._pending[table]
                continue
            spec, uid = world.tables.get(table), world.uids.get(table)
            if spec is None or uid is None:
                continue
            try:
                self._results.write(spec, uid, result)
            except (client.ApiException, HTTPError, OSError) as error:
                log.warning("writing the result of %s failed, retrying: %s", table, error)
                return
            self._written[table] = result
            del self._pending[table]
            log.info("%s: %s on %s (%s)", table, result.reason, result.branch, result.message)


def _reasons(follow: _Follow, decision: Plan, now: float) -> Mapping[str, PublishReason]:
    """The reason of each table; measures how long tables lag behind their job."""
    tables = follow.intent.tables
    if isinstance(decision, NeedHistory):
        return dict.fromkeys(tables, PublishReason.LINEAGE_BROKEN)
    if isinstance(decision, Hold):
        follow.apart_since = None
        blocked = {
            t: r for t, r in decision.reasons.items() if r is not PublishReason.AWAITING_CHECKPOINT
        }
        return {
            t: decision.reasons.get(t, PublishReason.AWAITING_CHECKPOINT) for t in tables
        } | blocked
    if not decision.pending or decision.moves:
        follow.apart_since = None
        return {}
    follow.apart_since = follow.apart_since if follow.apart_since is not None else now
    patience = STALLED_AFTER * (follow.intent.interval or DEFAULT_INTERVAL)
    if now - follow.apart_since < max(patience, LEAST_STALL):
        return {}
    return dict.fromkeys(_behind(follow), PublishReason.COMMIT_STALLED)


def _head(view: TableView | None, branch: str) -> Commit | None:
    return view.commits.get(view.refs.get(branch, 0)) if view is not None else None


def _behind(follow: _Follow) -> list[str]:
    """The tables without a newer commit than `main`, while another table has one."""
    branch = follow.intent.branch
    return [t for t, v in follow.views.items() if v is not None and _level(v, branch)]


def _level(view: TableView, branch: str) -> bool:
    head, main = view.commits.get(view.refs[branch]), view.commits.get(view.main or 0)
    return head is not None and main is not None and head.mark == main.mark


def run(
    publisher: Publisher,
    world: Callable[[], World],
    poke: threading.Event,
    stop: threading.Event,
) -> None:
    """Publish until `stop`; setting `poke` ends a pause early."""
    while not stop.is_set():
        due = publisher.step(world(), time.monotonic())
        poke.wait(max(due - time.monotonic(), 0.05))
        poke.clear()
