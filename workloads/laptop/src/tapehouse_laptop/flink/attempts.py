"""The attempts of one deployment to run its job, one after another: begun, stopped, left."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tapehouse_laptop.context import Context
from tapehouse_laptop.flink.cluster import Cluster
from tapehouse_laptop.flink.config import Endpoint, cluster_configuration, submission
from tapehouse_laptop.flink.line import Line
from tapehouse_laptop.flink.pod import Place, lay_out
from tapehouse_laptop.flink.record import Record, newest_state, now_ms
from tapehouse_laptop.flink.rest import Job, JobManager
from tapehouse_laptop.flink.spec import Wanted
from tapehouse_laptop.flink.wheel import Wheel
from tapehouse_laptop.kubeapi import Key, Manifest
from tapehouse_laptop.node.sources import Sources

SAVEPOINT_SECONDS = 120.0
COMMIT_SECONDS = 30.0
SAVEPOINTS_REMEMBERED = 10
ENDED = frozenset({"FINISHED", "FAILED", "CANCELED"})


@dataclass(frozen=True, slots=True)
class Shared:
    """What all deployments share."""

    ctx: Context
    wheel: Wheel
    session: aiohttp.ClientSession
    sources: Sources
    find: Callable[[Key], Manifest | None]
    """The resource as last seen."""
    line: Line

    def record_file(self, key: Key) -> Path:
        """Where the record of a deployment is; it outlives the resource."""
        return self.ctx.data / "flink-jobs" / key.namespace / f"{key.name}.json"


class Attempts:
    """The record of a deployment and the processes of its current attempt."""

    def __init__(
        self, shared: Shared, key: Key, record: Record, changed: Callable[[], None]
    ) -> None:
        self.record = record
        self.endpoint = Endpoint.of(shared.ctx.net, record.slot)
        self.manager = JobManager(shared.session, self.endpoint.url)
        self.logs = shared.ctx.state.logs / "flink" / f"{key.namespace}-{key.name}"
        self.version = ""
        self._shared = shared
        self._key = key
        self._changed = changed
        self._cluster: Cluster | None = None

    @property
    def alive(self) -> bool:
        """Whether the JobManager's process lives."""
        return self._cluster is not None and self._cluster.alive

    @property
    def pids(self) -> dict[str, int]:
        """The processes that run."""
        return self._cluster.pids if self._cluster else {}

    async def job(self) -> Job | None:
        """The attempt's job on its JobManager."""
        return await self.manager.job(self.record.job_id) if self.record.job_id else None

    def begin(self, wanted: Wanted) -> None:
        """Write a new attempt down; nothing of it runs yet."""
        self.record.begin(wanted)
        self.save()

    async def lay_out(self, wanted: Wanted) -> dict[str, str]:
        """End what runs and lay out what the Pod mounts; its environment.

        Raises:
            SourceError: an object that it mounts is not there.
            OSError, ValueError: it cannot be laid out.
        """
        await self.release()
        ctx = self._shared.ctx
        place = Place.of(ctx.state, wanted)
        place.clear()
        self.logs.mkdir(parents=True, exist_ok=True)
        return lay_out(wanted, place, self._shared.sources, self.endpoint.host, ctx.data)

    async def launch(self, wanted: Wanted, environment: Mapping[str, str]) -> None:
        """Start the attempt's processes and submit its job.

        Raises:
            StartError, NoAnswerError, OSError, ValueError: it did not start.
        """
        ctx, record, line = self._shared.ctx, self.record, self._shared.line
        line.join(self._key, prompt=wanted.prompt)
        place = Place.of(ctx.state, wanted)
        configuration = cluster_configuration(wanted, self.endpoint, str(ctx.data), place.scratch)
        cluster = Cluster(ctx.state, self._shared.wheel, place, str(self._key), self.logs)
        self._cluster = cluster
        await cluster.start(configuration, environment, wanted.task_managers, self._changed)
        lenient = bool(wanted.job.get("allowNonRestoredState", False))
        options = submission(configuration, record.job_id, record.restore, lenient=lenient)
        await line.turn(self._key)
        await cluster.submit(options, environment)
        self.version = str((await self.manager.overview()).get("flink-version", ""))

    async def stop(self, wanted: Wanted) -> str:
        """Stop the job with a savepoint; returns where that is, after the last commit.

        Raises:
            FlinkError, NoAnswerError: no savepoint; the job may still run.
        """
        where = await self._take(wanted, stop=True)
        async with asyncio.timeout(COMMIT_SECONDS):
            while (job := await self.job()) is not None and job.state not in ENDED:
                await asyncio.sleep(0.1)
        return where

    async def savepoint(self, wanted: Wanted) -> None:
        """Take a savepoint and go on; it is told in the status.

        Raises:
            FlinkError, NoAnswerError: no savepoint.
        """
        entry: dict[str, Any] = {
            "location": await self._take(wanted, stop=False),
            "timeStamp": now_ms(),
            "triggerType": "MANUAL",
            "triggerNonce": wanted.savepoint_nonce,
            "formatType": "CANONICAL",
        }
        self.record.savepoints = [*self.record.savepoints, entry][-SAVEPOINTS_REMEMBERED:]

    async def _take(self, wanted: Wanted, *, stop: bool) -> str:
        # A directory of the attempt's own: what is in it is known to be this job's.
        target = f"{self._directories(wanted)[1]}/{self.record.job_id}"
        return await self.manager.savepoint(
            self.record.job_id, target, stop=stop, timeout=SAVEPOINT_SECONDS
        )

    async def leave(self, savepoint: str) -> None:
        """End the attempt for good; the next one starts from `savepoint`."""
        await self.release()
        self.record.savepoint = savepoint
        self.record.job_id = ""
        self.save()

    async def release(self) -> None:
        """End the processes."""
        self._shared.line.leave(self._key)
        if self._cluster:
            await self._cluster.stop()
        self._cluster = None

    def newest(self, wanted: Wanted) -> str:
        """The newest state of the attempt."""
        return newest_state(self.record, *self._directories(wanted))

    def _directories(self, wanted: Wanted) -> tuple[str, str]:
        """Where the attempt keeps checkpoints and savepoints."""
        attempt = Wanted({**wanted.item, "spec": self.record.spec or wanted.spec})
        data = self._shared.ctx.data
        given = attempt.configuration(str(data))
        base = (data / "flink" / self._key.namespace / self._key.name).as_uri()
        checkpoints = given.setdefault("execution.checkpointing.dir", f"{base}/checkpoints")
        savepoints = given.setdefault("execution.checkpointing.savepoint-dir", f"{base}/savepoints")
        return checkpoints.rstrip("/"), savepoints.rstrip("/")

    def save(self) -> None:
        """Write the record."""
        self.record.save(self._shared.record_file(self._key))
