"""What the operator remembers of live objects: small, indexed, and never older than it was."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from sys import intern
from typing import Any
from zlib import compress, decompress

import orjson
from tapehouse_kube.objects import Body, Ref, reference

from tapehouse_operator.drift import owned_fields
from tapehouse_operator.emit.core import ObjectKey
from tapehouse_operator.kinds.contract import Observed
from tapehouse_operator.names import LABEL_OWNER

COMPRESS_FROM = 2048
"""Bytes; most bodies are smaller, and keeping them as they are spares a tenth of a restart."""
WITH_DATA = frozenset({"ConfigMap", "ControllerRevision"})
BULKY = frozenset({"Deployment", "FlinkDeployment", "Pod"})
"""Children whose specs nobody but their own controller reads."""
DROPPED_METADATA = frozenset(
    {
        "generation",
        "managedFields",
        "name",
        "namespace",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
"""Told by the entry or its reference, or by nobody."""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(slots=True)
class Entry:
    """One live object, about 600 bytes."""

    uid: str
    version: int
    """`metadata.resourceVersion`, which the API server lets us compare within one kind."""
    generation: int
    owner: str
    """The owner label."""
    owners: tuple[str, ...]
    deleting: str
    fields: str
    content: int
    """A short hash of everything but versions, to tell a change from a mere touch."""
    packed: bytes

    @property
    def body(self) -> dict[str, Any]:
        """What was kept: `metadata`, `status`, and as `data` the data or the spec."""
        return _unpacked(self.packed)

    def observed(self) -> Observed:
        """The object as kinds see it."""
        body = self.body
        return Observed(
            uid=self.uid,
            resource_version=str(self.version),
            generation=self.generation,
            labels=body["metadata"].get("labels", {}),
            annotations=body["metadata"].get("annotations", {}),
            status=body.get("status") or {},
            data=body.get("data") or {},
            deleting=bool(self.deleting),
            owners=self.owners,
            fields=self.fields,
        )


class Store:
    """Live objects by reference and by owner."""

    def __init__(self) -> None:
        self._entries: dict[Ref, Entry] = {}
        self._by_owner: defaultdict[tuple[str, str], set[Ref]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, ref: Ref) -> Entry | None:
        """The object, if it is known."""
        return self._entries.get(ref)

    def owned(self, namespace: str, owner: str) -> Iterable[Ref]:
        """The objects with that owner label."""
        return tuple(self._by_owner.get((namespace, owner), ()))

    def put(self, body: Body) -> bool:
        """Take over `body` unless something newer is known; tells whether its content changed."""
        ref, meta = reference(body), body["metadata"]
        known = self._entries.get(ref)
        if (
            known is not None
            and known.uid == meta["uid"]
            and int(meta["resourceVersion"]) <= known.version
        ):
            return False  # among others the echo of our own writes: half of all events
        entry = _entry(body)
        self._insert(ref, entry, known)
        return known is None or known.uid != entry.uid or known.content != entry.content

    def drop(self, ref: Ref, uid: str = "") -> Entry | None:
        """Forget the object, or, with `uid`, only that very one."""
        known = self._entries.get(ref)
        if known is None or (uid and known.uid != uid):
            return None
        del self._entries[ref]
        self._unindex(ref, known)
        return known

    def mark_deleting(self, ref: Ref, uid: str) -> None:
        """We have asked for its deletion; the watch will tell when it is gone."""
        known = self._entries.get(ref)
        if known is not None and known.uid == uid:
            known.deleting = known.deleting or "asked"

    def items(self) -> Iterable[tuple[Ref, Entry]]:
        """Everything known, as of now."""
        return tuple(self._entries.items())

    def refs(self, api_version: str, kind: str, namespace: str = "") -> list[Ref]:
        """All known objects of one kind, for the sweep after a list."""
        return [
            ref
            for ref in self._entries
            if ref.kind == kind
            and ref.api_version == api_version
            and namespace in ("", ref.namespace)
        ]

    def _insert(self, ref: Ref, entry: Entry, known: Entry | None) -> None:
        if known is not None and known.owner != entry.owner:
            self._unindex(ref, known)
        self._entries[ref] = entry
        if entry.owner:
            self._by_owner[ref.namespace, entry.owner].add(ref)

    def _unindex(self, ref: Ref, entry: Entry) -> None:
        refs = self._by_owner.get((ref.namespace, entry.owner))
        if refs is not None:
            refs.discard(ref)
            if not refs:
                del self._by_owner[ref.namespace, entry.owner]


def object_key(ref: Ref) -> ObjectKey:
    """The reference within its namespace."""
    return ObjectKey(ref.api_version, ref.kind, ref.name)


def _entry(body: Body) -> Entry:
    meta = body["metadata"]
    labels = meta.get("labels") or {}
    packed = _packed(body)
    fields = intern(owned_fields(meta))
    owners = tuple(intern(o["uid"]) for o in meta.get("ownerReferences") or ())
    deleting = meta.get("deletionTimestamp") or ""
    generation = int(meta.get("generation") or 0)
    return Entry(
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        generation=generation,
        owner=intern(labels.get(LABEL_OWNER, "")),
        owners=owners,
        deleting=deleting,
        fields=fields,
        content=hash((packed, generation, fields, owners, deleting)),
        packed=packed,
    )


@lru_cache(maxsize=512)
def _unpacked(packed: bytes) -> dict[str, Any]:
    """Shared by all who look within one reconcile; nobody changes it."""
    raw = decompress(packed) if packed[:1] == b"\x78" else packed
    unpacked: dict[str, Any] = orjson.loads(raw)
    return unpacked


def _packed(body: Body) -> bytes:
    metadata = {k: v for k, v in body["metadata"].items() if k not in DROPPED_METADATA}
    if annotations := metadata.get("annotations"):
        metadata["annotations"] = {k: v for k, v in annotations.items() if k != LAST_APPLIED}
    kept = {"metadata": metadata, "status": body.get("status"), "data": _content(body)}
    raw = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
    # orjson hands out its working buffer, kilobytes for whatever is in it: keep a copy instead.
    return compress(raw, 1) if len(raw) >= COMPRESS_FROM else bytes(memoryview(raw))


def _content(body: Body) -> Mapping[str, Any]:
    """What kinds may look at: data, digests of secrets, specs but for the bulky ones."""
    kind, data = body["kind"], body.get("data") or {}
    if kind in WITH_DATA:
        return dict(data)
    if kind == "Secret":
        return {k: sha256(str(v).encode()).hexdigest() for k, v in data.items()}
    return {} if kind in BULKY else body.get("spec") or {}
