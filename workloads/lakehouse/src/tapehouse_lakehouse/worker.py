"""Runs transforms, dimension loads and maintenance in the publisher's process, one at a time.

Running one at a time is the lock: no two of these tasks ever write a table concurrently."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import duckdb
from kubernetes import client
from pyiceberg.exceptions import RESTError
from requests import RequestException
from tapehouse_contracts.durations import seconds
from tapehouse_contracts.schedules import next_run
from urllib3.exceptions import HTTPError

from tapehouse_lakehouse.ancestry import MAIN
from tapehouse_lakehouse.catalog import Lake, UnavailableError
from tapehouse_lakehouse.dimensions.load import load
from tapehouse_lakehouse.kube import Results, World
from tapehouse_lakehouse.maintenance import tasks
from tapehouse_lakehouse.metrics import Metrics
from tapehouse_lakehouse.model import InvalidError, Published, TableSpec
from tapehouse_lakehouse.rewrite import SupersededError
from tapehouse_lakehouse.transforms.run import Outcome, run

T = TypeVar("T")

log = logging.getLogger(__name__)

BETWEEN_LOOKS = 1.0
"""Seconds between two passes over the tables."""
SHARE = 9.0
"""A transform pauses for at least this multiple of its run time."""
SHORTEST_REST = 2.0
EXPIRE_EVERY = 300.0
SWEEP_EVERY = 6 * 3600.0
BACKOFF = (5.0, 300.0)
"""First and longest pause after a failure, in seconds."""

_EXPECTED = (
    InvalidError,
    SupersededError,
    UnavailableError,
    RESTError,
    RequestException,
    duckdb.Error,
    OSError,
)


@dataclass
class _Task:
    """A recurring task of one table."""

    name: str
    spec: TableSpec
    due: float
    """Monotonic seconds."""
    failures: int = 0
    seen: Mapping[str, int | None] | None = None
    """A transform's input snapshots at its last run."""
    planned: datetime | None = None
    """When a scheduled transform runs next."""


class Worker:
    """Runs due tasks; a restart loses no state."""

    def __init__(
        self,
        lake: Lake,
        results: Results,
        metrics: Metrics,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._lake = lake
        self._results = results
        self._metrics = metrics
        self._clock = clock
        self._tasks: dict[tuple[str, str], _Task] = {}
        self._said: dict[str, Published] = {}

    def step(self, world: World, now: float) -> None:
        """Do everything that is due at `now` (monotonic seconds), one after the other."""
        self._adopt(world, now)
        for task in list(self._tasks.values()):
            if task.due <= now:
                self._attempt(task, world, now)

    def _adopt(self, world: World, now: float) -> None:
        wanted = {
            (spec.identifier, name): (spec, delay)
            for spec in world.tables.values()
            for name, delay in _wanted(spec)
        }
        self._tasks = {k: t for k, t in self._tasks.items() if k in wanted}
        for key, (spec, delay) in wanted.items():
            task = self._tasks.get(key)
            if task is None:
                self._tasks[key] = _Task(key[1], spec, now + delay)
            elif task.spec != spec:
                self._tasks[key] = _Task(key[1], spec, min(now + delay, task.due))

    def _attempt(self, task: _Task, world: World, now: float) -> None:
        table = task.spec.identifier
        began = time.monotonic()
        try:
            rest = self._perform(task, world)
        except Exception as error:
            # Any exception: the other tables and the publisher must continue.
            task.failures += 1
            rest = min(BACKOFF[0] * 2.0 ** (task.failures - 1), BACKOFF[1])
            self._metrics.task_failures.labels(task.name, table).inc()
            unexpected = not isinstance(error, _EXPECTED)
            text = "%s of %s failed, retrying in %.0f s: %s"
            log.warning(text, task.name, table, rest, error, exc_info=unexpected)
            self._say(task, world, str(error))
        else:
            task.failures = 0
            self._say(task, world, "")
        task.due = now + (time.monotonic() - began) + rest

    def _perform(self, task: _Task, world: World) -> float:
        """Run it; returns the pause in seconds."""
        upkeep = task.spec.maintenance
        if task.name == "transform":
            return self._transform(task)
        if task.name == "load":
            self._timed(task, lambda: load(self._lake, task.spec, self._clock()))
            return float("inf")  # No retry until the declaration changes.
        if task.name == "expire" and upkeep and (expire := upkeep.expire):
            self._timed(task, lambda: tasks.expire(self._lake, task.spec, expire))
            return EXPIRE_EVERY
        if task.name == "sweep" and upkeep and (rule := upkeep.orphans):
            self._timed(task, lambda: tasks.sweep(self._lake, task.spec, rule))
            return SWEEP_EVERY
        if upkeep and (compact := upkeep.compact):
            if (branch := live_branch(task.spec, world)) is not None:
                self._timed(task, lambda: tasks.compact(self._lake, task.spec, compact, branch))
            return seconds(compact.every)
        return EXPIRE_EVERY

    def _transform(self, task: _Task) -> float:
        producer, now = task.spec.producer, self._clock()
        due = task.planned is not None and task.planned <= now
        if producer.schedule is not None and (due or task.planned is None):
            task.planned = next_run(producer.schedule, now)
        first = task.seen is None
        if not (due or first or (producer.on_snapshot and self._news(task))):
            return BETWEEN_LOOKS
        began = time.monotonic()
        if task.spec.scd is not None:
            heads = self._heads(task)
            self._timed(task, lambda: load(self._lake, task.spec, self._clock()))
            task.seen = heads
        else:
            outcome: Outcome = self._timed(task, lambda: run(self._lake, task.spec, task.seen))
            task.seen = outcome.seen
            self._metrics.corrected.labels(task.spec.identifier).inc(outcome.corrected)
        return max(SHARE * (time.monotonic() - began), SHORTEST_REST)

    def _news(self, task: _Task) -> bool:
        return self._heads(task) != task.seen

    def _heads(self, task: _Task) -> dict[str, int | None]:
        """The published snapshots of a transform's inputs."""
        views = {name: self._lake.look(name) for name in task.spec.producer.inputs}
        return {name: view.main if view else None for name, view in views.items()}

    def _timed(self, task: _Task, do: Callable[[], T]) -> T:
        with self._metrics.task_seconds.labels(task.name, task.spec.identifier).time():
            done = do()
        log.info("%s of %s: %s", task.name, task.spec.identifier, done)
        return done

    def _say(self, task: _Task, world: World, problem: str) -> None:
        """Report the state of a produced table; failed maintenance does not affect its rows."""
        if task.name not in ("transform", "load"):
            return
        table = task.spec.identifier
        said = Published(
            identifier=table,
            revision=0,
            branch=MAIN,
            ok=not problem,
            reason="TaskFailed" if problem else "Published",
            message=problem or "readers see what the inputs say",
        )
        uid = world.uids.get(table)
        if uid is None or self._said.get(table) == said:
            return
        try:
            self._results.write(task.spec, uid, said)
            self._said[table] = said
        except (client.ApiException, HTTPError, OSError) as error:
            log.warning("writing the result of %s failed, retrying: %s", table, error)


def live_branch(spec: TableSpec, world: World) -> str | None:
    """The branch that a table's producer writes; None while its job is not known."""
    if spec.producer.type != "stream":
        return MAIN
    branches = (i.branch for i in world.intents.values() if spec.identifier in i.tables)
    return next(branches, None)


def _wanted(spec: TableSpec) -> Iterator[tuple[str, float]]:
    """The tasks of a table with the delay after it is first seen; none if suspended.

    Maintenance starts late and staggered: a restart has more urgent work.
    """
    if spec.suspend:
        return
    if spec.producer.type == "transform":
        yield "transform", 0.0
    if spec.producer.type == "rows":
        yield "load", 0.0
    upkeep = spec.maintenance
    stagger = sum(spec.identifier.encode()) % 60
    if upkeep and upkeep.compact:
        yield "compact", 60.0 + stagger
    if upkeep and upkeep.expire:
        yield "expire", 90.0 + stagger
    if upkeep and upkeep.orphans:
        yield "sweep", 600.0 + 10 * stagger


def work(worker: Worker, world: Callable[[], World], stop: threading.Event) -> None:
    """Work until `stop`; a running task is finished first."""
    while not stop.wait(BETWEEN_LOOKS):
        worker.step(world(), time.monotonic())
