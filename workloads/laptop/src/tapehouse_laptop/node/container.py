"""The life of one container: prepared, started, probed, restarted, stopped."""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tapehouse_laptop.kubeapi import Manifest
from tapehouse_laptop.node import probes
from tapehouse_laptop.node.disk import Gate
from tapehouse_laptop.node.sources import SourceError
from tapehouse_laptop.node.status import Record, is_final, now, waiting
from tapehouse_laptop.processes import Process
from tapehouse_laptop.services import tail
from tapehouse_laptop.state import State

log = logging.getLogger(__name__)

MESSAGE_PATH = "/dev/termination-log"
MESSAGE_LIMIT, FALLBACK_LIMIT, FALLBACK_LINES = 4096, 2048, 80
SETTLED = 600.0
"""A container that ran this long starts from no pause again, in seconds."""
RETRY = 0.5
EAGER = 0.3
"""Seconds between the probes of a container that has not been ready yet."""
CANNOT_RUN = 128


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between restarts, in seconds; the first restart comes at once.

    A kubelet takes 10 and 300. On a laptop someone watches.
    """

    base: float = 1.0
    limit: float = 60.0

    def pause(self, crashes: int) -> float:
        """The pause before restart number `crashes`, from 1."""
        return 0.0 if crashes <= 1 else min(self.base * 2.0 ** (crashes - 2), self.limit)


@dataclass(frozen=True, slots=True)
class Launch:
    """What to execute."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path


@dataclass(frozen=True, slots=True)
class Setting:
    """What a container is told by its Pod."""

    state: State
    name: str
    """`<namespace>/<pod>/<container>`."""
    root: Path
    address: str
    policy: str
    grace: Callable[[], float]
    prepare: Callable[[], Launch]
    """Raises SourceError while something it needs is missing."""
    changed: Callable[[], None]
    """Called after every change of the record or of the process."""
    backoff: Backoff
    gate: Gate
    """It runs only while this is open."""

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.state.logs / f"{self.name}.log"


@dataclass(slots=True)
class Container:
    """One container; `run` lives as long as it should."""

    spec: Manifest
    record: Record
    setting: Setting
    process: Process | None = None
    _watchers: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> int:
        """Until it has ended for good; its exit code. Cancel it to stop the process."""
        crashes = 0
        loop = asyncio.get_running_loop()
        while True:
            launch = await self._prepared()
            began = loop.time()
            code = await self._live(launch)
            if is_final(code, self.setting.policy):
                return code
            crashes = 1 if loop.time() - began > SETTLED else crashes + 1
            await self._pause(self.setting.backoff.pause(crashes))
            self.record.restarts += 1

    async def _prepared(self) -> Launch:
        while True:
            if not self.setting.gate.is_open:
                self._become(waiting("DiskPressure", self.setting.gate.message))
                await self.setting.gate.opened()
            try:
                return self.setting.prepare()
            except SourceError as error:
                self._become(waiting("CreateContainerConfigError", str(error)))
                await asyncio.sleep(RETRY)

    async def _pause(self, seconds: float) -> None:
        self.record.last_state = self.record.state
        if seconds:
            name = self.setting.name.rpartition("/")[2]
            message = f"back-off {seconds:g}s restarting failed container={name}"
            self._become(waiting("CrashLoopBackOff", message))
            await asyncio.sleep(seconds)

    async def _live(self, launch: Launch) -> int:
        message_file = self.setting.root / self._message_path.lstrip("/")
        message_file.parent.mkdir(parents=True, exist_ok=True)
        message_file.write_bytes(b"")
        started = now()
        try:
            self.process = await Process.start(
                self.setting.state,
                self.setting.name,
                launch.argv,
                log=self.setting.log,
                env=launch.env,
                cwd=launch.cwd,
            )
        except OSError as error:
            message = f"exec {launch.argv[0]}: {error.strerror}"
            self._end(CANNOT_RUN, "StartError", message, started)
            return CANNOT_RUN
        self._become({"running": {"startedAt": started}}, started=True)
        self._probe(launch)
        self._background(self._stop_when_shut(self.process))
        code = 0
        try:
            await self.process.wait()
        finally:
            await self._stop_watchers()
            # Cancelled or not: nothing of it may be left.
            code = _exit_code(await self.process.stop(self.setting.grace()))
            self.process = None
            self._end(code, "Error" if code else "Completed", self._message(code), started)
        return code

    def _become(self, state: Manifest, *, started: bool = False) -> None:
        self.record.state = state
        self.record.started = started and "startupProbe" not in self.spec
        self.record.ready = self.record.started and "readinessProbe" not in self.spec
        self.setting.changed()

    def _end(self, code: int, reason: str, message: str, started: str) -> None:
        ended: Manifest = {
            "exitCode": code,
            "reason": reason,
            "startedAt": started,
            "finishedAt": now(),
        }
        if message:
            ended["message"] = message
        self._become({"terminated": ended})

    @property
    def _message_path(self) -> str:
        return str(self.spec.get("terminationMessagePath") or MESSAGE_PATH)

    def _message(self, code: int) -> str:
        file = self.setting.root / self._message_path.lstrip("/")
        with file.open("rb") as opened:
            written = opened.read(MESSAGE_LIMIT).decode(errors="replace")
        wanted = self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if written or not (wanted and code):
            return written
        return tail(self.setting.log, FALLBACK_LINES)[-FALLBACK_LIMIT:]

    def _probe(self, launch: Launch) -> None:
        target = probes.Target(self.spec, self.setting.address, launch.env, self.setting.root)
        if startup := self.spec.get("startupProbe"):
            self._watch(startup, target, self._started_up)
        else:
            self._probe_running(target)

    def _probe_running(self, target: probes.Target) -> None:
        if readiness := self.spec.get("readinessProbe"):
            self._watch(readiness, target, self._became_ready)
        if liveness := self.spec.get("livenessProbe"):
            self._watch(liveness, target, self._became_alive)

    def _watch(
        self, probe: Manifest, target: probes.Target, verdict: Callable[[bool, str], None]
    ) -> None:
        async def report(passed: bool, message: str) -> None:
            verdict(passed, message)
            if verdict == self._started_up and passed:
                self._probe_running(target)

        # Only readiness: more probes at the start must not use up the failures of the others.
        eager = EAGER if verdict == self._became_ready else 0.0
        self._background(probes.watch(probe, target, report, eager))

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that goes on as long as the process does."""
        task = asyncio.create_task(work)
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def _stop_when_shut(self, process: Process) -> None:
        await self.setting.gate.was_shut()
        await process.stop(self.setting.grace())

    def _started_up(self, passed: bool, message: str) -> None:
        if passed:
            self.record.started = True
            self.record.ready = "readinessProbe" not in self.spec
            self.setting.changed()
        else:
            self._became_alive(False, f"startup probe failed: {message}")

    def _became_ready(self, passed: bool, message: str) -> None:
        if not passed:
            log.info("%s: readiness probe failed: %s", self.setting.name, message)
        if self.record.ready != passed:
            self.record.ready = passed
            self.setting.changed()

    def _became_alive(self, passed: bool, message: str) -> None:
        if not passed and self.process:
            log.warning("%s: killed, liveness probe failed: %s", self.setting.name, message)
            self._background(self._kill(self.process))

    async def _kill(self, process: Process) -> None:
        await process.stop(self.setting.grace())

    async def _stop_watchers(self) -> None:
        watchers = list(self._watchers)
        self._watchers.clear()
        for task in watchers:
            task.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)


def _exit_code(returned: int) -> int:
    return 128 - returned if returned < 0 else returned


def search_path(*first: Path) -> str:
    """PATH with some directories put first."""
    return os.pathsep.join([*map(str, first), os.environ.get("PATH", os.defpath)])
