"""An API server of the benchmark's own: etcd and kube-apiserver, with the CRDs, in memory.

No controller manager and no scheduler: the machine is the contender's and the API server's.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from tapehouse_kube.access import load_access
from tapehouse_kube.client import HttpKube
from tapehouse_kube.objects import Ref
from tapehouse_laptop.components import Components
from tapehouse_laptop.controlplane import binaries
from tapehouse_laptop.controlplane.plane import ControlPlane
from tapehouse_laptop.net import Net
from tapehouse_laptop.services import Service
from tapehouse_laptop.state import State
from tapehouse_laptop.vendorcrds import manifests
from tapehouse_operator.api.crd import crd
from tapehouse_operator.names import SETTINGS
from tapehouse_operator.shell.webhook import NAME as ADMISSION

from bench.operator.workload import Trio
from tests.support import settings

REPOSITORY = Path(__file__).parents[2]
MEMORY = Path("/dev/shm")
NAMESPACE = "bench"
PLATFORM = {**settings.SETTINGS, "environment": "bench"}
KAFKA: dict[str, Any] = {
    "apiVersion": "kafka.strimzi.io/v1",
    "kind": "Kafka",
    "metadata": {"name": "tape", "namespace": NAMESPACE},
    "spec": {},
}
ADDRESS = {"listeners": [{"name": "internal", "bootstrapServers": "127.0.0.1:9092"}]}


class _ApiOnly(ControlPlane):
    async def _start(self, service: Service) -> None:
        if service.name in ("etcd", "kube-apiserver"):
            # The laptop's server is short of memory; this one is short of processors.
            await super()._start(replace(service, env={**os.environ, "GOGC": "200"}))


@dataclass(frozen=True, slots=True)
class Server:
    """A running API server."""

    kubeconfig: Path
    directory: Path
    address: str
    """Where contenders may listen."""

    def client(self) -> HttpKube:
        """An administrator's client; use as `async with`."""
        return HttpKube(load_access(str(self.kubeconfig)))


@asynccontextmanager
async def api_server(net: Net) -> AsyncIterator[Server]:
    """A fresh one, with CRDs and the namespace `bench`; gone at the end, with all its data."""
    programs = binaries.find_or_build()
    where = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="tapehouse-bench-", dir=where) as root:
        state = State(Path(root))
        plane = _ApiOnly(state, net, programs, Components(state))
        try:
            await plane.start()
            server = Server(state.kubeconfig, state.root, net.address(9, 1))
            async with server.client() as kube:
                await _install(kube)
            yield server
        finally:
            await plane.stop()


async def _install(kube: HttpKube) -> None:
    ours = [yaml.safe_load(p.read_text()) for p in sorted((REPOSITORY / "crds").glob("*.yaml"))]
    for definition in [*manifests(), *ours, crd(Trio)]:
        await kube.apply(definition)
        await _established(kube, definition)
    metadata = {"name": NAMESPACE}
    await kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    config = {"name": SETTINGS, "namespace": NAMESPACE}
    await kube.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": config, "data": PLATFORM}
    )
    secret = {"name": ADMISSION, "namespace": NAMESPACE}
    await kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": secret})
    await kube.create(KAFKA)
    kafka = Ref(KAFKA["apiVersion"], KAFKA["kind"], NAMESPACE, "tape")
    await kube.merge(kafka, {"status": ADDRESS}, "status")


async def _established(kube: HttpKube, definition: Mapping[str, Any]) -> None:
    meta = definition["metadata"]
    ref = Ref(definition["apiVersion"], definition["kind"], "", meta["name"])
    for _ in range(100):
        live = await kube.get(ref) or {}
        found = (live.get("status") or {}).get("conditions") or ()
        if any(c["type"] == "Established" and c["status"] == "True" for c in found):
            return
        await asyncio.sleep(0.1)
    raise RuntimeError(f"{ref.name} is not established after 10 s")
