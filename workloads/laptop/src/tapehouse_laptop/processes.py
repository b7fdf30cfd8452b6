"""Child processes that do not outlive the installation.

Each runs in a process group of its own. On Linux it dies with its parent; elsewhere, and for what
it leaves behind, `sweep` ends at the next start whatever the pid files and a marker in the
environment still show.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tapehouse_laptop.state import State, read_json, write_json

MARKER = "TAPEHOUSE_STATE"
"""In the environment of every process: the state directory it belongs to."""
PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Process:
    """A running child and its group."""

    name: str
    pid: int
    _handle: asyncio.subprocess.Process
    _pidfile: Path

    @classmethod
    async def start(
        cls,
        state: State,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> "Process":
        """Start `argv`; output is appended to `log`; `env` is the whole environment.

        Call it from the main thread: on Linux the child dies with the thread that made it.
        `name` names the pid file and may hold slashes.

        Raises:
            OSError: the program cannot be executed, or its pid not be written down: then it does
                not run.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            handle = await asyncio.create_subprocess_exec(
                *map(str, argv),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env={**(os.environ if env is None else env), MARKER: str(state.root)},
                cwd=cwd,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        pidfile = state.run / "pids" / f"{name.replace('/', '_')}.json"
        process = cls(name, handle.pid, handle, pidfile)
        try:
            process._write_down()
        except OSError:
            await process.stop(grace=0)
            raise
        return process

    def _write_down(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            started = psutil.Process(self.pid).create_time()
            write_json(self._pidfile, {"name": self.name, "pid": self.pid, "started": started})

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._handle.returncode

    async def wait(self) -> int:
        """The return code, once it has ended; what is left of its group is killed."""
        code = await self._handle.wait()
        signal_group(self.pid, signal.SIGKILL)
        self._pidfile.unlink(missing_ok=True)
        return code

    async def stop(self, grace: float = 10.0) -> int:
        """SIGTERM to the group, SIGKILL after `grace` seconds; the return code."""
        if self.returncode is None:
            signal_group(self.pid, signal.SIGTERM)
            try:
                return await asyncio.wait_for(self.wait(), grace)
            except TimeoutError:
                signal_group(self.pid, signal.SIGKILL)
        return await self.wait()


def die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """What a child runs before exec to be sent a signal at its parent's death; Linux only."""
    if _prctl is None:
        return None
    prctl, parent = _prctl, os.getpid()

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return prepare


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process group, if there still is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def running(pid: int, started: float) -> bool:
    """Whether this very process still runs, not another that got its number."""
    try:
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return bool(alive and abs(process.create_time() - started) < 1)
    except psutil.NoSuchProcess:
        return False


def sweep(state: State, spare: Iterable[int] = ()) -> list[str]:
    """Kill what an earlier run of this installation left behind; the names of what was killed."""
    killed = []
    for pidfile in sorted((state.run / "pids").glob("*.json")):
        entry = read_json(pidfile)
        if entry and running(entry["pid"], entry["started"]):
            signal_group(entry["pid"], signal.SIGKILL)
            killed.append(str(entry["name"]))
        pidfile.unlink(missing_ok=True)
    return killed + _sweep_marked(state, {os.getpid(), os.getppid(), *spare})


def _sweep_marked(state: State, spare: set[int]) -> list[str]:
    killed = []
    for process in psutil.process_iter(["pid", "uids", "name"]):
        uids = process.info["uids"]
        if process.pid in spare or (uids and uids.real != os.getuid()):
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARKER) == str(state.root):
                process.kill()
                killed.append(str(process.info["name"]))
    return killed
