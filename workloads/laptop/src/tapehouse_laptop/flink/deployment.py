"""One FlinkDeployment: looks, decides, does one step, tells; again and again."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from tapehouse_laptop.components import Phase
from tapehouse_laptop.flink.attempts import Attempts, Shared
from tapehouse_laptop.flink.decide import Action, Seen, decide
from tapehouse_laptop.flink.errors import StartError
from tapehouse_laptop.flink.record import Record
from tapehouse_laptop.flink.rest import FlinkError, Job, NoAnswerError
from tapehouse_laptop.flink.spec import Wanted
from tapehouse_laptop.flink.status import Doing, Situation, compose
from tapehouse_laptop.kafka.status import report
from tapehouse_laptop.kubeapi import FLINK_DEPLOYMENTS, Key
from tapehouse_laptop.node.sources import SourceError

log = logging.getLogger(__name__)

FINALIZER = "flinkdeployments.flink.apache.org/finalizer"
LOOK_SECONDS, STEADY_SECONDS = 0.5, 3.0
"""Between two looks at the JobManager: while something changes, and when nothing does."""
SILENT_SECONDS = 60.0
"""A JobManager that has not answered for so long is taken for dead."""
STOP_ATTEMPTS = 3
BACKOFF = (2.0, 60.0)
MISSING_SECONDS, MISSING_PATIENCE = 0.3, 5.0
"""Between two looks for what a Pod mounts and is not there yet; when that is told as a failure."""
FAILING = ("FAILING", "RESTARTING")
"""States between a failure and the next attempt of Flink's own restart strategy."""
CANCELLED = "cancelled from outside; change spec.restartNonce to start it again"


class Deployment:
    """One deployment, from its first sight to the end of its resource."""

    def __init__(self, shared: Shared, key: Key, record: Record) -> None:
        self._shared = shared
        self._key = key
        self._attempts = Attempts(shared, key, record, self._on_process)
        self._wake = asyncio.Event()
        self._job: Job | None = None
        self._begun = ""
        self._doing = Doing.NOTHING
        self._error = ""
        self._missing_since: float | None = None
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
            await self._attempts.release()
            self._shared.ctx.components.remove(self._component)

    async def _safely(self, wanted: Wanted) -> float:
        """One step; whatever goes wrong is told and tried again later. Seconds until the next."""
        try:
            busy = await self._step(wanted)
            await self._tell()
        except Exception as error:  # one job's trouble must not end the others
            log.warning("%s: %s: %s", self._key, type(error).__name__, error)
            log.debug("%s", self._key, exc_info=error)
            return STEADY_SECONDS
        return LOOK_SECONDS if busy else STEADY_SECONDS

    async def _step(self, wanted: Wanted) -> bool:
        """Look and act; whether something is still changing."""
        if wanted.deleting and not wanted.has_finalizer(FINALIZER):
            return False
        seen = await self._look()
        if seen is None:
            return True
        await self._judge(seen.job)
        await self._begin(seen.job)
        action = decide(wanted, self._attempts.record, seen)
        if action is Action.NOTHING:
            if wanted.deleting:
                await self._set_finalizer(wanted, present=False)
            return wanted.running and not (seen.job and seen.job.state == "RUNNING")
        if self._paused(action, wanted):
            return False
        log.info("%s: %s", self._key, action.name.lower())
        await self._perform(action, wanted)
        return True

    async def _look(self) -> Seen | None:
        """What is certain; None when the JobManager does not answer."""
        if not self._attempts.alive:
            self._job = None
            return Seen(alive=False)
        try:
            self._job = await self._attempts.job()
        except NoAnswerError:
            return self._silence()
        self._silent_since = None
        return Seen(True, self._job)

    def _silence(self) -> Seen | None:
        now = asyncio.get_running_loop().time()
        self._silent_since = self._silent_since or now
        if now - self._silent_since < SILENT_SECONDS:
            return None
        self._silent_since = None
        return Seen(alive=False)

    async def _judge(self, job: Job | None) -> None:
        if job and job.state == "RUNNING":
            self._failures, self._error = 0, ""
            self._shared.line.leave(self._key)
        elif job and job.state == "CANCELED":
            self._error = CANCELLED
        elif job and job.state in FAILING:
            # Without the cause, a job that restarts for ever only says that it restarts.
            with contextlib.suppress(FlinkError, NoAnswerError):
                self._error = await self._attempts.manager.root_cause(job.job_id)

    async def _begin(self, job: Job | None) -> None:
        """Have a job's first checkpoint taken as soon as all of its tasks run.

        Flink's own timer does not wait for them: what it asks for a moment too soon fails, and the
        first rows are on their way for an interval more.
        """
        if job is None or job.state != "RUNNING" or job.job_id == self._begun:
            return
        self._begun = job.job_id
        try:
            await self._attempts.manager.checkpoint(job.job_id)
        except (FlinkError, NoAnswerError) as error:
            log.info("%s: the first checkpoint comes by itself: %s", self._key, error)

    def _paused(self, action: Action, wanted: Wanted) -> bool:
        """Whether the pause after a failure is not over, for the same spec."""
        if action not in (Action.START, Action.RETRY):
            return False
        if wanted.digest != self._attempts.record.digest:
            return False
        loop = asyncio.get_running_loop()
        left = self._not_before - loop.time()
        if left > 0:
            loop.call_later(left, self.wake)
        return left > 0

    async def _perform(self, action: Action, wanted: Wanted) -> None:
        attempts = self._attempts
        steps: dict[Action, Callable[[], Awaitable[None]]] = {
            Action.START: lambda: self._start(wanted),
            Action.STOP: lambda: self._stop(wanted),
            Action.SAVEPOINT: lambda: self._savepoint(wanted),
            Action.RETRY: lambda: self._retry(wanted),
            Action.RELEASE: attempts.release,
            Action.ABANDON: lambda: self._leave(attempts.newest(wanted)),
            Action.DISCARD: lambda: self._leave(""),
            Action.REWIND: lambda: self._leave(wanted.initial_savepoint),
        }
        await steps[action]()

    async def _start(self, wanted: Wanted) -> None:
        """Record a new attempt, then start its processes and submit it."""
        await self._set_finalizer(wanted, present=True)
        self._attempts.begin(wanted)
        self._doing = Doing.STARTING
        await self._tell()
        try:
            environment = await self._attempts.lay_out(wanted)
            await self._found()
            await self._attempts.launch(wanted, environment)
            self._error = ""
        except SourceError as error:
            await self._missing(wanted, error)
        except (StartError, NoAnswerError, OSError, ValueError) as error:
            await self._failed(wanted, str(error))
        finally:
            self._doing = Doing.NOTHING

    async def _missing(self, wanted: Wanted, error: SourceError) -> None:
        """What the Pod mounts is not there yet, as a Secret that is still being made."""
        now = asyncio.get_running_loop().time()
        self._missing_since = self._missing_since or now
        patient = now - self._missing_since < MISSING_PATIENCE
        await self._pause(wanted, "" if patient else str(error), MISSING_SECONDS)

    async def _found(self) -> None:
        """What was missing is there, long before the job runs: it is told no longer."""
        if self._missing_since is not None:
            self._missing_since, self._error = None, ""
            await self._tell()

    async def _failed(self, wanted: Wanted, why: str) -> None:
        """End the attempt and wait, longer each time, before the next."""
        self._failures += 1
        pause = min(BACKOFF[0] * 2.0 ** (self._failures - 1), BACKOFF[1])
        await self._pause(wanted, why, pause)
        log.warning("%s: %s; again in %.0f s", self._key, why, pause)

    async def _pause(self, wanted: Wanted, why: str, seconds: float) -> None:
        """End the attempt; the next one goes on from its newest state, in a while."""
        await self._leave(self._attempts.newest(wanted))
        self._error = why
        self._not_before = asyncio.get_running_loop().time() + seconds

    async def _retry(self, wanted: Wanted) -> None:
        """The job has failed for good on its JobManager."""
        try:
            why = await self._attempts.manager.root_cause(self._attempts.record.job_id)
        except (FlinkError, NoAnswerError):
            why = "the job has failed"
        await self._failed(wanted, why)

    async def _stop(self, wanted: Wanted) -> None:
        """Stop with a savepoint; after some tries in vain, take the newest checkpoint instead."""
        self._doing = Doing.STOPPING
        await self._tell()
        try:
            where = await self._attempts.stop(wanted)
        except (FlinkError, NoAnswerError, TimeoutError) as error:
            self._stops += 1
            log.warning("%s: stopping with a savepoint: %s", self._key, error)
            if self._stops < STOP_ATTEMPTS and not wanted.deleting:
                return
            where = self._attempts.newest(wanted)
        finally:
            self._doing = Doing.NOTHING
        self._stops = 0
        await self._leave(where)

    async def _savepoint(self, wanted: Wanted) -> None:
        try:
            await self._attempts.savepoint(wanted)
        except (FlinkError, NoAnswerError) as error:
            log.warning("%s: savepoint %s: %s", self._key, wanted.savepoint_nonce, error)
        self._attempts.record.savepoint_nonce = wanted.savepoint_nonce
        self._attempts.save()

    async def _leave(self, savepoint: str) -> None:
        await self._attempts.leave(savepoint)
        self._job = None

    async def _set_finalizer(self, wanted: Wanted, *, present: bool) -> None:
        if wanted.has_finalizer(FINALIZER) == present:
            return
        old = wanted.item["metadata"].get("finalizers") or []
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
        attempts = self._attempts
        running = bool(self._job and self._job.state == "RUNNING")
        phase: Phase = "Failed" if self._error else "Ready" if running else "Starting"
        if not attempts.record.job_id and not self._error:
            phase = "Stopped"
        self._shared.ctx.components.set(
            self._component,
            phase,
            self._error or attempts.endpoint.url,
            pids=attempts.pids,
            log=attempts.logs / "taskmanager.log",
        )

    async def _tell(self) -> None:
        """Show what is so, in the table of components and in the resource's status."""
        self._show()
        item = self._shared.find(self._key)
        if item is None:
            return
        attempts = self._attempts
        situation = Situation(
            wanted=Wanted(item),
            record=attempts.record,
            doing=self._doing,
            alive=attempts.alive,
            job=self._job,
            error=self._error,
            version=attempts.version,
        )
        await report(self._shared.ctx.kube, FLINK_DEPLOYMENTS, item, compose(situation))
