"""What a kind compiles to: children inside Kubernetes and tables outside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Manifest = Mapping[str, Any]


class ObjectKey(NamedTuple):
    """Names an object within the resource's own namespace."""

    api_version: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Child:
    """One desired Kubernetes object, complete but for what the engine adds.

    The engine adds the namespace, the owner label, `managed-by`, the hash annotation and, unless
    `retain`, an owner reference.
    """

    manifest: Manifest
    retain: bool = False
    """Holds data that outlives its resource: no owner reference, adopted on re-creation."""

    @property
    def key(self) -> ObjectKey:
        """What the object is called."""
        m = self.manifest
        return ObjectKey(m["apiVersion"], m["kind"], m["metadata"]["name"])


@dataclass(frozen=True, slots=True)
class Column:
    """One Iceberg column; `type` is in Iceberg's grammar, `list<struct<…>>` included."""

    name: str
    type: str
    required: bool = False
    doc: str = ""
    previous_name: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One desired Iceberg table."""

    identifier: str
    """`namespace.table`, with the environment's prefix already in it."""
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    partition: tuple[str, ...] = ()
    """Transforms as `day(timestamp)`, `bucket(16, symbol)`, `symbol`."""
    sort: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    allow_drop: bool = False
    owner: str = ""
    """`<namespace>/<resource>`: who may change it; a second claim is refused."""


@dataclass(frozen=True, slots=True)
class TableState:
    """What the catalog says of a table, or why it could not be made so."""

    identifier: str
    exists: bool
    uuid: str = ""
    schema_id: int = -1
    columns: tuple[Column, ...] = ()
    partition: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    """Empty when in sync; else a sentence for the status."""
