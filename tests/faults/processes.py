"""The processes of a platform under test, by what they do, and ways to end them."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
from tapehouse_laptop.processes import MARKER, running
from tapehouse_laptop.state import State, read_json
from tapehouse_laptop.supervisor import Installation

from tests.local.platform import eventually

PATTERNS = {
    "bridge": "tapehouse_*-feed-*_bridge.json",
    "simulator": "tapehouse_*-feed-*_simulator.json",
    "taskmanager": "flink_tapehouse_*_taskmanager.json",
    "jobmanager": "flink_tapehouse_*_jobmanager.json",
    "broker": "kafka_tapehouse_tape_broker.json",
    "catalog": "tapehouse_catalog-*_catalog.json",
    "publisher": "tapehouse_publisher-*_publisher.json",
    "operator": "operator.json",
    "apiserver": "kube-apiserver.json",
    "etcd": "etcd.json",
}
"""Pid files under `run/pids` of an installation."""
LONGEST_REST = 330.0
"""Seconds that a process which ends again and again may be kept from starting, and some more."""


def find(home: Path, component: str) -> list[int]:
    """The pids of a component's running processes."""
    files = sorted((State(home).run / "pids").glob(PATTERNS[component]))
    entries = (entry for file in files if (entry := read_json(file)))
    return [entry["pid"] for entry in entries if running(entry["pid"], entry["started"])]


def await_running(home: Path, component: str) -> None:
    """Wait until it has come back from an earlier kill; what is killed often rests in between."""
    eventually(lambda: find(home, component), LONGEST_REST)


def kill(home: Path, component: str) -> int:
    """SIGKILL a component's processes; the number killed."""
    found = find(home, component)
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    return len(found)


def kill_everything(home: Path) -> None:
    """What a power cut leaves: nothing runs, and no one had time to write."""
    installation = Installation.read(State(home))
    assert installation, "nothing runs that could be killed"
    os.kill(installation.pid, signal.SIGKILL)
    while left := list(_of(home)):
        for process in left:
            with suppress(psutil.Error):
                process.kill()


def _of(home: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARKER) == str(home):
                yield process
