"""One broker process: prepared, started, watched, started again when it dies."""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException

from tapehouse_laptop import jvm, toolchain
from tapehouse_laptop.components import Components, Phase
from tapehouse_laptop.kafka.admin import Admin, UnreachableError
from tapehouse_laptop.kafka.config import (
    Broker,
    argument_file,
    client_config,
    format_arguments,
    log4j_properties,
    server_properties,
)
from tapehouse_laptop.processes import Process
from tapehouse_laptop.state import State, write_atomically

log = logging.getLogger(__name__)

HEAP = (
    *("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"),
    *jvm.PATIENT,
)
FORMAT_HEAP = ("-Xmx128m", *jvm.BRIEF)
STOP_SECONDS = 30.0
PROBE_PAUSE = 0.25
RESTART_PAUSES = (0.5, 1.0, 2.0, 5.0, 15.0)
STABLE_SECONDS = 60.0
TAIL_BYTES = 8192
PORT_TAKEN = "Address already in use"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a broker keeps its files and shows itself."""

    state: State
    components: Components
    name: str
    """`<namespace>/<name>` of the `Kafka` resource."""
    home: Path
    libraries: Path

    @property
    def component(self) -> str:
        """The row in the table of components."""
        return f"kafka/{self.name}"

    @property
    def log(self) -> Path:
        """The broker's own log."""
        return self.state.logs / "kafka" / f"{self.name.replace('/', '-')}.log"


class BrokerProcess:
    """A broker that is kept running from `start` to `stop`."""

    def __init__(self, place: Place, broker: Broker, changed: Callable[[], None]) -> None:
        self.broker = broker
        self.admin = Admin(client_config(broker))
        self.ready = False
        self.trouble = "starting"
        self._place = place
        self._changed = changed
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; `changed` is called whenever `ready` or `trouble` changes."""
        self._task = asyncio.create_task(self._keep_running())

    async def stop(self) -> None:
        """End the process in an orderly way."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._place.components.set(self._place.component, "Stopped", pids={})

    async def _keep_running(self) -> None:
        loop, deaths = asyncio.get_running_loop(), 0
        while True:
            started = loop.time()
            try:
                trouble = await self._once()
            except OSError as error:
                trouble = f"cannot start: {error}"
            deaths = 1 if loop.time() - started > STABLE_SECONDS else deaths + 1
            log.warning("broker %s: %s", self._place.name, trouble)
            self._say(False, trouble)
            await asyncio.sleep(RESTART_PAUSES[min(deaths, len(RESTART_PAUSES)) - 1])

    async def _once(self) -> str:
        """One life of the process; what ended it."""
        self._say(False, "starting")
        await self._prepare()
        arguments = ["kafka.Kafka", str(self._place.home / "server.properties")]
        output = self._place.log.with_suffix(".out")
        output.unlink(missing_ok=True)
        process = await self._java("broker", [*HEAP, *arguments], output)
        self._place.components.set(
            self._place.component, "Starting", pids={"kafka": process.pid}, log=self._place.log
        )
        try:
            code = await self._watch(process)
        finally:
            self.ready = False
            await process.stop(STOP_SECONDS)
        return _reason(code, self._place.log)

    async def _watch(self, process: Process) -> int:
        probe = asyncio.create_task(self._until_answer())
        try:
            return await process.wait()
        finally:
            probe.cancel()

    async def _until_answer(self) -> None:
        while True:
            try:
                await self.admin.ping()
            except (UnreachableError, KafkaException):
                await asyncio.sleep(PROBE_PAUSE)
            else:
                self._say(True, "")
                return

    def _say(self, ready: bool, trouble: str) -> None:
        self.ready, self.trouble = ready, trouble
        phase: Phase = "Ready" if ready else "Starting" if trouble == "starting" else "Failed"
        message = self.broker.bootstrap(self.broker.inner) if ready else trouble
        pids: dict[str, int] | None = {} if phase == "Failed" else None
        self._place.components.set(self._place.component, phase, message, pids=pids)
        self._changed()

    async def _prepare(self) -> None:
        home = self._place.home
        properties = home / "server.properties"
        write_atomically(properties, server_properties(self.broker))
        write_atomically(home / "log4j2.properties", log4j_properties(self._place.log))
        if (self.broker.data / "meta.properties").exists():
            return
        arguments = [*FORMAT_HEAP, *format_arguments(self.broker, properties)]
        output = self._place.log.with_suffix(".format")
        process = await self._java("format", arguments, output)
        try:
            code = await process.wait()
        finally:
            await process.stop()
        if code:
            raise OSError(f"formatting {self.broker.data} failed: {_last_line(output)}")

    async def _java(self, name: str, arguments: list[str], output: Path) -> Process:
        home = self._place.home
        file = home / f"{name}.args"
        scratch = home / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        options = [
            *jvm.archived(jvm.KAFKA),
            f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}",
            f"-Djava.io.tmpdir={scratch}",
            *("-cp", f"{self._place.libraries}/*"),
        ]
        write_atomically(file, argument_file([*options, *arguments]))
        java = toolchain.java().executable
        full_name = f"kafka/{self._place.name}/{name}"
        return await Process.start(self._place.state, full_name, [java, f"@{file}"], log=output)


def _reason(code: int, log_file: Path) -> str:
    if PORT_TAKEN in _tail(log_file):
        return f"a port of the broker is taken by another process, see {log_file}"
    return f"ended with {code}, see {log_file}"


def _tail(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read().decode(errors="replace")
    return ""


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"
