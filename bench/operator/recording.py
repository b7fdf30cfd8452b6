"""What the operator writes for one resource: learnt from the operator itself, in memory."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from tapehouse_kube.objects import Body, Ref
from tapehouse_operator.names import SETTINGS
from tapehouse_operator.shell.engine import Engine

from bench.operator.server import ADDRESS, KAFKA, NAMESPACE, PLATFORM
from bench.operator.workload import Workload
from tests.support.memory_kube import MemoryKube

SAMPLE = "sample-placeholder"
"""Stands for the resource's name, in its children and in what they hold."""
SAMPLE_UID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Template:
    """The writes for any resource of the kind, as JSON with placeholders."""

    children: bytes
    """A list of complete objects, in the order of writing."""
    status: bytes

    def filled(self, name: str, uid: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The children and the status of one resource."""
        values = ((SAMPLE, name), (SAMPLE_UID, uid))
        children, status = self.children, self.status
        for placeholder, value in values:
            children = children.replace(placeholder.encode(), value.encode())
            status = status.replace(placeholder.encode(), value.encode())
        return orjson.loads(children), orjson.loads(status)


class _Recorder(MemoryKube):
    """Remembers bodies as they were sent."""

    def __init__(self) -> None:
        super().__init__()
        self.applied: list[Body] = []
        self.status: Mapping[str, Any] = {}

    async def apply(self, body: Body, *, dry_run: bool = False, **options: Any) -> Body:
        self.applied.append(body)
        return await super().apply(body, dry_run=dry_run, **options)

    async def merge(self, ref: Ref, patch: Body, subresource: str = "") -> Body:
        self.status = patch["status"]
        return await super().merge(ref, patch, subresource)


async def record(workload: Workload) -> Template:
    """Let the engine bring about one resource on an API server in memory."""
    kube = _Recorder()
    meta = {"name": SETTINGS, "namespace": NAMESPACE}
    kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": PLATFORM})
    kube.create({**KAFKA, "status": ADDRESS})
    body = workload.body(SAMPLE)
    uid = kube.create({**body, "metadata": {**body["metadata"], "namespace": NAMESPACE}})
    engine = Engine([workload.kind], kube, _no_catalog, rng=random.Random(1))
    await engine.start()
    engine.lead()
    try:
        await _until(lambda: bool(kube.status) and engine.queue.idle)
    finally:
        await engine.stop()
    children = orjson.dumps(kube.applied)
    real = uid["metadata"]["uid"].encode()
    return Template(children.replace(real, SAMPLE_UID.encode()), orjson.dumps(kube.status))


def _no_catalog(settings: Mapping[str, str]) -> Any:
    """No workload of the benchmark has tables."""


async def _until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not so():
            await asyncio.sleep(0.01)
