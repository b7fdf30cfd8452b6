"""One FlinkDeployment: looks, decides, does one step, tells; again and again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tapehouse_laptop.components import Phase
from tapehouse_laptop.context import Context
from tapehouse_laptop.flink.cluster import Cluster
from tapehouse_laptop.flink.config import Endpoint, cluster_configuration, submission
from tapehouse_laptop.flink.decide import Action, Seen, decide
from tapehouse_laptop.flink.errors import StartError
from tapehouse_laptop.flink.pod import Place, lay_out
from tapehouse_laptop.flink.record import Record, newest_state, now_ms
from tapehouse_laptop.flink.rest import FlinkError, Job, JobManager, NoAnswerError
from tapehouse_laptop.flink.spec import Wanted
from tapehouse_laptop.flink.status import Doing, Situation, compose
from tapehouse_laptop.flink.wheel import Wheel
from tapehouse_laptop.kafka.status import report
from tapehouse_laptop.kubeapi import FLINK_DEPLOYMENTS, Key, Manifest
from tapehouse_laptop.node.sources import SourceError, Sources

log = logging.getLogger(__name__)

FINALIZER = "flinkdeployments.flink.apache.org/finalizer"
LOOK_SECONDS, STEADY_SECONDS = 0.5, 3.0
"""Between two looks at the JobManager: while something changes, and when nothing does."""
SILENT_SECONDS = 60.0
"""A JobManager that has not answered for so long is taken for dead."""
SAVEPOINT_SECONDS = 120.0
STOP_ATTEMPTS = 3
COMMIT_SECONDS = 30.0
BACKOFF = (2.0, 60.0)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all deployments share."""

    ctx: Context
    wheel: Wheel
    session: aiohttp.ClientSession
    sources: Sources
    find: Callable[[Key], Manifest | None]
    """The resource as last seen."""

    def record_file(self, key: Key) -> Path:
        """Where the record of a deployment is; it outlives the resource."""
        return self.ctx.data / "flink-jobs" / key.namespace / f"{key.name}.json"


class Deployment:
    """One deployment, from its first sight to the end of its resource."""

    def __init__(self, shared: Surroundings, key: Key, record: Record) -> None:
        self._shared = shared
        self._key = key
        self._record = record
        self._endpoint = Endpoint.of(shared.ctx.net, record.slot)
        self._manager = JobManager(shared.session, self._endpoint.url)
        self._logs = shared.ctx.state.logs / "flink" / f"{key.namespace}-{key.name}"
        self._cluster: Cluster | None = None
        self._wake = asyncio.Event()
        self._job: Job | None = None
        self._doing = Doing.NOTHING
        self._error = ""
        self._version = ""
        self._failures = 0
        self._stops = 0
        self._not_before = 0.0
        self._silent_since: float | None = None

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    async def run(self) -> None:
        """Until the resource is gone, or cancelled: then the processes end, the state stays."""
        try:
            while (item := self._shared.find(self._key)) is not None:
                self._wake.clear()
                pause = await self._safely(Wanted(item))
                try:
                    await asyncio.wait_for(self._wake.wait(), pause)
                except TimeoutError:
                    continue
        finally:
            await self._release()
            self._shared.ctx.components.remove(self._component)

    async def _safely(self, wanted: Wanted) -> float:
        """One step; whatever goes wrong is told and tried again later. Seconds until the next."""
        try:
            busy = await self._step(wanted)
            await self._tell(wanted)
        except Exception as error:  # one job's trouble must not end the others
            log.warning("%s: %s: %s", self._key, type(error).__name__, error)
            log.debug("%s", self._key, exc_info=error)
            return STEADY_SECONDS
        return LOOK_SECONDS if busy else STEADY_SECONDS

    async def _step(self, wanted: Wanted) -> bool:
        """Look and act; whether something is still changing."""
        if wanted.deleting and FINALIZER not in wanted.item["metadata"].get("finalizers", ()):
            return False
        seen = await self._look()
        if seen is None:
            return True
        self._forgive(seen)
        action = decide(wanted, self._record, seen)
        if action is Action.NOTHING:
            if wanted.deleting:
                await self._set_finalizer(wanted, present=False)
            return not (self._job and self._job.state == "RUNNING") and wanted.running
        if self._waiting(action, wanted):
            return False
        log.info("%s: %s", self._key, action.name.lower())
        await self._perform(action, wanted)
        return True

    async def _look(self) -> Seen | None:
        """What is certain; None when the JobManager does not answer."""
        alive = self._cluster is not None and self._cluster.alive
        self._job = self._job if alive else None
        if not alive or not self._record.job_id:
            return Seen(alive)
        try:
            self._job = await self._manager.job(self._record.job_id)
        except NoAnswerError:
            return self._unanswered()
        self._silent_since = None
        return Seen(True, self._job)

    def _unanswered(self) -> Seen | None:
        now = asyncio.get_running_loop().time()
        self._silent_since = self._silent_since or now
        if now - self._silent_since < SILENT_SECONDS:
            return None
        self._silent_since = None
        return Seen(alive=False)

    def _forgive(self, seen: Seen) -> None:
        if seen.job and seen.job.state == "RUNNING":
            self._failures, self._error = 0, ""
        elif seen.job and seen.job.state == "CANCELED":
            self._error = "cancelled from outside; change spec.restartNonce to start it again"

    def _waiting(self, action: Action, wanted: Wanted) -> bool:
        """Whether a pause after failures is not over; the next look is when it is."""
        if action not in (Action.START, Action.RETRY) or wanted.digest != self._record.digest:
            return False
        left = self._not_before - asyncio.get_running_loop().time()
        if left > 0:
            asyncio.get_running_loop().call_later(left, self.wake)
        return left > 0

    async def _perform(self, action: Action, wanted: Wanted) -> None:
        steps: dict[Action, Callable[[Wanted], Awaitable[None]]] = {
            Action.START: self._start,
            Action.STOP: self._stop,
            Action.SAVEPOINT: self._savepoint,
            Action.RETRY: self._retry,
            Action.RELEASE: lambda _: self._release(),
            Action.ABANDON: lambda w: self._leave(w, self._newest(w)),
            Action.DISCARD: lambda w: self._leave(w, ""),
            Action.REWIND: lambda w: self._leave(w, w.initial_savepoint),
        }
        await steps[action](wanted)

    async def _start(self, wanted: Wanted) -> None:
        """Record a new attempt, then start its processes and submit it."""
        await self._set_finalizer(wanted, present=True)
        self._record.begin(wanted)
        self._save()
        self._doing = Doing.STARTING
        await self._tell(wanted)
        try:
            await self._launch(wanted)
            self._error = ""
        except (StartError, SourceError, NoAnswerError, OSError, ValueError) as error:
            await self._failed(wanted, str(error))
        finally:
            self._doing = Doing.NOTHING

    async def _launch(self, wanted: Wanted) -> None:
        await self._release()
        ctx, record = self._shared.ctx, self._record
        place = Place.of(ctx.state, wanted)
        place.clear()
        self._logs.mkdir(parents=True, exist_ok=True)
        environment = lay_out(wanted, place, self._shared.sources, self._endpoint.host, ctx.data)
        configuration = cluster_configuration(wanted, self._endpoint, str(ctx.data), place.scratch)
        cluster = Cluster(ctx.state, self._shared.wheel, place, str(self._key), self._logs)
        self._cluster = cluster
        await cluster.start(configuration, environment, wanted.task_managers, self._on_process)
        lenient = bool(wanted.job.get("allowNonRestoredState", False))
        options = submission(configuration, record.job_id, record.restore, lenient=lenient)
        await cluster.submit(options, environment)
        self._version = str((await self._manager.overview()).get("flink-version", ""))

    async def _failed(self, wanted: Wanted, why: str) -> None:
        """End the attempt and wait before the next."""
        await self._leave(wanted, self._newest(wanted))
        self._error = why
        self._failures += 1
        pause = min(BACKOFF[0] * 2.0 ** (self._failures - 1), BACKOFF[1])
        self._not_before = asyncio.get_running_loop().time() + pause
        log.warning("%s: %s; again in %.0f s", self._key, why, pause)

    async def _retry(self, wanted: Wanted) -> None:
        """The job has failed for good on its JobManager."""
        try:
            why = await self._manager.root_cause(self._record.job_id)
        except (FlinkError, NoAnswerError):
            why = "the job has failed"
        await self._failed(wanted, why)

    async def _stop(self, wanted: Wanted) -> None:
        """Stop with a savepoint; after some tries in vain, take the newest checkpoint instead."""
        self._doing = Doing.STOPPING
        await self._tell(wanted)
        try:
            where = await self._take(wanted, stop=True)
            await self._await_end()
        except (FlinkError, NoAnswerError) as error:
            self._stops += 1
            log.warning("%s: stopping with a savepoint: %s", self._key, error)
            if self._stops < STOP_ATTEMPTS:
                return
            where = self._newest(wanted)
        finally:
            self._doing = Doing.NOTHING
        self._stops = 0
        await self._leave(wanted, where)

    async def _await_end(self) -> None:
        """Wait for the last commit, which comes after the savepoint."""
        async with asyncio.timeout(COMMIT_SECONDS):
            while (job := await self._manager.job(self._record.job_id)) is not None:
                if job.state in ("FINISHED", "FAILED", "CANCELED"):
                    return
                await asyncio.sleep(0.1)

    async def _savepoint(self, wanted: Wanted) -> None:
        try:
            where = await self._take(wanted, stop=False)
        except (FlinkError, NoAnswerError) as error:
            self._error = f"savepoint: {error}"
        else:
            entry = {
                "location": where,
                "timeStamp": now_ms(),
                "triggerType": "MANUAL",
                "triggerNonce": wanted.savepoint_nonce,
                "formatType": "CANONICAL",
            }
            self._record.savepoints = [*self._record.savepoints, entry][-10:]
        self._record.savepoint_nonce = wanted.savepoint_nonce
        self._save()

    async def _take(self, wanted: Wanted, *, stop: bool) -> str:
        # A directory of the attempt's own: what is in it is known to be this job's.
        target = f"{self._directories(wanted)[1]}/{self._record.job_id}"
        return await self._manager.savepoint(
            self._record.job_id, target, stop=stop, timeout=SAVEPOINT_SECONDS
        )

    async def _leave(self, wanted: Wanted, savepoint: str) -> None:
        """End the attempt for good; the next one starts from `savepoint`."""
        await self._release()
        self._record.savepoint = savepoint
        self._record.job_id = ""
        self._job = None
        self._save()

    async def _release(self) -> None:
        if self._cluster:
            await self._cluster.stop()
        self._cluster = None

    def _newest(self, wanted: Wanted) -> str:
        return newest_state(self._record, *self._directories(wanted))

    def _directories(self, wanted: Wanted) -> tuple[str, str]:
        """Where the attempt keeps checkpoints and savepoints."""
        attempt = Wanted({**wanted.item, "spec": self._record.spec or wanted.spec})
        given = attempt.configuration(str(self._shared.ctx.data))
        base = (self._shared.ctx.data / "flink" / self._key.namespace / self._key.name).as_uri()
        checkpoints = given.get("execution.checkpointing.dir", f"{base}/checkpoints")
        savepoints = given.get("execution.checkpointing.savepoint-dir", f"{base}/savepoints")
        return checkpoints.rstrip("/"), savepoints.rstrip("/")

    def _save(self) -> None:
        self._record.save(self._shared.record_file(self._key))

    async def _set_finalizer(self, wanted: Wanted, *, present: bool) -> None:
        meta = wanted.item["metadata"]
        old = meta.get("finalizers") or []
        if (FINALIZER in old) == present:
            return
        new = [*old, FINALIZER] if present else [x for x in old if x != FINALIZER]
        patch = {"metadata": {"finalizers": new}}
        await self._shared.ctx.kube.patch(FLINK_DEPLOYMENTS, self._key, patch)

    def _on_process(self) -> None:
        self._show()
        self.wake()

    @property
    def _component(self) -> str:
        return f"flink/{self._key}"

    def _show(self) -> None:
        cluster = self._cluster
        running = bool(self._job and self._job.state == "RUNNING")
        phase: Phase = "Failed" if self._error else "Ready" if running else "Starting"
        if not self._record.job_id and not self._error:
            phase = "Stopped"
        message = self._error or self._endpoint.url
        pids = cluster.pids if cluster else {}
        self._shared.ctx.components.set(
            self._component, phase, message, pids=pids, log=self._logs / "taskmanager.log"
        )

    async def _tell(self, wanted: Wanted) -> None:
        """Show what is so, in the table of components and in the resource's status."""
        self._show()
        item = self._shared.find(self._key)
        if item is None:
            return
        alive = self._cluster is not None and self._cluster.alive
        situation = Situation(
            Wanted(item), self._record, self._doing, alive, self._job, self._error, self._version
        )
        await report(self._shared.ctx.kube, FLINK_DEPLOYMENTS, item, compose(situation))
