"""How one operator process runs: from the command line and its environment."""

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

METRICS_PORT = 9104


def _identity() -> str:
    return f"{os.environ.get('POD_NAME') or socket.gethostname()}-{uuid4().hex[:8]}"


def _address() -> str:
    return os.environ.get("POD_IP", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Settings:
    """One process's own settings; an environment's are in `tapehouse-platform`."""

    namespaces: tuple[str, ...] = ()
    """Empty: every namespace."""
    leader_election: bool = True
    workers: int = 16
    """How many resources are looked at at the same time."""
    log_level: str = "INFO"
    address: str = field(default_factory=_address)
    """Where `/healthz` and `/metrics` listen; `$POD_IP`, else loopback."""
    port: int = METRICS_PORT
    identity: str = field(default_factory=_identity)
    """Who this process is to the lease."""
    kubeconfig: Path | None = None
    admission_port: int = 0
    """Where admission listens, at `address`; 0: there is no admission."""
    admission_service: str = ""
    """`namespace/name` of the Service in front of it; empty: it is called by its address."""
