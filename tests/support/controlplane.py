"""A Kubernetes API server of the test session's own: started once, on addresses of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from tapehouse_laptop.controlplane import binaries
from tapehouse_laptop.controlplane.plane import API_PORT
from tapehouse_laptop.kubeapi import Kube
from tapehouse_laptop.net import Net
from tapehouse_laptop.vendorcrds import manifests

REPOSITORY = Path(__file__).parents[2]
START_TIMEOUT = 120.0


@dataclass(frozen=True)
class ApiServer:
    """A running control plane: RBAC on, vendors' and our own CRDs installed, no node."""

    kubeconfig: Path
    net: Net
    directory: Path
    kubectl_program: Path

    def client(self) -> Kube:
        """An administrator's client; call inside a running event loop, use as `async with`."""
        return Kube.connect(self.kubeconfig)

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl as administrator; its output, or AssertionError with what it said."""
        done = subprocess.run(
            [self.kubectl_program, "--kubeconfig", self.kubeconfig, *args],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(args)}: {done.stderr or done.stdout}")
        return done.stdout + done.stderr


@contextmanager
def control_plane(directory: Path) -> Iterator[ApiServer]:
    """Start a control plane that keeps its files in `directory`, and stop it at the end."""
    net = free_net()
    programs = binaries.find_or_build(_report)
    log = directory / "control-plane.log"
    with log.open("wb") as output:
        options = ["--state", str(directory), "--net", f"{net.prefix}.0.0/16"]
        process = subprocess.Popen(
            [sys.executable, "-m", "tapehouse_laptop.controlplane", *options],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        kubeconfig = directory / "kubeconfig"
        _await_line(process, log, str(kubeconfig))
        server = ApiServer(kubeconfig, net, directory, programs["kubectl"])
        _install_crds(server)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=60)


def free_net() -> Net:
    """A loopback range in which no API server listens."""
    for offset in range(100):
        net = Net(f"127.{128 + (os.getpid() + offset) % 120}")
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((net.control_plane, API_PORT))
            except OSError:
                continue
            return net
    raise AssertionError("no free loopback range")


def _await_line(process: "subprocess.Popen[bytes]", log: Path, line: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while line not in log.read_text().splitlines():
        assert process.poll() is None, f"control plane ended:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"control plane not ready:\n{log.read_text()}"
        time.sleep(0.1)


def _install_crds(server: ApiServer) -> None:
    ours = [path.read_text() for path in sorted((REPOSITORY / "crds").glob("*.yaml"))]
    everything = "\n---\n".join([yaml.safe_dump_all(manifests()), *ours])
    server.kubectl("apply", "--server-side", "-f", "-", stdin=everything)
    server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")


def _report(task: str, detail: str) -> None:
    sys.__stderr__.write(f"{task}: {detail}\n") if sys.__stderr__ else None
