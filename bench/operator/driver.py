"""Makes and changes resources, and watches from outside when their children and status follow."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tapehouse_kube.client import HttpKube
from tapehouse_kube.informer import Informer, Listener
from tapehouse_kube.objects import Body, Ref, Scope
from tapehouse_operator.names import API_VERSION, LABEL_OWNER, owner_label

from bench.operator.server import NAMESPACE
from bench.operator.workload import Workload

AT_A_TIME = 16
"""Resources that are being created at the same time."""


@dataclass(slots=True)
class Watched:
    """One resource, as seen from outside; times are the loop's."""

    asked: float = 0.0
    """When its last spec was sent."""
    generation: int = 0
    children: set[tuple[str, str]] = field(default_factory=set)
    child: float = 0.0
    """When a child was last seen to change."""
    settled: float = 0.0
    """When its status was first seen to be of its last generation."""


class Driver:
    """One namespace's resources of one kind."""

    def __init__(self, kube: HttpKube, workload: Workload) -> None:
        self._kube, self._workload = kube, workload
        self._known: dict[str, Watched] = {}
        self._names: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._changes = 0

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Listen to the kind and to the kinds of its children while the context lasts."""
        rng = random.Random(1)
        own = Listener(self._resource, lambda ref, uid: None, lambda scope, present: None)
        others = Listener(self._child, lambda ref, uid: None, lambda scope, present: None)
        scopes = [(Scope(API_VERSION, self._workload.name, NAMESPACE), own)]
        for kind in self._workload.kind.owned:
            scopes.append((Scope(*kind, NAMESPACE, LABEL_OWNER, metadata_only=True), others))
        informers = [Informer(self._kube, scope, tell, rng) for scope, tell in scopes]
        tasks = [asyncio.create_task(informer.run()) for informer in informers]
        try:
            for informer in informers:
                await informer.synced.wait()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def create(
        self, names: Iterable[str], created: Callable[[str, str], None] = lambda name, uid: None
    ) -> None:
        """Create resources as fast as the API server takes them; `created` gets name and UID."""
        waiting = iter(names)

        async def some() -> None:
            for name in waiting:
                body = self._workload.body(name)
                watched = self._known[name] = Watched(self._now())
                self._names[owner_label(self._workload.name, name)] = name
                meta = {**body["metadata"], "namespace": NAMESPACE}
                live = await self._kube.create({**body, "metadata": meta})
                watched.generation = live["metadata"]["generation"]
                created(name, live["metadata"]["uid"])

        await asyncio.gather(*(some() for _ in range(AT_A_TIME)))

    async def change(self, name: str, patch: dict[str, Any]) -> None:
        """Send a merge patch that changes the spec."""
        watched = self._known[name]
        watched.asked, watched.settled = self._now(), 0.0
        watched.generation += 1
        ref = Ref(API_VERSION, self._workload.name, NAMESPACE, name)
        await self._kube.merge(ref, patch)

    async def settled(self, names: Iterable[str], limit: float = 600.0) -> list[Watched]:
        """Wait until the status of each is of its last spec."""
        wanted = [self._known[name] for name in names]
        async with asyncio.timeout(limit):
            for watched in wanted:
                while not watched.settled:
                    self._changed.clear()
                    await self._changed.wait()
        return wanted

    def _resource(self, body: Body) -> None:
        watched = self._known.get(body["metadata"]["name"])
        seen = (body.get("status") or {}).get("observedGeneration", 0)
        if watched is not None and not watched.settled and seen >= watched.generation > 0:
            watched.settled = self._now()
            self._changed.set()

    def _child(self, body: Body) -> None:
        meta = body["metadata"]
        name = self._names.get(meta["labels"][LABEL_OWNER])
        if name is not None:
            watched = self._known[name]
            watched.children.add((body["kind"], meta["name"]))
            watched.child = self._now()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
