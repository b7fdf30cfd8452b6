"""What must be so on this machine before anything is started."""

import os
import shutil
import socket
from pathlib import Path

import psutil

from tapehouse_laptop.controlplane.plane import API_PORT, ETCD_PEER_PORT, ETCD_PORT
from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.net import Net
from tapehouse_laptop.node import logserver
from tapehouse_laptop.processes import MARKER
from tapehouse_laptop.state import State
from tapehouse_laptop.supervisor import OPERATOR_PORT

MINIMUM_FREE_VARIABLE = "TAPEHOUSE_MINIMUM_FREE_GIB"
MINIMUM_FREE_GIB = 2.0
GIB = 2**30
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
PORTS = {
    API_PORT: "the API server",
    ETCD_PORT: "etcd",
    ETCD_PEER_PORT: "etcd's peers",
    logserver.PORT: "the node",
    OPERATOR_PORT: "the operator",
}


def check(state: State, net: Net) -> None:
    """Refuse to start where it would fail later.

    Raises:
        LaptopError: too little disk, no right to write, or a port that is taken.
    """
    check_disk(state.root)
    for port, use in PORTS.items():
        check_port(net.control_plane, port, use)


def minimum_free() -> float:
    """GiB that must stay free on the disk of the state directory."""
    given = os.environ.get(MINIMUM_FREE_VARIABLE) or MINIMUM_FREE_GIB
    try:
        return float(given)
    except ValueError:
        raise LaptopError(f"{MINIMUM_FREE_VARIABLE}={given}: write a number of GiB") from None


def check_disk(path: Path) -> None:
    """Raise LaptopError if `path` cannot be written or its disk is nearly full."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LaptopError(f"cannot make {path}: {error.strerror}") from error
    if not os.access(path, os.W_OK):
        raise LaptopError(f"cannot write to {path}: it belongs to {path.owner()}")
    free = shutil.disk_usage(path).free / GIB
    if free < minimum_free():
        raise LaptopError(
            f"the disk of {path} has {free:.1f} GiB left and {minimum_free():g} GiB are needed: "
            f"make room, or set TAPEHOUSE_HOME to a directory on another disk"
        )


def check_port(address: str, port: int, use: str) -> None:
    """Raise LaptopError, naming the process, if somebody listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            holder = listener(address, port)
            if holder is None:
                raise LaptopError(
                    f"{address}:{port} for {use} cannot be had: {error.strerror}"
                ) from error
            raise LaptopError(_taken(address, port, use, holder)) from error


def listener(address: str, port: int) -> psutil.Process | None:
    """The process that listens on a port, if it can be seen."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS shows only one's own
        return None
    for each in connections:
        if each.status != psutil.CONN_LISTEN or not each.laddr or not each.pid:
            continue
        if each.laddr.port == port and each.laddr.ip in {address, *ANY_ADDRESS}:
            return psutil.Process(each.pid)
    return None


def _taken(address: str, port: int, use: str, holder: psutil.Process) -> str:
    try:
        other = holder.environ().get(MARKER)
        who = f"process {holder.pid} ({' '.join(holder.cmdline())[:100]})"
    except psutil.Error:
        other, who = None, f"process {holder.pid}"
    if other:
        return (
            f"another Tapehouse runs on {address}: {other}; stop it with "
            f"`TAPEHOUSE_HOME={other} tapehouse down`, or give this one another podNetwork in "
            "its ConfigMap tapehouse-platform"
        )
    return f"{address}:{port}, which {use} needs, is taken by {who}: stop it, or change podNetwork"
