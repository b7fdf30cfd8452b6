"""The words of a Kubernetes API client: objects, scopes, pages, watch events and its protocol."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any, NamedTuple, Protocol

Body = Mapping[str, Any]

FIELD_MANAGER = "tapehouse"
"""The field manager of every write that names no other."""


class Ref(NamedTuple):
    """One object; `namespace` is empty for cluster-scoped ones."""

    api_version: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What one list or watch covers."""

    api_version: str
    kind: str
    namespace: str = ""
    """Empty: every namespace."""
    labels: str = ""
    """A label selector."""
    fields: str = ""
    """A field selector."""
    metadata_only: bool = False
    """Ask for `PartialObjectMetadata`: names and versions without content."""

    def __str__(self) -> str:
        where = self.namespace or "all namespaces"
        return f"{self.kind} in {where}" + (f" with {self.labels}" if self.labels else "")


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list; all pages of one list share `resource_version`."""

    items: tuple[Body, ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """`ADDED`, `MODIFIED`, `DELETED` or `BOOKMARK`; errors are raised."""

    type: str
    object: Body


def reference(body: Body) -> Ref:
    """The reference of `body`."""
    meta = body["metadata"]
    return Ref(
        intern(body["apiVersion"]),
        intern(body["kind"]),
        intern(meta.get("namespace", "")),
        meta["name"],
    )


class Kube(Protocol):
    """A Kubernetes API.

    Every call raises `Rejected` when the server refused it and `Unavailable` when asking again
    may help; 404 is None for `get` and nothing for `delete`.
    """

    @property
    def calls(self) -> Mapping[str, int]:
        """How many requests were sent, by HTTP verb; `WATCH` for watches."""
        ...

    async def get(self, ref: Ref) -> Body | None:
        """The object as it is now."""
        ...

    def list(self, scope: Scope) -> AsyncIterator[Page]:
        """All objects, page by page."""
        ...

    def watch(self, scope: Scope, since: str) -> AsyncIterator[WatchEvent]:
        """What happened after resource version `since`; ends when the server says so.

        Raises:
            Rejected: 410 when `since` is too old: list again.
        """
        ...

    async def apply(self, body: Body, *, dry_run: bool = False, force: bool = True) -> Body:
        """Server-side apply by our field manager.

        A `metadata.uid` in `body` must be the live one's. With `force` it takes over what others
        have set otherwise; without, that is refused: 409, `Conflict`.
        """
        ...

    async def merge(self, ref: Ref, patch: Body, subresource: str = "") -> Body:
        """JSON merge patch; a `resourceVersion` or `uid` in `patch` is a precondition."""
        ...

    async def delete(self, ref: Ref, *, uid: str, resource_version: str = "") -> None:
        """Delete in the background, if it is still that very object."""
        ...
