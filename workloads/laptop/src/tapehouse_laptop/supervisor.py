"""The process that runs an installation: control plane, controllers and the operator.

`python -m tapehouse_laptop.supervisor STATE`: started by `tapehouse up`, ended by SIGTERM.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import psutil
import yaml
from filelock import FileLock, Timeout

from tapehouse_laptop import bootstrap
from tapehouse_laptop.components import Components
from tapehouse_laptop.context import Context
from tapehouse_laptop.controller import BACKOFF
from tapehouse_laptop.controlplane import binaries, given
from tapehouse_laptop.controlplane.binaries import Binaries
from tapehouse_laptop.controlplane.plane import ControlPlane
from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.flink import controller as flink
from tapehouse_laptop.kafka import controller as kafka
from tapehouse_laptop.kubeapi import Kube, Manifest
from tapehouse_laptop.net import Net
from tapehouse_laptop.node import controller as node
from tapehouse_laptop.processes import running, sweep
from tapehouse_laptop.services import Keeper, Service, answers
from tapehouse_laptop.state import INSTALLATION, State, read_json, write_json

log = logging.getLogger(__name__)

CONTROLLERS: dict[str, Callable[[Context], Awaitable[None]]] = {
    "kafka": kafka.run,
    "node": node.run,
    "flink": flink.run,
}
"""In the order of starting; stopped in reverse."""
OPERATOR = "operator"
OPERATOR_PORT = 9104
ADMISSION_PORT = 9443
"""Where the operator answers the API server before a resource is stored."""
OPERATOR_TIMEOUT = 120.0
OPERATOR_MODULE = "tapehouse_operator"
STOP_TIMEOUT = 45.0


@dataclass(slots=True)
class Installation:
    """What `up` tells the supervisor, and the supervisor tells all others."""

    net: str
    namespaces: list[str]
    directory: str
    pid: int = 0
    started: float = 0.0
    phase: Literal["Starting", "Running", "Failed", "Stopping"] = "Starting"
    message: str = ""

    @staticmethod
    def path(state: State) -> Path:
        """Where it is written."""
        return state.root / INSTALLATION

    @classmethod
    def read(cls, state: State) -> "Installation | None":
        """As last written, whether it runs or not."""
        found = read_json(cls.path(state))
        return cls(**found) if found else None

    def write(self, state: State) -> None:
        """Write it."""
        write_json(self.path(state), asdict(self))

    @property
    def alive(self) -> bool:
        """Whether its supervisor runs."""
        return bool(self.pid) and running(self.pid, self.started)


@dataclass(slots=True)
class Supervisor:
    """Everything of one installation, started in order and stopped in reverse."""

    state: State
    installation: Installation
    components: Components
    _stops: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    async def run(self) -> None:
        """Until SIGTERM or SIGINT.

        Raises:
            LaptopError: something could not be started.
        """
        asked = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, asked.set)
        starting = asyncio.create_task(self._start())
        waiting = asyncio.create_task(asked.wait())
        try:
            await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await waiting
        finally:
            starting.cancel()
            waiting.cancel()
            await asyncio.gather(starting, waiting, return_exceptions=True)
            await self._stop()

    def _become(self, phase: Literal["Running", "Failed", "Stopping"], message: str = "") -> None:
        self.installation.phase, self.installation.message = phase, message
        self.installation.write(self.state)

    async def _start(self) -> None:
        """Resources can be applied once the phase is Running; the operator comes after that."""
        rules = asyncio.create_task(asyncio.to_thread(operator_rules, self.installation.namespaces))
        programs = binaries.find_or_build()
        net = Net.parse(self.installation.net)
        kube = await self._serve(programs, net)
        ctx = Context(kube, net, self.state, self.components)
        for name, controller in CONTROLLERS.items():
            self._start_controller(name, controller, ctx)
        self.components.set(OPERATOR, "Starting")
        self._become("Running")
        await self._start_operator(kube, net, await rules)

    async def _serve(self, programs: Binaries, net: Net) -> Kube:
        """An API server that knows all kinds and namespaces."""
        home = self.installation.namespaces[0]
        plane = ControlPlane(self.state, net, programs, self.components, home)
        context = given.given_context()
        if context:
            given.adopt(context, self.state, programs["kubectl"], home)
        else:
            self._stops.append(plane.stop)
            await plane.serve()
        kube = Kube.connect(self.state.kubeconfig)
        self._stops.append(kube.close)
        prepared = bootstrap.prepare(kube, self.installation.namespaces)
        await asyncio.gather(prepared, *([] if context else [plane.control()]))
        return kube

    def _start_controller(
        self, name: str, controller: Callable[[Context], Awaitable[None]], ctx: Context
    ) -> None:
        task = asyncio.create_task(_keep(name, controller, ctx), name=name)

        async def stop() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._stops.append(stop)

    async def _start_operator(self, kube: Kube, net: Net, rules: list[Manifest]) -> None:
        kubeconfig = await bootstrap.admit_operator(kube, self.state, rules)
        url = f"http://{net.control_plane}:{OPERATOR_PORT}"
        service = Service(
            OPERATOR,
            operator_command(self.installation.namespaces),
            answers(f"{url}/healthz"),
            {
                **os.environ,
                "KUBECONFIG": str(kubeconfig),
                "TAPEHOUSE_DATA": str(self.state.data),
                "POD_IP": net.control_plane,
                "PYTHONUNBUFFERED": "1",
            },
            metrics=f"{url}/metrics",
        )
        keeper = Keeper(service, self.state, self.components)
        self._stops.append(keeper.stop)
        await keeper.start(OPERATOR_TIMEOUT)

    async def _stop(self) -> None:
        if self.installation.phase == "Running":
            self._become("Stopping")
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                while self._stops:
                    await self._stops.pop()()
        except TimeoutError:
            log.warning("not everything stopped within %.0f s; killing the rest", STOP_TIMEOUT)


async def _keep(name: str, controller: Callable[[Context], Awaitable[None]], ctx: Context) -> None:
    pause = BACKOFF[0]
    while True:
        try:
            await controller(ctx)
        except LaptopError as error:
            ctx.components.set(name, "Failed", str(error))
            log.error("%s: %s", name, error)
        except Exception as error:
            ctx.components.set(name, "Failed", f"{type(error).__name__}: {error}")
            log.exception("%s failed", name)
        await asyncio.sleep(pause)
        pause = min(pause * 2, BACKOFF[1])
        ctx.components.remove(name)


def operator_command(namespaces: list[str]) -> list[str]:
    """How the operator is started: alone, so that it need not wait for a dead leader's lease."""
    scope = [word for name in namespaces for word in ("--namespace", name)]
    return [
        sys.executable,
        "-m",
        OPERATOR_MODULE,
        "run",
        "--no-leader-election",
        f"--admission-port={ADMISSION_PORT}",
        *scope,
    ]


def operator_rules(namespaces: list[str]) -> list[Manifest]:
    """The operator's account and rights, as the operator itself generates them.

    Raises:
        LaptopError: it does not.
    """
    scope = [word for name in namespaces for word in ("--namespace", name)]
    account = f"{bootstrap.OPERATOR.namespace}/{bootstrap.OPERATOR.name}"
    argv = [sys.executable, "-m", OPERATOR_MODULE, "rbac", "--account", account]
    done = subprocess.run([*argv, *scope], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise LaptopError(f"tapehouse-operator rbac failed: {done.stderr.strip()[-2000:]}")
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def main() -> None:
    """Run the installation whose state directory is the first argument."""
    state = State(Path(sys.argv[1]))
    state.ensure()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    lock = FileLock(state.root / "supervisor.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        sys.exit(f"another supervisor runs in {state.root}")
    installation = Installation.read(state)
    if installation is None:
        sys.exit(f"{Installation.path(state)} is missing: use `tapehouse up`")
    _run(state, installation)


def _run(state: State, installation: Installation) -> None:
    sweep(state)
    installation.pid = os.getpid()
    installation.started = psutil.Process().create_time()
    installation.phase, installation.message = "Starting", ""
    installation.write(state)
    supervisor = Supervisor(state, installation, Components.fresh(state))
    try:
        asyncio.run(supervisor.run())
    except (LaptopError, OSError) as error:
        installation.phase, installation.message = "Failed", str(error)
        installation.write(state)
        sys.exit(str(error))
    finally:
        sweep(state)


if __name__ == "__main__":
    main()
