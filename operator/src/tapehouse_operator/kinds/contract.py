"""What a kind is to the engine: four pure functions.

`refs` lists what it must read, `validate` may refuse, `compile` cannot fail, `judge` reports the
observed state.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from tapehouse_operator.api.base import Condition, Reason, Resource
from tapehouse_operator.emit.core import Child, ObjectKey, Table, TableState
from tapehouse_operator.emit.events import Registry
from tapehouse_operator.emit.feed import FeedNames
from tapehouse_operator.emit.tables import AcceptedTable, Published, published_name, table_name
from tapehouse_operator.errors import NotReady
from tapehouse_operator.names import API_VERSION

R = TypeVar("R", bound=Resource)
P = TypeVar("P")


class Key(NamedTuple):
    """Names one resource of one of the kinds."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A resource as it was read: what one reconcile is about."""

    key: Key
    uid: str
    resource_version: str
    generation: int
    manifest: Mapping[str, Any]
    """`apiVersion`, `kind`, `metadata` (name, namespace, labels, annotations), `spec`."""
    status: Mapping[str, Any]
    finalizers: tuple[str, ...] = ()
    deleting_since: str = ""
    """`metadata.deletionTimestamp`, empty while it lives."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A live object as its cache keeps it."""

    uid: str
    resource_version: str
    generation: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    status: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=dict)
    """A ConfigMap's data, or the spec of a referenced object; empty for other children."""
    deleting: bool = False
    owners: tuple[str, ...] = ()
    """The UIDs of its owner references."""
    fields: str = ""
    """For the engine: the `fieldsV1` of what our field manager owns in it, as JSON."""


@dataclass(frozen=True, slots=True)
class RevisionRef:
    """An accepted spec."""

    number: int
    digest: str
    spec: Mapping[str, Any]


def resource_key(kind: str, name: str) -> ObjectKey:
    """The resource of one of the kinds."""
    return ObjectKey(API_VERSION, kind, name)


def config_key(name: str) -> ObjectKey:
    """The ConfigMap of that name."""
    return ObjectKey("v1", "ConfigMap", name)


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside the resource that `validate` may look at; frozen for one reconcile."""

    namespace: str
    settings: Mapping[str, str]
    """The data of the ConfigMap `tapehouse-platform`."""
    objects: Mapping[ObjectKey, Observed] = field(default_factory=dict)
    """What `refs` asked for and exists: resources, ConfigMaps, Kafka, digests of Secrets."""
    children: Mapping[ObjectKey, Observed] = field(default_factory=dict)
    """Live objects that carry this resource's owner label."""
    claims: Mapping[ObjectKey, str] = field(default_factory=dict)
    """Owner label of live objects of child kinds in the namespace that are *not* this resource's,
    limited to the keys in `Refs.claims`."""
    tables: Mapping[str, TableState] = field(default_factory=dict)
    """By identifier, for `Refs.tables`."""
    consumers: Mapping[ObjectKey, Observed] | None = field(default_factory=dict)
    """The resources that look at this one, with their specs as `data`, if `Refs.consumers`; None
    while it is not known of all whether they do."""

    def has(self, kind: str, name: str) -> bool:
        """Whether there is such a resource; `refs` must have named it."""
        return resource_key(kind, name) in self.objects

    def text(self, config_map: str, key: str) -> str | None:
        """One text of a ConfigMap; None if it is missing or empty."""
        text = self._data(config_map).get(key)
        return str(text) if text else None

    def table(self, name: str) -> AcceptedTable:
        """What was accepted of a LakehouseTable.

        Raises:
            NotReady: nothing was accepted yet.
        """
        table = AcceptedTable.read(self._data(table_name(name)))
        if table is None:
            message = f"LakehouseTable {name} has not been accepted yet"
            raise NotReady(Reason.TABLE_NOT_READY, message)
        return table

    def feed(self, name: str) -> Registry:
        """The events that were accepted of a TradeFeed.

        Raises:
            NotReady: none was accepted yet.
        """
        registry = Registry.read(self._data(FeedNames(name).schema))
        if not registry.current:
            message = f"TradeFeed {name} has not been accepted yet"
            raise NotReady(Reason.FEED_NOT_READY, message)
        return registry

    def published(self, table: str) -> Published | None:
        """What the publisher last reported about a table; None before its first report."""
        return Published.read(self._data(published_name(table)))

    def _data(self, config_map: str) -> Mapping[str, Any]:
        live = self.objects.get(config_key(config_map))
        return live.data if live else {}


@dataclass(frozen=True, slots=True)
class Refs:
    """What a resource looks at, so that the engine can gather it and wake on its change."""

    objects: frozenset[ObjectKey] = frozenset()
    claims: frozenset[ObjectKey] = frozenset()
    tables: frozenset[str] = frozenset()
    consumers: bool = False
    """Whether it matters who looks at the resource."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """A check that must pass before a spec is accepted: a Pod whose termination message decides.

    Exit code 0 accepts; otherwise the message is JSON `{"path", "value", "remedy"}`.
    """

    child: Child
    needs: tuple[Child, ...] = ()
    """What the Pod mounts (its ConfigMap): applied before it, kept while it is wanted."""


@dataclass(frozen=True, slots=True)
class Output:
    """What `compile` returns: all that should exist, every time."""

    children: tuple[Child, ...] = ()
    """In the order of application."""
    tables: tuple[Table, ...] = ()
    """Applied before the children."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What is there after the apply: the same keys as the output, as far as they exist."""

    children: Mapping[ObjectKey, Observed]
    tables: Mapping[str, TableState]
    revision: int


@dataclass(frozen=True, slots=True)
class ChildHealth:
    """One row of `status.children`."""

    kind: str
    name: str
    ready: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `judge` says; the engine adds Accepted, Progressing, Degraded, Stalled, and Ready (the
    AND of `conditions` marked as counting, of children and of Accepted)."""

    conditions: Sequence[Condition] = ()
    children: Sequence[ChildHealth] = ()
    external: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str | int] = field(default_factory=dict)
    """The kind's own status fields, those that printer columns show among them, by name."""


class Kind(ABC, Generic[R, P]):
    """Base class of every kind. A kind must define `model`, `refs` and `validate`.

    The defaults describe a kind without children: its spec is accepted or refused, and that is all.
    """

    model: type[R]
    owned: tuple[tuple[str, str], ...] = ()
    """(apiVersion, kind) of every child kind: drives watches and RBAC."""
    planned_first: bool = False
    """Other kinds wait for what this one has accepted, so `tapehouse plan` evaluates it first."""

    @property
    def name(self) -> str:
        """The kind as manifests spell it."""
        return self.model.__name__

    @abstractmethod
    def refs(self, resource: R, settings: Mapping[str, str]) -> Refs:
        """What must be read to validate `resource`."""

    def resolve(self, resource: R, world: World) -> R:
        """`resource` with referenced texts copied into its spec: what a revision records.

        A text that changes elsewhere then makes a new revision, and the old revision keeps its own.

        Raises:
            SpecError: a referenced text is missing.
        """
        return resource

    @abstractmethod
    def validate(self, resource: R, world: World) -> P:
        """Turn a resource into a plan whose compilation cannot fail.

        Raises:
            SpecError: the author must change the spec.
            NotReady: an object that it names does not exist yet.
        """

    def preflight(self, plan: P) -> Preflight | None:
        """A check that must succeed before a *new* spec is accepted; None: there is none."""
        return None

    def reserved_revision(self, plan: P, *, first: bool) -> int:
        """The highest revision number that existing data carries; 0 if no data carries one.

        Data may outlive its resource, so new revisions are numbered from there. `first` says that
        the resource has no revision yet.

        Raises:
            SpecError: the author must decide what to do with that data.
        """
        return 0

    def compile(self, plan: P, revision: RevisionRef) -> Output:
        """All that should exist for one live revision."""
        return Output()

    def judge(self, plan: P, applied: Applied) -> Verdict:
        """The observed state, from the applied objects."""
        return Verdict()
