"""A namespace as it is now, read once: what the commands work on, and a backend without writes."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tapehouse_kube.client import HttpKube
from tapehouse_kube.errors import Rejected
from tapehouse_kube.objects import Body, Ref, Scope
from tapehouse_operator.api.base import parse
from tapehouse_operator.backends.store import Store, object_key
from tapehouse_operator.decision import AnyKind
from tapehouse_operator.emit.core import ObjectKey
from tapehouse_operator.errors import Fenced, SpecError
from tapehouse_operator.kinds.contract import Key, Observed, Subject
from tapehouse_operator.names import API_VERSION, LABEL_OWNER, SETTINGS, owner_label
from tapehouse_operator.rollout import REVISION_API, REVISION_KIND

from tapehouse_cli.names import no_such

IDENTITY = ("apiVersion", "kind", "metadata", "spec")
"""Of a resource's body, what its author wrote."""


class Snapshot:
    """`ports.Backend` for reading; every write is refused."""

    def __init__(self, kube: HttpKube, kinds: Sequence[AnyKind], namespace: str) -> None:
        self.kube, self.namespace = kube, namespace
        self.kinds = {kind.model.__name__: kind for kind in kinds}
        self.bodies: dict[Key, Body] = {}
        """The resources; what is put over them is seen in their stead."""
        self._store = Store()
        self._consumers: Mapping[ObjectKey, set[ObjectKey]] | None = None
        """Who looks at what, once somebody has asked."""

    async def load(self) -> "Snapshot":
        """Read the resources and all their children."""
        for kind in self.kinds:
            scope = Scope(API_VERSION, kind, self.namespace)
            for body in await self._list(scope):
                self.bodies[Key(kind, self.namespace, body["metadata"]["name"])] = body
        owned = {(REVISION_API, REVISION_KIND)}
        owned |= {child for kind in self.kinds.values() for child in kind.owned}
        for api_version, kind in sorted(owned):
            scope = Scope(api_version, kind, self.namespace, LABEL_OWNER)
            for body in await self._list(scope):
                self._store.put(body)
        return self

    def put(self, body: Body) -> Key:
        """Pretend that a resource has this spec; its status stays."""
        key = Key(body["kind"], self.namespace, body["metadata"]["name"])
        known = self.bodies.get(key, {})
        kept = {"uid": "planned", "resourceVersion": "0", "generation": 0}
        metadata = {**kept, **known.get("metadata", {}), **body["metadata"]}
        if body["spec"] != known.get("spec"):
            metadata["generation"] = known.get("metadata", {}).get("generation", 0) + 1
        status = known.get("status") or {}
        self.bodies[key] = {**body, "metadata": metadata, "status": status}
        self._consumers = None
        return key

    def subject(self, key: Key) -> Subject | None:
        """See `ports.Backend`."""
        body = self.bodies.get(key)
        if body is None:
            return None
        meta = body["metadata"]
        return Subject(
            key=key,
            uid=meta["uid"],
            resource_version=meta["resourceVersion"],
            generation=meta.get("generation", 0),
            manifest={name: body[name] for name in IDENTITY},
            status=body.get("status") or {},
            finalizers=tuple(meta.get("finalizers") or ()),
            deleting_since=meta.get("deletionTimestamp") or "",
        )

    def missing(self, key: Key) -> str:
        """The error for a resource that does not exist."""
        known = (other.name for other in self.bodies if other.kind == key.kind)
        return no_such(key.kind, key.name, f"namespace {key.namespace}", known)

    def children(self, key: Key) -> Mapping[ObjectKey, Observed]:
        """See `ports.Backend`."""
        refs = self._store.owned(self.namespace, owner_label(key.kind, key.name))
        entries = ((object_key(ref), self._store.get(ref)) for ref in sorted(refs))
        return {at: entry.observed() for at, entry in entries if entry is not None}

    def objects(self, api_version: str, kind: str) -> Iterator[tuple[str, Observed]]:
        """All known objects of one kind by their names."""
        for ref in sorted(self._store.refs(api_version, kind, self.namespace)):
            if entry := self._store.get(ref):
                yield ref.name, entry.observed()

    def created(self, at: ObjectKey) -> str:
        """When an object was created, RFC 3339."""
        entry = self._store.get(Ref(at.api_version, at.kind, self.namespace, at.name))
        return "" if entry is None else entry.body["metadata"].get("creationTimestamp", "")

    def consumers(self, key: Key) -> frozenset[ObjectKey] | None:
        """See `ports.Backend`."""
        if self._consumers is None:
            found: defaultdict[ObjectKey, set[ObjectKey]] = defaultdict(set)
            for other in self.bodies:
                for at in self.looks_at(other):
                    found[at].add(ObjectKey(API_VERSION, other.kind, other.name))
            self._consumers = found
        return frozenset(self._consumers.get(ObjectKey(API_VERSION, key.kind, key.name), ()))

    def looks_at(self, key: Key) -> frozenset[ObjectKey]:
        """What a resource refers to; nothing if it cannot be read."""
        kind, body = self.kinds[key.kind], self.bodies[key]
        try:
            resource = parse(kind.model, {k: body[k] for k in IDENTITY})
        except SpecError:
            return frozenset()
        return kind.refs(resource, {}).objects

    def claims(self, key: Key, wanted: frozenset[ObjectKey]) -> Mapping[ObjectKey, str]:
        """See `ports.Backend`."""
        ours = owner_label(key.kind, key.name)
        found = {at: self._store.get(Ref(at[0], at[1], self.namespace, at[2])) for at in wanted}
        return {
            at: e.owner for at, e in found.items() if e is not None and e.owner not in ("", ours)
        }

    async def settings(self, key: Key) -> Mapping[str, str] | None:
        """See `ports.Backend`."""
        at = ObjectKey("v1", "ConfigMap", SETTINGS)
        found = await self.look(key, frozenset({at}))
        return found[at].data if at in found else None

    async def look(self, key: Key, wanted: frozenset[ObjectKey]) -> Mapping[ObjectKey, Observed]:
        """See `ports.Backend`."""
        found = {at: await self._observed(at) for at in sorted(wanted)}
        return {at: observed for at, observed in found.items() if observed is not None}

    async def _observed(self, at: ObjectKey) -> Observed | None:
        if not at.name:
            return None  # a setting that is not known names nothing; the API would answer a list
        if at.api_version == API_VERSION:
            subject = self.subject(Key(at.kind, self.namespace, at.name))
            return None if subject is None else _as_observed(subject)
        ref = Ref(at.api_version, at.kind, self.namespace, at.name)
        if self._store.get(ref) is None and (body := await self._allowed(ref)):
            self._store.put(body)
        entry = self._store.get(ref)
        return None if entry is None else entry.observed()

    async def _allowed(self, ref: Ref) -> Body | None:
        """A Secret that the user may not see is as good as none."""
        try:
            return await self.kube.get(ref)
        except Rejected as e:
            if e.status != 403 or ref.kind != "Secret":
                raise
            return None

    async def pods(self, labels: Mapping[str, str]) -> AsyncIterator[Body]:
        """The Pods that `labels` select; none without labels."""
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        if selector:
            for pod in await self._list(Scope("v1", "Pod", self.namespace, selector)):
                yield pod

    async def _list(self, scope: Scope) -> list[dict[str, Any]]:
        kind = {"apiVersion": scope.api_version, "kind": scope.kind}
        return [{**item, **kind} async for page in self.kube.list(scope) for item in page.items]

    async def confirm(self, subject: Subject) -> None:
        """See `ports.Backend`."""

    async def apply(self, subject: Subject, manifest: Mapping[str, Any]) -> Observed:
        """Refused."""
        raise Fenced("a snapshot is not written to")

    async def delete(self, subject: Subject, key: ObjectKey, live: Observed) -> None:
        """Refused."""
        raise Fenced("a snapshot is not written to")

    async def patch_status(self, subject: Subject, patch: Mapping[str, Any]) -> Subject:
        """Refused."""
        raise Fenced("a snapshot is not written to")

    async def set_finalizers(self, subject: Subject, finalizers: Sequence[str]) -> Subject:
        """Refused."""
        raise Fenced("a snapshot is not written to")

    def now(self) -> datetime:
        """See `ports.Backend`."""
        return datetime.now(UTC)


def _as_observed(subject: Subject) -> Observed:
    meta = subject.manifest["metadata"]
    return Observed(
        uid=subject.uid,
        resource_version=subject.resource_version,
        generation=subject.generation,
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
        status=subject.status,
        data=subject.manifest["spec"],
    )
