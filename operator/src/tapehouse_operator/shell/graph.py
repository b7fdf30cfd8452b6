"""How resources hang together: `graph`, and `why` one of them is not Ready."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from tapehouse_operator.api.base import parse
from tapehouse_operator.backends.kube import Ref
from tapehouse_operator.errors import SpecError
from tapehouse_operator.kinds.contract import Key
from tapehouse_operator.names import API_VERSION, LABEL_OWNER, owner_label
from tapehouse_operator.shell.snapshot import Snapshot

WIDTH = 100
"""Characters of a state in the tree; `why` tells all of it."""
ORDER = ("TradeFeed", "StreamJob", "LakehouseTable", "QualitySuite", "Dashboard")
"""The way data flows; within one kind, from what is referred to."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Resources and what flows between them."""

    states: Mapping[Key, str]
    """`Ready`, or the reason and message of why not."""
    below: Mapping[Key, tuple[Key, ...]]
    """Where each one's data goes."""

    @property
    def roots(self) -> tuple[Key, ...]:
        """Where data enters."""
        fed = {key for keys in self.below.values() for key in keys}
        return tuple(key for key in self.states if key not in fed)

    def above(self, key: Key) -> tuple[Key, ...]:
        """Where the data of `key` comes from."""
        return tuple(k for k, fed in self.below.items() if key in fed)


async def build_graph(snapshot: Snapshot) -> Graph:
    """From every resource in the namespace and what it refers to."""
    edges: set[tuple[Key, Key]] = set()
    for key in snapshot.bodies:
        for other in await _references(snapshot, key):
            if other in snapshot.bodies and other != key:
                edges.add(_flow(other, key))
    keys = sorted(snapshot.bodies, key=_rank)
    states = {key: state(snapshot.bodies[key].get("status") or {}) for key in keys}
    below = {key: tuple(sorted((b for a, b in edges if a == key), key=_rank)) for key in keys}
    return Graph(states, below)


def tree(graph: Graph) -> Iterator[str]:
    """The graph as text; what is reached twice is shown once and named again."""
    shown: set[Key] = set()
    for root in graph.roots:
        yield from _branch(graph, root, "", "", shown)


def dot(graph: Graph) -> Iterator[str]:
    """The graph for Graphviz."""
    yield "digraph tapehouse { rankdir=LR; node [shape=box];"
    for key, text in graph.states.items():
        colour = "darkgreen" if text == "Ready" else "firebrick"
        yield f'  "{_name(key)}" [color={colour}];'
    for key, fed in graph.below.items():
        yield from (f'  "{_name(key)}" -> "{_name(other)}";' for other in fed)
    yield "}"


async def why(snapshot: Snapshot, graph: Graph, key: Key) -> list[str]:
    """The chain of causes from `key` to where it begins.

    Raises:
        ValueError: there is no such resource.
    """
    if key not in graph.states:
        raise ValueError(f"there is no {key.kind} {key.name} in namespace {key.namespace}")
    return [line async for line in _causes(snapshot, graph, key, "", set())]


def state(status: Mapping[str, Any]) -> str:
    """`Ready`, or why not in one line."""
    for one in status.get("conditions") or ():
        if one["type"] == "Ready":
            if one["status"] == "True":
                return "Ready"
            return f"{one['reason']}: {one.get('message', '')}".rstrip(": ")
    return "not seen by the operator yet"


async def _causes(
    snapshot: Snapshot, graph: Graph, key: Key, indent: str, seen: set[Key]
) -> AsyncIterator[str]:
    seen.add(key)
    yield f"{indent}{_name(key)}: {graph.states[key]}"
    if graph.states[key] == "Ready":
        return
    status = snapshot.bodies[key].get("status") or {}
    for child in status.get("children") or ():
        if not child["ready"]:
            yield f"{indent}  {child['kind']} {child['name']}: {child.get('reason') or 'not ready'}"
            async for line in _evidence(snapshot, key, child):
                yield f"{indent}    {line}"
    for other in graph.above(key):
        if other not in seen and graph.states[other] != "Ready":
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


async def _references(snapshot: Snapshot, key: Key) -> list[Key]:
    kind, body = snapshot.kinds[key.kind], snapshot.bodies[key]
    settings = await snapshot.settings(key)
    try:
        resource = parse(
            kind.model, {k: body[k] for k in ("apiVersion", "kind", "metadata", "spec")}
        )
    except SpecError:
        return []
    refs = kind.refs(resource, settings or {})
    owners = {owner_label(k.kind, k.name): k for k in snapshot.bodies}
    found = [Key(at.kind, key.namespace, at.name) for at in refs.objects if at[0] == API_VERSION]
    live = await snapshot.look(key, refs.objects)
    makers = [owners.get(o.labels.get(LABEL_OWNER, "")) for o in live.values()]
    return [*found, *(maker for maker in makers if maker is not None)]


def _flow(referred: Key, referring: Key) -> tuple[Key, Key]:
    if ORDER.index(referred.kind) > ORDER.index(referring.kind):
        return referring, referred
    return referred, referring


def _branch(graph: Graph, key: Key, first: str, rest: str, shown: set[Key]) -> Iterator[str]:
    if key in shown:
        yield f"{first}{_name(key)} (above)"
        return
    shown.add(key)
    yield f"{first}{_name(key)}  {shorten(graph.states[key], WIDTH, placeholder=' …')}"
    fed = graph.below[key]
    for index, other in enumerate(fed):
        last = index == len(fed) - 1
        corner, bar = ("└─ ", "   ") if last else ("├─ ", "│  ")
        yield from _branch(graph, other, rest + corner, rest + bar, shown)


def _rank(key: Key) -> tuple[int, str]:
    return ORDER.index(key.kind), key.name


def _name(key: Key) -> str:
    return f"{key.kind}/{key.name}"
