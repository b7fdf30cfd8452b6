"""What a user does to one resource of each kind: make it, change it, delete it, make it anew."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import yaml
from tapehouse_laptop.kubeapi import CONFIG_MAPS, KAFKAS, NAMESPACES, ApiError, Key, Kube, Resource
from tapehouse_operator.backends.cluster import REVISIONS
from tapehouse_operator.kinds import KINDS
from tapehouse_operator.names import API_VERSION, LABEL_OWNER
from tapehouse_operator.names import SETTINGS as SETTINGS_NAME

from tests.support.settings import SETTINGS

Body = Mapping[str, Any]
OURS = {
    kind.model.__name__: Resource(API_VERSION, kind.model.__name__, kind.model.names.plural)
    for kind in KINDS
}
CHILDREN = tuple(
    Resource(api_version, kind, f"{kind.lower()}s")
    for api_version, kind in sorted({REVISIONS, *(own for kind in KINDS for own in kind.owned)})
)
RESOURCES: Mapping[str, Body] = {
    body["kind"]: body
    for body in yaml.safe_load_all(
        """
apiVersion: tapehouse.dev/v1alpha1
kind: TradeFeed
metadata: {name: ticks}
spec:
  source: {websocket: {url: "wss://stream.example.com"}}
  events:
    - name: Tick
      key: symbol
      eventTime: at
      fields:
        - {name: symbol, type: string, required: true}
        - {name: price, type: double}
        - {name: at, type: timestamptz}
  topics: [{event: Tick, name: raw.ticks}]
---
apiVersion: tapehouse.dev/v1alpha1
kind: LakehouseTable
metadata: {name: bronze-ticks}
spec:
  identifier: bronze.ticks
  columns:
    - {name: symbol, type: string}
    - {name: price, type: double}
  stream: {job: land}
  deletionPolicy: Delete
---
apiVersion: tapehouse.dev/v1alpha1
kind: StreamJob
metadata: {name: land}
spec:
  inputs: [{as: ticks, feed: ticks, event: Tick}]
  outputs:
    - {table: bronze-ticks}
    - {topic: dear.ticks, key: [symbol], columns: [{name: symbol, type: string}]}
  sql: |
    INSERT INTO bronze.ticks (symbol, price) SELECT symbol, price FROM ticks;
    INSERT INTO `dear.ticks` (symbol) SELECT symbol FROM ticks WHERE price > 100;
---
apiVersion: tapehouse.dev/v1alpha1
kind: QualitySuite
metadata: {name: ticks}
spec:
  target: {table: bronze-ticks}
  expectations:
    - {name: symbol-there, type: not_null, kwargs: {column: symbol}, severity: block}
---
apiVersion: tapehouse.dev/v1alpha1
kind: Dashboard
metadata: {name: prices}
spec:
  title: Prices
  datasets: [{name: ticks, table: bronze-ticks}]
  charts: [{title: Price, type: bar, dataset: ticks, x: symbol, values: [price]}]
"""
    )
}
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "TradeFeed": {
        "source": {"websocket": {"url": "wss://other.example.com"}},
        "topics": [{"event": "Tick", "name": "raw.ticks", "partitions": 4}],
    },
    "LakehouseTable": {
        "columns": [
            {"name": "symbol", "type": "string"},
            {"name": "price", "type": "double"},
            {"name": "venue", "type": "string"},
        ]
    },
    "StreamJob": {
        "outputs": [{"table": "bronze-ticks"}],
        "sql": "INSERT INTO bronze.ticks (symbol, price) SELECT symbol, price + 1 FROM ticks",
    },
    "QualitySuite": {"schedule": "@daily"},
    "Dashboard": {"title": "Other prices"},
}
NEEDS: Mapping[str, tuple[str, ...]] = {
    "TradeFeed": (),
    "LakehouseTable": (),
    "StreamJob": ("TradeFeed", "LakehouseTable"),
    "QualitySuite": ("LakehouseTable",),
    "Dashboard": ("LakehouseTable",),
}
DEEDS = ("create", "update", "delete", "recreate")


@dataclass(frozen=True, order=True)
class Story:
    """One deed on one kind; the same in any namespace."""

    kind: str
    deed: str

    def before(self) -> tuple[Body, ...]:
        """What is there when it begins."""
        needs = tuple(RESOURCES[kind] for kind in NEEDS[self.kind])
        return needs if self.deed == "create" else (*needs, RESOURCES[self.kind])

    async def happen(self, ground: "Ground", namespace: str) -> None:
        kube, body = ground.kube, RESOURCES[self.kind]
        match self.deed:
            case "create":
                await put(kube, namespace, body)
            case "update":
                await put(kube, namespace, changed(body))
            case "delete":
                await remove(kube, namespace, body)
            case "recreate":
                await remove(kube, namespace, body)
                await gone(kube, namespace, body)
                await ground.collected(namespace)
                await put(kube, namespace, changed(body))

    def __str__(self) -> str:
        return f"{self.deed} {self.kind}"


STORIES = tuple(Story(kind, deed) for kind in RESOURCES for deed in DEEDS)
SHORT = tuple(story for story in STORIES if story.deed != "recreate")
"""Making anew waits for the garbage collector."""
CHAIN = tuple(RESOURCES[kind] for kind in RESOURCES)
"""One of each, each needing the ones before."""


def changed(body: Body) -> dict[str, Any]:
    """The same resource with a spec that moves its children."""
    out = deepcopy(dict(body))
    out["spec"] |= CHANGES[body["kind"]]
    return out


async def put(kube: Kube, namespace: str, body: Body) -> None:
    """`kubectl apply` of one of our resources."""
    there = {**body, "metadata": {**body["metadata"], "namespace": namespace}}
    await kube.apply(OURS[body["kind"]], there)


async def remove(kube: Kube, namespace: str, body: Body) -> None:
    """`kubectl delete --wait=false`."""
    await kube.delete(OURS[body["kind"]], Key(namespace, body["metadata"]["name"]))


async def gone(kube: Kube, namespace: str, body: Body, patience: float = 900.0) -> None:
    """Wait until a deleted resource is no more."""
    key = Key(namespace, body["metadata"]["name"])
    async with asyncio.timeout(patience):
        while await kube.get(OURS[body["kind"]], key) is not None:
            await asyncio.sleep(0.1)


@dataclass
class Ground:
    """Makes namespaces in which resources can become Ready."""

    kube: Kube
    prefix: str
    """Every namespace starts so."""
    catalog: str
    made: list[str] = field(default_factory=list)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _looked: float = 0.0
    _littered: frozenset[str] = frozenset()

    async def collected(self, *namespaces: str, patience: float = 900.0) -> None:
        """Wait until the garbage collector has taken all whose owner is gone."""
        asked = time.monotonic()
        async with asyncio.timeout(patience):
            while self._looked < asked or not self._littered.isdisjoint(namespaces):
                await asyncio.sleep(0.3)
                await self._look()

    async def _look(self) -> None:
        """At most once a second, however many ask."""
        async with self._looking:
            now = time.monotonic()
            if now - self._looked < 1.0:
                return
            children = [i for r in CHILDREN for i in (await self.kube.list(r, "", LABEL_OWNER))[0]]
            alive = {
                i["metadata"]["uid"] for r in OURS.values() for i in (await self.kube.list(r))[0]
            }
            self._littered = frozenset(
                child["metadata"]["namespace"]
                for child in children
                for owner in child["metadata"].get("ownerReferences", ())
                if owner["uid"] not in alive
            )
            self._looked = now

    async def namespaces(self, count: int) -> list[str]:
        """New ones, with settings, a Kafka and a service account."""
        first = len(self.made)
        names = [f"{self.prefix}-{n:04d}" for n in range(first, first + count)]
        self.made += names
        await in_parallel(self._make, names)
        return names

    async def _make(self, name: str) -> None:
        await self.kube.create(NAMESPACES, _body(NAMESPACES, "", name))
        prefix = name.replace("-", "_") + "_"
        data = {**SETTINGS, "catalogUri": self.catalog, "catalogPrefix": prefix}
        settings = {**_body(CONFIG_MAPS, name, SETTINGS_NAME), "data": data}
        await self.kube.create(CONFIG_MAPS, settings)
        listener = {"name": "internal", "port": 9092, "type": "internal", "tls": False}
        kafka = _body(KAFKAS, name, "tape") | {"spec": {"kafka": {"listeners": [listener]}}}
        await self.kube.create(KAFKAS, kafka)
        address = {"name": "internal", "bootstrapServers": "127.0.0.1:9092"}
        ready = [{"type": "Ready", "status": "True"}]
        status = {"listeners": [address], "conditions": ready}
        await self.kube.patch_status(KAFKAS, Key(name, "tape"), status)
        account = Resource("v1", "ServiceAccount", "serviceaccounts")
        while await self.kube.get(account, Key(name, "default")) is None:
            await asyncio.sleep(0.1)

    async def clear(self) -> None:
        """Have everything deleted; nobody waits for it."""
        await in_parallel(self._clear, self.made)

    async def _clear(self, name: str) -> None:
        # At the end of a test that failed, its own error matters, not that nobody answers now.
        with contextlib.suppress(ApiError, aiohttp.ClientError, TimeoutError):
            for resource in OURS.values():
                for item in (await self.kube.list(resource, name))[0]:
                    if item["metadata"].get("finalizers"):
                        patch = {"metadata": {"finalizers": None}}
                        await self.kube.patch(resource, Key.of(item), patch)
            await self.kube.delete(NAMESPACES, Key("", name))


def _body(resource: Resource, namespace: str, name: str) -> dict[str, Any]:
    where = {"namespace": namespace} if namespace else {}
    metadata = {"name": name, **where}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}


async def in_parallel(
    act: Callable[..., Awaitable[None]], *arguments: Any, at_once: int = 16
) -> None:
    """`act` on each of many arguments, some at a time."""
    limit = asyncio.Semaphore(at_once)

    async def one(*each: Any) -> None:
        async with limit:
            await act(*each)

    async with asyncio.TaskGroup() as group:
        for each in zip(*arguments, strict=True):
            group.create_task(one(*each))
