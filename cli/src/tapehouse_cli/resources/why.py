"""Why a resource is not Ready: the chain of causes, down to what a Pod says."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from tapehouse_kube.objects import Ref
from tapehouse_operator.kinds.contract import Key

from tapehouse_cli.resources.graph import Graph, label
from tapehouse_cli.resources.snapshot import Snapshot


async def causes(snapshot: Snapshot, graph: Graph, key: Key) -> list[str]:
    """The chain of causes from `key` to where it begins.

    Raises:
        ValueError: there is no such resource.
    """
    if key not in graph.nodes:
        raise ValueError(snapshot.missing(key))
    return [line async for line in _causes(snapshot, graph, key, "", set())]


async def _causes(
    snapshot: Snapshot, graph: Graph, key: Key, indent: str, seen: set[Key]
) -> AsyncIterator[str]:
    seen.add(key)
    yield f"{indent}{label(key)}: {graph.nodes[key].text}"
    if graph.nodes[key].text == "Ready":
        return
    status = snapshot.bodies[key].get("status") or {}
    for child in status.get("children") or ():
        if not child["ready"]:
            yield f"{indent}  {child['kind']} {child['name']}: {child.get('reason') or 'not ready'}"
            async for line in _evidence(snapshot, key, child):
                yield f"{indent}    {line}"
    for other in graph.above(key):
        if other not in seen and graph.nodes[other].text != "Ready":
            async for line in _causes(snapshot, graph, other, f"{indent}  ", seen):
                yield line


async def _evidence(snapshot: Snapshot, key: Key, child: Mapping[str, Any]) -> AsyncIterator[str]:
    """What an unready child says of itself."""
    for at, live in snapshot.children(key).items():
        if (at.kind, at.name) == (child["kind"], child["name"]):
            for one in live.status.get("conditions") or ():
                if one.get("message") and one.get("status") != "True":
                    yield f"{one['type']} is {one['status']}: {one['message']}"
            if error := live.status.get("error"):
                yield f"error: {str(error)[:500]}"
            if at.kind == "Deployment":
                async for line in _pods(snapshot, at.name):
                    yield line


async def _pods(snapshot: Snapshot, deployment: str) -> AsyncIterator[str]:
    live = await snapshot.kube.get(Ref("apps/v1", "Deployment", snapshot.namespace, deployment))
    selector = (live or {}).get("spec", {}).get("selector", {}).get("matchLabels", {})
    async for pod in snapshot.pods(selector):
        for one in (pod.get("status") or {}).get("containerStatuses") or ():
            waiting = (one.get("state") or {}).get("waiting") or {}
            ended = (one.get("lastState") or {}).get("terminated") or {}
            text = waiting.get("message") or waiting.get("reason") or ended.get("message")
            if text:
                yield f"Pod {pod['metadata']['name']}, container {one['name']}: {text}"
