"""What a reconcile needs of the outside: a cluster and catalogs. Adapters are in `backends`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from tapehouse_operator.emit.core import ObjectKey, Table, TableState
from tapehouse_operator.kinds.contract import Key, Observed, Subject


class Backend(Protocol):
    """The cluster as a reconcile sees it: reads come from caches, writes go out at once.

    Writes raise `Rejected`, `Unavailable` or `Fenced`, and what they return is in the cache
    before they return it.
    """

    def subject(self, key: Key) -> Subject | None:
        """The resource, or None once it is gone."""
        ...

    def children(self, key: Key) -> Mapping[ObjectKey, Observed]:
        """Live objects with the owner label of `key`."""
        ...

    def claims(self, key: Key, wanted: frozenset[ObjectKey]) -> Mapping[ObjectKey, str]:
        """The owner label of those of `wanted` that belong to another resource."""
        ...

    async def settings(self, key: Key) -> Mapping[str, str] | None:
        """The environment settings of the namespace of `key`, which is woken when they change."""
        ...

    async def look(self, key: Key, wanted: frozenset[ObjectKey]) -> Mapping[ObjectKey, Observed]:
        """Those of `wanted` that exist; from now on `key` is woken when one of them changes."""
        ...

    def consumers(self, key: Key) -> frozenset[ObjectKey] | None:
        """The resources that look at `key`; None while some have not been looked at themselves."""
        ...

    async def confirm(self, subject: Subject) -> None:
        """Ask the API server itself whether `subject` still exists.

        Raises:
            Rejected: 404, when it does not, or is another one under the same name.
        """
        ...

    async def apply(self, subject: Subject, manifest: Mapping[str, Any]) -> Observed:
        """Server-side apply of one child.

        Raises:
            Rejected: with reason `NameTaken` when the object is another owner's.
        """
        ...

    async def delete(self, subject: Subject, key: ObjectKey, live: Observed) -> None:
        """Delete that very object, as it was seen."""
        ...

    async def patch_status(self, subject: Subject, patch: Mapping[str, Any]) -> Subject:
        """Merge `patch` into the status."""
        ...

    async def set_finalizers(self, subject: Subject, finalizers: Sequence[str]) -> Subject:
        """Replace the finalizers."""
        ...

    def now(self) -> datetime:
        """The time, with its zone."""
        ...


class Catalog(Protocol):
    """Tables outside Kubernetes. Every call raises `NotReady` when the catalog does not answer."""

    async def ensure(self, table: Table) -> TableState:
        """Create or evolve `table`; what cannot be done is told in the state's `error`."""
        ...

    async def state(self, identifier: str) -> TableState:
        """The table as the catalog has it."""
        ...

    async def drop(self, identifier: str, owner: str) -> None:
        """Drop the table with its data, if `owner` is whose it is."""
        ...
