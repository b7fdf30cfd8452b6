"""A node in the test's own loop, and small Pods for it."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapehouse_laptop.components import Components
from tapehouse_laptop.context import Context
from tapehouse_laptop.kubeapi import (
    CONFIG_MAPS,
    NAMESPACES,
    NODES,
    PODS,
    SERVICE_ACCOUNTS,
    Key,
    Kube,
    Manifest,
)
from tapehouse_laptop.node import controller
from tapehouse_laptop.node.container import Backoff
from tapehouse_laptop.state import State

from tests.support.controlplane import ApiServer

IMAGE = "tapehouse/operator:test"
PATIENCE = 30.0


@dataclass
class Laptop:
    """A running node and a namespace on it."""

    kube: Kube
    namespace: str
    ctx: Context

    async def create(self, name: str, *containers: Manifest, **spec: Any) -> Key:
        """Create a Pod."""
        annotations = spec.pop("annotations", {})
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "namespace": self.namespace,
                "name": name,
                "annotations": annotations,
                "labels": {"app": name},
            },
            "spec": {"containers": list(containers), **spec},
        }
        return Key.of(await self.kube.create(PODS, manifest))

    async def config_map(self, name: str, **data: str) -> None:
        """Create or replace a ConfigMap."""
        meta = {"namespace": self.namespace, "name": name}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
        await self.kube.apply(CONFIG_MAPS, manifest)

    async def until(self, key: Key, holds: Callable[[Manifest], Any]) -> Manifest:
        """The Pod, once `holds` is true of it; its last status in the error otherwise."""
        return await until(lambda: self.kube.get(PODS, key), lambda pod: pod and holds(pod))

    async def phase(self, key: Key, wanted: str) -> Manifest:
        """The Pod in this phase."""
        return await self.until(key, lambda pod: pod["status"].get("phase") == wanted)

    async def gone(self, key: Key) -> None:
        """Return once the Pod is gone."""
        await until(lambda: self.kube.get(PODS, key), lambda pod: pod is None)

    def log(self, key: Key, container: str = "main") -> str:
        """A container's output so far."""
        path = self.ctx.state.logs / str(key) / f"{container}.log"
        return path.read_text() if path.exists() else ""


async def until(read: Callable[[], Any], holds: Callable[[Any], Any]) -> Any:
    """What `read` gives once `holds` is true of it."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        found = await read()
        if holds(found):
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"still not so: {found}")
        await asyncio.sleep(0.05)


def sh(script: str, name: str = "main", **more: Any) -> Manifest:
    """A container that runs a shell script."""
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", script], **more}


def state_of(pod: Manifest, name: str = "main") -> Manifest:
    """The state of a container."""
    for status in pod["status"].get("containerStatuses") or ():
        if status["name"] == name:
            return status
    return {"state": {}, "lastState": {}, "restartCount": 0, "ready": False}


def conditions(pod: Manifest) -> dict[str, str]:
    """Condition types to their statuses."""
    return {c["type"]: c["status"] for c in pod["status"].get("conditions") or ()}


@asynccontextmanager
async def running_node(ctx: Context) -> AsyncIterator[None]:
    """A node, for as long as the block runs: a dead one would spoil the Pods of other tests."""
    task = asyncio.create_task(controller.run(ctx, Backoff(0.1, 0.4)))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await ctx.kube.delete(NODES, Key("", controller.NODE))


async def make_namespace(kube: Kube, name: str) -> str:
    """A namespace with its default ServiceAccount."""
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await kube.apply(NAMESPACES, manifest)
    await until(lambda: kube.get(SERVICE_ACCOUNTS, Key(name, "default")), bool)
    return name


async def remove_pods(kube: Kube, namespace: str) -> None:
    """Delete what is left."""
    for pod in (await kube.list(PODS, namespace))[0]:
        await kube.delete(PODS, Key.of(pod), grace=0)


def context(kube: Kube, server: ApiServer, directory: Path) -> Context:
    """A substrate of the test's own."""
    state = State(directory)
    state.ensure()
    shutil.copy(server.kubeconfig, state.kubeconfig)
    shutil.copytree(server.directory / "pki", state.pki, dirs_exist_ok=True)
    return Context(kube, server.net, state, Components(state))
