"""A whole operator on a cluster in memory, with the other controllers' part played."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tapehouse_kube.informer import Informer, Listener
from tapehouse_kube.objects import Ref, Scope
from tapehouse_operator.api.base import Reason
from tapehouse_operator.emit.core import Table, TableState
from tapehouse_operator.errors import NotReady
from tapehouse_operator.names import API_VERSION, SETTINGS
from tapehouse_operator.shell.engine import Engine

from tests.operator.engine.widget import WidgetKind
from tests.support.memory_kube import MemoryKube

NS = "market"
START = datetime(2026, 1, 1, tzinfo=UTC)


class TableShelf:
    """A catalog on a dictionary."""

    def __init__(self) -> None:
        self.tables: dict[str, str] = {}
        self.down = False
        self.calls: list[str] = []

    async def ensure(self, table: Table) -> TableState:
        self._call("ensure", table.identifier)
        self.tables.setdefault(table.identifier, table.owner)
        return TableState(table.identifier, exists=True)

    async def state(self, identifier: str) -> TableState:
        self._call("state", identifier)
        return TableState(identifier, exists=identifier in self.tables)

    async def drop(self, identifier: str, owner: str) -> None:
        self._call("drop", identifier)
        if self.tables.get(identifier) == owner:
            del self.tables[identifier]

    def _call(self, verb: str, identifier: str) -> None:
        self.calls.append(f"{verb} {identifier}")
        if self.down:
            raise NotReady(Reason.CATALOG_UNAVAILABLE, "the catalog cannot be reached")


class Controllers:
    """Makes Deployments ready and ends check Pods: `bad` in the SQL is refused."""

    def __init__(self, kube: MemoryKube) -> None:
        self._kube = kube
        self.paused = False

    def play(self) -> bool:
        """Whatever is due; tells whether anything was."""
        if self.paused:
            return False
        before = len(self._kube.writes)
        for ref, body in list(self._kube.objects.items()):
            if ref.kind == "Deployment":
                status = {"observedGeneration": body["metadata"]["generation"]}
                if body.get("status") == status:
                    continue
                self._kube.edit(ref, {"status": status}, "status", "kubelet")
            elif ref.kind == "Pod" and not (body.get("status") or {}).get("phase"):
                self._kube.edit(ref, {"status": _ended(body, self._kube.now)}, "status", "kubelet")
        return len(self._kube.writes) > before


def _ended(body: Mapping[str, Any], now: str) -> dict[str, Any]:
    sql = body["spec"]["containers"][0]["args"][0]
    refused = '{"path": "spec.sql", "value": "bad", "remedy": "write something Flink can plan"}'
    ended: dict[str, Any] = {"exitCode": 0, "message": "", "finishedAt": now}
    if "bad" in sql:
        ended |= {"exitCode": 1, "message": refused}
    elif "crash" in sql:
        ended |= {"exitCode": 137, "message": "Killed"}
    phase = "Succeeded" if ended["exitCode"] == 0 else "Failed"
    return {"phase": phase, "containerStatuses": [{"state": {"terminated": ended}}]}


class House:
    """One operator at a time on one cluster."""

    def __init__(self, kube: MemoryKube, seed: int = 1, workers: int = 4) -> None:
        self.kube, self.shelf = kube, TableShelf()
        self.controllers = Controllers(kube)
        self.rng = random.Random(seed)
        self.workers = workers
        self.engine: Engine
        self._tasks: list[asyncio.Task[None]] = []

    def clock(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time() - 1_000.0)

    async def start(self) -> None:
        """A new operator process."""
        self.engine = Engine(
            [WidgetKind()],
            self.kube,
            lambda settings: self.shelf,
            workers=self.workers,
            clock=self.clock,
            rng=self.rng,
        )
        await self.engine.start()
        backend = self.engine.backend
        listener = Listener(backend.resource_seen, backend.resource_gone, backend.resources_listed)
        informer = Informer(self.kube, Scope(API_VERSION, "Widget"), listener, self.rng)
        self._tasks.append(asyncio.create_task(informer.run()))
        await informer.synced.wait()
        self.engine.lead()

    async def stop(self) -> None:
        """The operator process ends."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.engine.stop()

    async def settle(self, seconds: float = 120.0, quiet_for: int = 40) -> None:
        """Let virtual time pass until nobody has had anything to do for a while."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        quiet = 0
        while quiet < quiet_for and loop.time() < until:
            self.kube.now = self.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
            before = len(self.kube.writes)
            await asyncio.sleep(1.0)
            busy = self.controllers.play() or not self.engine.queue.idle
            quiet = 0 if busy or len(self.kube.writes) != before else quiet + 1

    def put(self, name: str, **spec: Any) -> None:
        """`kubectl apply` of a widget."""
        ref = widget(name)
        if ref in self.kube.objects:
            old = self.kube.objects[ref]["spec"]
            gone = {field: None for field in old if field not in spec}
            self.kube.edit(ref, {"spec": {**gone, **spec}})
        else:
            metadata = {"name": name, "namespace": NS}
            body = {"apiVersion": API_VERSION, "kind": "Widget", "metadata": metadata, "spec": spec}
            self.kube.create(body)

    def config(self, name: str, **data: str) -> None:
        """A ConfigMap that nobody owns."""
        ref = Ref("v1", "ConfigMap", NS, name)
        if ref in self.kube.objects:
            self.kube.edit(ref, {"data": data})
        else:
            metadata = {"name": name, "namespace": NS}
            self.kube.create(
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
            )

    def status(self, name: str) -> dict[str, Any]:
        """A widget's status."""
        status: dict[str, Any] = self.kube.objects[widget(name)].get("status") or {}
        return status

    def condition(self, name: str, kind: str) -> tuple[str, str, str]:
        """A widget's condition as (status, reason, message)."""
        one = next(c for c in self.status(name)["conditions"] if c["type"] == kind)
        return one["status"], one["reason"], one.get("message", "")

    def names(self, kind: str) -> list[str]:
        """The objects of one kind."""
        return sorted(ref.name for ref in self.kube.objects if ref.kind == kind)


def widget(name: str) -> Ref:
    return Ref(API_VERSION, "Widget", NS, name)


@contextlib.asynccontextmanager
async def house(kube: MemoryKube | None = None, **options: Any) -> AsyncIterator[House]:
    """A running operator in a namespace with settings."""
    one = House(kube or MemoryKube(), **options)
    one.config(SETTINGS, environment="test")
    await one.start()
    try:
        yield one
    finally:
        await one.stop()
