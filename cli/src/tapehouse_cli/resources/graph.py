"""How data flows: feeds, topics, jobs, tables, suites, dashboards, declared readers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import shorten
from typing import Any, NamedTuple

from tapehouse_kube.objects import Body
from tapehouse_operator.api.base import Phase
from tapehouse_operator.emit import strimzi
from tapehouse_operator.emit.health import by_condition
from tapehouse_operator.kinds.contract import Key
from tapehouse_operator.names import API_VERSION, LABEL_OWNER, owner_label

from tapehouse_cli.resources.snapshot import Snapshot

WIDTH = 100
"""Characters of a state in the tree; `why` tells all of it."""
READER = "Reader"
"""The kind of a node for a reader outside Tapehouse, declared in `spec.consumers` of a table."""
DECLARED = "Declared"
"""The phase of such a node: it is known by name only."""
TOPIC = "KafkaTopic"
UNSEEN = "not seen by the operator yet"


class State(NamedTuple):
    """How one of them does."""

    phase: str
    """As in `status.phase`; empty before the operator has seen it."""
    text: str
    """`Ready`, or the reason and message of why not."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Resources and topics, and what flows between them."""

    nodes: Mapping[Key, State]
    below: Mapping[Key, tuple[Key, ...]]
    """Where each one's data goes."""

    @property
    def roots(self) -> tuple[Key, ...]:
        """Where data enters."""
        fed = {key for keys in self.below.values() for key in keys}
        return tuple(key for key in self.nodes if key not in fed)

    def above(self, key: Key) -> tuple[Key, ...]:
        """Where the data of `key` comes from."""
        return tuple(k for k, fed in self.below.items() if key in fed)


async def build_graph(snapshot: Snapshot) -> Graph:
    """From every resource in the namespace, what it refers to, and which topics carry its data."""
    first, *others = snapshot.kinds
    order = (first, TOPIC, *others, READER)  # the way data flows: the first kind fills topics
    edges: set[tuple[Key, Key]] = set()
    for key in snapshot.bodies:
        for other in await _references(snapshot, key):
            if other in snapshot.bodies and other != key:
                edges.add((key, other) if rank(order, other) > rank(order, key) else (other, key))
    topics = {topic.key: topic for topic in _topics(snapshot)}
    for topic in topics.values():
        edges -= {(topic.owner, reader) for reader in topic.readers}
        edges |= {(writer, topic.key) for writer in topic.writers}
        edges |= {(topic.key, reader) for reader in topic.readers}
    readers = list(_declared_readers(snapshot))
    edges |= set(readers)
    nodes = {key: state(body) for key, body in snapshot.bodies.items()}
    nodes |= {reader: State(DECLARED, DECLARED) for _, reader in readers}
    nodes |= {key: topic.state for key, topic in topics.items()}
    keys = sorted(nodes, key=partial(_sort_key, order))
    below = {key: tuple(k for k in keys if (key, k) in edges) for key in keys}
    return Graph({key: nodes[key] for key in keys}, below)


def tree(graph: Graph) -> Iterator[str]:
    """The graph as text; what is reached twice is shown once and named again."""
    shown: set[Key] = set()
    for root in graph.roots:
        yield from _branch(graph, root, "", "", shown)


def state(body: Body) -> State:
    """How a resource does, by its status."""
    status = body.get("status") or {}
    for one in status.get("conditions") or ():
        if one["type"] == "Ready":
            text = f"{one['reason']}: {one.get('message', '')}".rstrip(": ")
            return State(status.get("phase", ""), "Ready" if one["status"] == "True" else text)
    return State("", UNSEEN)


def label(key: Key) -> str:
    """`TradeFeed/market`."""
    return f"{key.kind}/{key.name}"


def rank(order: Sequence[str], key: Key) -> int:
    """How far along the flow of data a kind is."""
    return order.index(key.kind)


def _sort_key(order: Sequence[str], key: Key) -> tuple[int, str]:
    return rank(order, key), key.name


# -- topics --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Topic:
    key: Key
    owner: Key
    writers: frozenset[Key]
    readers: frozenset[Key]
    state: State


def _topics(snapshot: Snapshot) -> Iterator[_Topic]:
    """The topics that carry data between resources, by what their users may do.

    Those that only their owner reads, cursors and dead letters, are its own affair.
    """
    owners = {owner_label(key.kind, key.name): key for key in snapshot.bodies}
    grants = list(_grants(snapshot, owners))
    for name, live in snapshot.objects(strimzi.API_VERSION, TOPIC):
        owner = owners.get(live.labels.get(LABEL_OWNER, ""))
        if owner is None:
            continue
        writers = frozenset(key for key, topic, does in grants if topic == name and "Write" in does)
        readers = frozenset(key for key, topic, does in grants if topic == name and "Read" in does)
        readers -= writers
        if readers or owner.kind == "StreamJob":
            health = by_condition(live.status, live.generation)
            phase = Phase.READY if health.ready else Phase.PROGRESSING
            yield _Topic(
                key=Key(TOPIC, snapshot.namespace, name),
                owner=owner,
                writers=writers or frozenset({owner}),
                readers=readers,
                state=State(phase.value, health.reason or "Ready"),
            )


def _grants(
    snapshot: Snapshot, owners: Mapping[str, Key]
) -> Iterator[tuple[Key, str, frozenset[str]]]:
    """Whose user may do what to which topic."""
    for key in owners.values():
        for at, live in snapshot.children(key).items():
            acls: Any = (live.data.get("authorization") or {}).get("acls") or ()
            for acl in acls if at.kind == "KafkaUser" else ():
                if acl["resource"]["type"] == "topic":
                    yield key, acl["resource"]["name"], frozenset(acl["operations"])


# -- declared readers ---------------------------------------------------------------------------


def _declared_readers(snapshot: Snapshot) -> Iterator[tuple[Key, Key]]:
    """Each table that declares readers outside Tapehouse, with each of them."""
    for key, body in snapshot.bodies.items():
        for consumer in body["spec"].get("consumers") or () if key.kind == "LakehouseTable" else ():
            yield key, Key(READER, key.namespace, str(consumer["name"]))


# -- references ----------------------------------------------------------------------------------


async def _references(snapshot: Snapshot, key: Key) -> list[Key]:
    """The resources that `key` names, and those whose children it names."""
    refs = snapshot.looks_at(key)
    owners = {owner_label(k.kind, k.name): k for k in snapshot.bodies}
    found = [Key(at.kind, key.namespace, at.name) for at in refs if at.api_version == API_VERSION]
    live = await snapshot.look(key, refs)
    makers = [owners.get(o.labels.get(LABEL_OWNER, "")) for o in live.values()]
    return [*found, *(maker for maker in makers if maker is not None)]


def _branch(graph: Graph, key: Key, first: str, rest: str, shown: set[Key]) -> Iterator[str]:
    if key in shown:
        yield f"{first}{label(key)} (above)"
        return
    shown.add(key)
    yield f"{first}{label(key)}  {shorten(graph.nodes[key].text, WIDTH, placeholder=' …')}"
    fed = graph.below[key]
    for index, other in enumerate(fed):
        last = index == len(fed) - 1
        corner, bar = ("└─ ", "   ") if last else ("├─ ", "│  ")
        yield from _branch(graph, other, rest + corner, rest + bar, shown)
