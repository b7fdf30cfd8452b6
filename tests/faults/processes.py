"""The processes of a platform under test, by what they do, and ways to end them."""

import json
import os
import signal
from pathlib import Path

import psutil

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


def find(home: Path, component: str) -> list[psutil.Process]:
    """The running processes of a component."""
    found = []
    for pidfile in sorted((home / "run/pids").glob(PATTERNS[component])):
        entry = json.loads(pidfile.read_text())
        if psutil.pid_exists(entry["pid"]):
            found.append(psutil.Process(entry["pid"]))
    return found


def kill(home: Path, component: str) -> int:
    """SIGKILL a component's processes; the number killed."""
    found = find(home, component)
    for process in found:
        os.kill(process.pid, signal.SIGKILL)
    return len(found)


def kill_everything(home: Path) -> int:
    """What a power cut leaves: nothing runs, and no one had time to write."""
    marker = str(home)
    ended = 0
    supervisor = json.loads((home / "installation.json").read_text())["pid"]
    os.kill(supervisor, signal.SIGKILL)
    for process in psutil.process_iter():
        try:
            if process.environ().get("TAPEHOUSE_STATE") == marker:
                process.kill()
                ended += 1
        except (psutil.Error, OSError):
            continue
    return ended
