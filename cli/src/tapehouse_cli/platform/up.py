"""`tapehouse up`: from nothing to a platform on which every resource is ready."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tapehouse_laptop import archives, jars, surroundings, toolchain
from tapehouse_laptop.cache import Progress
from tapehouse_laptop.components import Components
from tapehouse_laptop.controlplane import binaries, given
from tapehouse_laptop.controlplane.binaries import Binaries
from tapehouse_laptop.directory import KUSTOMIZATION, Directory, check_files
from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.kubeapi import Kube
from tapehouse_laptop.net import Net
from tapehouse_laptop.processes import die_with_parent, sweep
from tapehouse_laptop.services import tail
from tapehouse_laptop.state import State
from tapehouse_laptop.supervisor import STOP_TIMEOUT, Installation

from tapehouse_cli.platform.progress import Screen
from tapehouse_cli.platform.status_view import Row, StatusView, component_rows, unready
from tapehouse_cli.platform.timeline import Timeline

POLL = 0.3
SETTLE_SECONDS = 2.0
"""All must be ready for so long: what an earlier run reported is corrected by then."""


@dataclass(frozen=True, slots=True)
class Up:
    """One call of `up`."""

    state: State
    directory: Path
    screen: Screen
    timeline: Timeline
    timeout: float
    detach: bool

    def prepare(self) -> Binaries:
        """Look at the machine and the directory, then find, download or build what is needed.

        It runs before any event loop: an interrupt ends a build at once.

        Raises:
            LaptopError: one of them is not right, or a download or build failed.
        """
        # What fails at once is looked at before what takes minutes.
        check_files(self.directory)
        surroundings.check_disk(self.state.root)
        self.state.ensure()
        return prepare(self.screen.note)

    async def run(self, programs: Binaries) -> Installation:
        """Bring everything up; returns when all is ready.

        Raises:
            LaptopError: the machine or the directory is not right, or it took too long.
        """
        directory = Directory.read(self.directory, programs["kubectl"])
        net = directory.net
        installation = Installation.read(self.state)
        if installation is None or not installation.alive:
            installation = self._start(directory, net)
        _check_same(installation, directory)
        deadline = time.monotonic() + self.timeout
        await self._started(deadline)
        self.screen.note("apply", str(self.directory))
        await asyncio.to_thread(apply, self.directory, programs, self.state)
        async with Kube.connect(self.state.kubeconfig) as kube:
            view = StatusView(kube, self.state, directory.namespaces)
            async with view.following():
                await self._ready(view, directory, deadline)
        return installation

    def _start(self, directory: Directory, net: Net) -> Installation:
        sweep(self.state)
        if not given.given_context():
            surroundings.check(self.state, net)
        installation = Installation(
            f"{net.prefix}.0.0/16", list(directory.namespaces), str(self.directory.resolve())
        )
        installation.write(self.state)
        Components.fresh(self.state)
        with (self.state.logs / "supervisor.log").open("ab") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "tapehouse_laptop.supervisor", str(self.state.root)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=None if self.detach else die_with_parent(signal.SIGTERM),
            )
        installation.pid = child.pid
        return installation

    async def _started(self, deadline: float) -> None:
        while True:
            installation = Installation.read(self.state)
            if installation and installation.phase == "Running" and installation.alive:
                return
            if installation and installation.phase == "Failed":
                raise LaptopError(installation.message)
            if installation and installation.pid and not installation.alive:
                log = self.state.logs / "supervisor.log"
                raise LaptopError(f"the supervisor ended:\n{tail(log)}")
            rows = component_rows(self.state)
            self._show(rows)
            self._check_time(deadline, rows)
            await asyncio.sleep(POLL)

    async def _ready(self, view: StatusView, directory: Directory, deadline: float) -> None:
        since: float | None = None
        while True:
            rows = view.rows(directory.manifests)
            self._show(rows)
            if unready(rows):
                since = None
            elif since is None:
                since = time.monotonic()
            elif time.monotonic() - since > SETTLE_SECONDS:
                return
            check_alive(self.state)
            self._check_time(deadline, rows)
            await asyncio.sleep(POLL)

    def _show(self, rows: list[Row]) -> None:
        self.timeline.rows(rows)
        self.screen.rows(rows)

    def _check_time(self, deadline: float, rows: list[Row]) -> None:
        if time.monotonic() < deadline:
            return
        waiting = "\n".join(f"  {row.kind} {row.name}: {row.message}" for row in unready(rows))
        raise LaptopError(
            f"not ready after {self.timeout:.0f} s:\n{waiting}\n"
            f"see `tapehouse logs NAME`, or {self.state.logs / 'supervisor.log'}"
        )


def prepare(progress: Progress) -> Binaries:
    """Everything that is found, downloaded or built once per machine.

    Raises:
        LaptopError: a tool is missing, or a download or build failed.
    """
    toolchain.java()
    toolchain.streams_environment()
    jars.prepare(progress)
    archives.prepare(progress)
    return binaries.find_or_build(progress)


def apply(directory: Path, programs: Binaries, state: State) -> None:
    """Apply a directory as the user does with `kubectl apply`; its fields win over other writers.

    Client-side: kubectl then finds its own record of what was applied, so that the user's next
    `kubectl apply` warns of nothing and removes what is no longer in the files.

    Raises:
        LaptopError: a resource is refused, with the API server's own words.
    """
    how = "-k" if (directory / KUSTOMIZATION).exists() else "-f"
    done = subprocess.run(
        [programs["kubectl"], "--kubeconfig", state.kubeconfig, "apply", how, directory],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise LaptopError(f"{directory}: refused:\n{done.stderr.strip()}")


def _check_same(installation: Installation, directory: Directory) -> None:
    net = f"{directory.net.prefix}.0.0/16"
    missing = set(directory.namespaces) - set(installation.namespaces)
    if installation.net != net or missing:
        raise LaptopError(
            f"what runs here serves {installation.net} and {', '.join(installation.namespaces)}; "
            f"{directory.path} wants {net} and {', '.join(directory.namespaces)}: "
            "run `tapehouse down` first, or set TAPEHOUSE_HOME for a second installation"
        )


def check_alive(state: State) -> Installation:
    """The running installation.

    Raises:
        LaptopError: none runs.
    """
    installation = Installation.read(state)
    if installation is None or not installation.alive:
        why = f": {installation.message}" if installation and installation.message else ""
        raise LaptopError(f"nothing runs in {state.root}{why}; start it with `tapehouse up`")
    return installation


def stop(state: State, screen: Screen, *, force: bool = False) -> bool:
    """Stop what runs; False if nothing did. It takes at most a minute, or none with `force`."""
    installation = Installation.read(state)
    alive = installation is not None and installation.alive
    if installation and alive:
        _signal(installation.pid, signal.SIGKILL if force else signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT + 15
        while installation.alive and time.monotonic() < deadline:
            running = [row for row in component_rows(state) if row.ready]
            screen.note("stopping", ", ".join(row.name for row in running) or "supervisor")
            time.sleep(POLL)
        if installation.alive:
            _signal(installation.pid, signal.SIGKILL)
    return bool(sweep(state)) or alive


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
