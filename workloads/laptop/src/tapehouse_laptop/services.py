"""Long-running components: started, watched, and started again when they die."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tapehouse_laptop.components import Components
from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.processes import Process
from tapehouse_laptop.state import State

log = logging.getLogger(__name__)

BACKOFF = (0.5, 30.0)
"""First and longest pause before a restart, in seconds."""
SETTLED = 60.0
"""A component that lived this long starts from the first pause again, in seconds."""
READY_POLL = 0.2
PROBE_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Service:
    """What to run and how to know that it works."""

    name: str
    argv: Sequence[str | Path]
    ready: Callable[[], Awaitable[bool]]
    env: Mapping[str, str] | None = None
    grace: float = 10.0
    """Seconds between SIGTERM and SIGKILL."""
    metrics: str = ""


@dataclass(slots=True)
class Keeper:
    """Keeps one service running."""

    service: Service
    state: State
    components: Components
    _task: asyncio.Task[None] | None = None
    _started: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.state.logs / f"{self.service.name}.log"

    async def start(self, timeout: float) -> None:
        """Start it and return once it is ready; it is kept running until `stop`.

        Raises:
            LaptopError: it was not ready within `timeout` seconds.
        """
        self._task = asyncio.create_task(self._keep(), name=self.service.name)
        try:
            await asyncio.wait_for(self._started.wait(), timeout)
        except TimeoutError:
            await self.stop()
            raise LaptopError(
                f"{self.service.name} is not ready after {timeout:.0f} s; "
                f"its log {self.log} ends with:\n{tail(self.log)}"
            ) from None

    async def stop(self) -> None:
        """Stop it for good."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        self._task = None
        self.components.set(self.service.name, "Stopped", pids={})

    async def _keep(self) -> None:
        pause = BACKOFF[0]
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            message = await self._run_once()
            if loop.time() - began > SETTLED:
                pause = BACKOFF[0]
            log.warning("%s %s; again in %.1f s", self.service.name, message, pause)
            self.components.set(self.service.name, "Failed", message, pids={})
            await asyncio.sleep(pause)
            pause = min(pause * 2, BACKOFF[1])

    async def _run_once(self) -> str:
        service = self.service
        try:
            process = await Process.start(
                self.state, service.name, service.argv, log=self.log, env=service.env
            )
        except OSError as error:
            return f"cannot be started: {error}"
        self.components.set(
            service.name,
            "Starting",
            pids={service.name: process.pid},
            log=self.log,
            metrics=service.metrics,
        )
        announce = asyncio.create_task(self._announce())
        try:
            code = await process.wait()
        finally:
            announce.cancel()
            await process.stop(service.grace)
        last = tail(self.log, 1)
        return f"ended with code {code}" + (f": {last}" if last else "")

    async def _announce(self) -> None:
        while not await self.service.ready():
            await asyncio.sleep(READY_POLL)
        self.components.set(self.service.name, "Ready")
        self._started.set()


def answers(
    url: str, tls: Callable[[], ssl.SSLContext | None] | None = None
) -> Callable[[], Awaitable[bool]]:
    """A readiness question: does a GET of `url` give 200?"""

    async def ask() -> bool:
        timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(url, ssl=(tls and tls()) or True) as response,
            ):
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    return ask


async def at_once() -> bool:
    """A readiness question for what cannot be asked: ready as soon as it runs."""
    return True


def tail(path: Path, lines: int = 8) -> str:
    """The last lines of a log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(line[:400] for line in text.strip().splitlines()[-lines:])
