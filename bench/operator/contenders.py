"""Who is measured: processes that bring about the same children, started alike."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tapehouse_laptop import cache, toolchain

from bench.operator.recording import Template
from bench.operator.server import NAMESPACE, REPOSITORY, Server
from bench.operator.workload import Workload

PEERS = Path(__file__).parent / "peers"
STOP_TIMEOUT = 30.0
ADMISSION_PORT = 9443
CONCURRENCY = (8, 32)
"""Resources that the ceiling writes at a time: its best counts."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What every contender is given."""

    server: Server
    workload_name: str
    workload: Workload
    template: Template

    @property
    def template_file(self) -> Path:
        """The writes for one resource, for contenders that do not compute them."""
        path = self.server.directory / "template"
        parts = (self.workload.name.encode(), self.template.children, self.template.status)
        path.write_bytes(b"\n".join(parts))
        return path


@dataclass
class Contender:
    """One process at a time."""

    name: str
    is_fed: bool = False
    """Gets every resource on its standard input, instead of watching."""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def command(self, setting: Setting) -> list[str]:
        """What to run."""
        raise NotImplementedError

    def start(self, setting: Setting) -> int:
        """Start it; its process id."""
        log = setting.server.directory / f"{self.name}.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command(setting),
                stdin=subprocess.PIPE if self.is_fed else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=REPOSITORY,
                env={
                    **os.environ,
                    "KUBECONFIG": str(setting.server.kubeconfig),
                    "BENCH_WORKLOAD": setting.workload_name,
                },
            )
        return self.process.pid

    def tell(self, name: str, uid: str) -> None:
        """A resource has been created."""
        if self.is_fed and self.process is not None and self.process.stdin is not None:
            self.process.stdin.write(f"{name} {uid}\n".encode())
            self.process.stdin.flush()

    def stop(self) -> None:
        """Ask it to end, and wait."""
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Subject(Contender):
    """`tapehouse-operator run`, with or without admission."""

    def __init__(self, *, admission: bool = False) -> None:
        super().__init__("tapehouse-admission" if admission else "tapehouse")
        self.port = ADMISSION_PORT if admission else 0

    def command(self, setting: Setting) -> list[str]:
        server = setting.server
        if setting.workload_name == "trio":
            run = ["bench.operator.subject", str(server.kubeconfig), NAMESPACE, server.address]
            run += [str(self.port)]
        else:
            run = ["tapehouse_operator", "run"]
            run += ["--namespace", NAMESPACE, "--address", server.address]
            run += ["--admission-port", str(self.port)]
        return [sys.executable, "-m", *run]


class Ceiling(Contender):
    """A script that does just the writes."""

    def __init__(self, workers: int) -> None:
        super().__init__(f"ceiling-{workers}", is_fed=True)
        self.workers = workers

    def command(self, setting: Setting) -> list[str]:
        script = [sys.executable, "-m", "bench.operator.ceiling"]
        return [
            *script,
            str(setting.server.kubeconfig),
            str(setting.template_file),
            str(self.workers),
        ]


class Kopf(Contender):
    """Kopf handlers: `stock` or `async`."""

    def __init__(self, style: str) -> None:
        super().__init__(f"kopf-{style}")
        self.style = style

    def command(self, setting: Setting) -> list[str]:
        handlers = str(PEERS / f"kopf_{self.style}.py")
        return [
            sys.executable,
            "-m",
            "kopf",
            "run",
            "--standalone",
            "--namespace",
            NAMESPACE,
            handlers,
        ]


class ControllerRuntime(Contender):
    """An operator in Go."""

    def __init__(self) -> None:
        super().__init__("controller-runtime")

    def command(self, setting: Setting) -> list[str]:
        options = [NAMESPACE, setting.workload.name, str(setting.template_file)]
        return [str(build_peer()), str(setting.server.kubeconfig), *options]


def build_peer() -> Path:
    """The Go peer, built when it is not in the user's cache yet; a few minutes the first time."""
    source = PEERS / "go"
    digest = cache.digest_of(*(source / name for name in ("main.go", "go.mod", "go.sum")))

    def build(to: Path) -> None:
        command: list[str | Path] = [toolchain.go(), "build", "-o", to / "peer", "."]
        cache.run(command, task="peer", progress=cache.silent, cwd=source, env=dict(os.environ))

    return cache.entry("bench-peer", digest, build) / "peer"
