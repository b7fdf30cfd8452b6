"""`up` to `down` with one small Deployment: the life of an installation."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from tapehouse_laptop.controlplane import binaries
from tapehouse_laptop.processes import MARKER

from tests.support.controlplane import free_net

pytestmark = pytest.mark.local

TIMEOUT = 180


def resources(network: str, image: str = "tapehouse/operator:test") -> list[dict[str, Any]]:
    labels = {"app": "ticker"}
    container = {
        "name": "main",
        "image": image,
        "command": ["sh", "-c", "while :; do echo tick $WORD; sleep 1; done"],
        "env": [{"name": "WORD", "value": "one"}],
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    settings = {"podNetwork": network, "catalogUri": "http://catalog"}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "tapehouse-platform", "namespace": "small"},
            "data": settings,
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "ticker", "namespace": "small"},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
    ]


@dataclass
class Installation:
    home: Path
    directory: Path

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "TAPEHOUSE_HOME": str(self.home)}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tapehouse_cli.main", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.env,
            # A shell has its background jobs ignore Ctrl-C, and all that they start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, *arguments: str, expect: int = 0) -> str:
        with self.start(*arguments) as process:
            output, _ = process.communicate(timeout=TIMEOUT)
        assert process.returncode == expect, output
        return output

    def info(self) -> dict[str, Any]:
        return json.loads(self.run("info", "--json"))

    def supervisor(self) -> int:
        return json.loads((self.home / "installation.json").read_text())["pid"]

    def processes(self) -> list[str]:
        """Whatever of this installation runs, by its environment or its command line."""
        found = []
        for process in psutil.process_iter(["name", "cmdline"]):
            try:
                mine = process.environ().get(MARKER) == str(self.home)
            except psutil.Error:
                continue
            if mine or str(self.home) in (process.info["cmdline"] or ()):
                found.append(f"{process.pid} {process.info['name']}")
        return found

    def gone(self) -> bool:
        deadline = time.monotonic() + 10
        while left := self.processes():
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
        return True


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    directory = tmp_path / "resources"
    directory.mkdir()
    network = f"{free_net().prefix}.0.0/16"
    (directory / "all.yaml").write_text(yaml.safe_dump_all(resources(network)))
    made = Installation(tmp_path / "home", directory)
    try:
        yield made
    finally:
        made.run("down", "--data")
        assert made.gone()


def test_it_survives_a_kill_and_goes_on_with_what_it_had(installation: Installation) -> None:
    said = installation.run("up", str(installation.directory), "--detach")
    assert "Deployment ticker: ready" in said
    info = installation.info()
    assert set(info) >= {"kubeconfig", "graphql", "kafka", "catalog", "metrics", "pids"}
    ticker = next(pid for name, pid in info["pids"].items() if "ticker" in name)
    assert psutil.Process(ticker).environ()["WORD"] == "one"
    assert "tick one" in installation.run("logs", "ticker", "-n", "1")
    assert "ticker" in installation.run("status")

    again = installation.run("up", str(installation.directory), "--detach")
    assert "Deployment ticker: ready" in again
    assert installation.info()["pids"] == info["pids"]

    os.kill(installation.supervisor(), signal.SIGKILL)
    assert installation.gone()
    assert "nothing runs" in installation.run("status", expect=1)

    installation.run("up", str(installation.directory), "--detach")
    pods = _kubectl(installation, "get", "pods", "-n", "small", "-o", "json")
    [pod] = json.loads(pods)["items"]
    [container] = pod["status"]["containerStatuses"]
    assert container["restartCount"] == 1
    assert container["ready"]

    assert "Stopped" in installation.run("down")
    assert installation.gone()
    assert "Nothing was running" in installation.run("down")
    assert (installation.home / "data").exists()
    installation.run("down", "--data")
    assert not (installation.home / "data").exists()


def _kubectl(installation: Installation, *arguments: str) -> str:
    command = [
        binaries.find_or_build()["kubectl"],
        "--kubeconfig",
        installation.home / "kubeconfig",
    ]
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_ctrl_c_stops_everything(installation: Installation) -> None:
    process = installation.start("up", str(installation.directory))
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C stops it" in line:
            break
    else:
        raise AssertionError("".join(lines))
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=90)
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert "the data is kept" in rest
    assert installation.gone()


def test_closing_the_terminal_abruptly_leaves_nothing(installation: Installation) -> None:
    process = installation.start("up", str(installation.directory))
    assert process.stdout
    for line in process.stdout:
        if "kube-apiserver" in line:
            break
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 90
    while installation.processes():
        assert time.monotonic() < deadline, installation.processes()
        time.sleep(0.2)


def test_what_is_refused_or_never_ready_is_named_with_its_reason(
    installation: Installation,
) -> None:
    file = installation.directory / "all.yaml"
    settings, ticker = yaml.safe_load_all(file.read_text())
    ticker["spec"]["replicas"] = "many"
    file.write_text(yaml.safe_dump_all([settings, ticker]))
    said = installation.run("up", str(installation.directory), "--detach", expect=1)
    assert "refused" in said
    assert "replicas" in said

    ticker["spec"]["replicas"] = 1
    ticker["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:1"
    file.write_text(yaml.safe_dump_all([settings, ticker]))
    short = ("--detach", "--timeout", "15")
    said = installation.run("up", str(installation.directory), *short, expect=1)
    assert "Deployment ticker: 0 of 1 ready" in said
    assert 'image "nginx:1" has no stand-in' in said
