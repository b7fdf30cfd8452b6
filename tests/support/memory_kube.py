"""A Kubernetes API in memory, as faithful as the operator can observe, with faults to order.

It keeps resource versions, generations, field ownership, preconditions, finalizers, selectors,
watches and owner garbage collection. It knows no schemas: every list but owner references is
one value.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
from tapehouse_kube.errors import Rejected
from tapehouse_kube.objects import Body, Page, Ref, Scope, WatchEvent, reference

from tests.support.memory_fields import apply_fields, conflicts, disown, field_set

PAGE_SIZE = 50
NO_GENERATION = frozenset({"ConfigMap", "Secret", "ControllerRevision", "Event", "Lease"})


class Interference(Protocol):
    """Hears of every call and may raise in its stead, or after it has taken effect."""

    def before(self, verb: str, ref: Ref | Scope) -> None:
        """The request has been sent."""
        ...

    def after(self, verb: str, ref: Ref | Scope) -> None:
        """The request has taken effect; the answer is on its way."""
        ...


class Calm:
    """No interference."""

    def before(self, verb: str, ref: Ref | Scope) -> None:
        """Nothing happens."""

    def after(self, verb: str, ref: Ref | Scope) -> None:
        """Nothing happens."""


@dataclass(eq=False)
class _Watcher:
    scope: Scope
    events: asyncio.Queue[WatchEvent | Exception] = field(default_factory=asyncio.Queue)


class MemoryKube:
    """`Kube` on a dictionary."""

    def __init__(self, interference: Interference | None = None, start: str = "") -> None:
        self.interference: Interference = interference or Calm()
        self.calls: dict[str, int] = {}
        self.objects: dict[Ref, dict[str, Any]] = {}
        self.writes: list[tuple[str, Ref]] = []
        """Every write that took effect and changed something."""
        self.now = start or "2026-01-01T00:00:00Z"
        self._versions = itertools.count(1)
        self._version = 0
        self._uids = itertools.count(1)
        self._log: list[tuple[int, WatchEvent, dict[str, Any] | None]] = []
        self._oldest = 0
        self._watchers: list[_Watcher] = []

    # reading

    async def get(self, ref: Ref) -> Body | None:
        """See `Kube.get`."""
        await self._call("get", ref)
        found = self.objects.get(ref)
        self.interference.after("get", ref)
        return None if found is None else _copy(found)

    async def list(self, scope: Scope) -> AsyncIterator[Page]:
        """See `Kube.list`."""
        await self._call("list", scope)
        version = str(self._version)
        items = [_copy(o) for o in self._matching(scope)]
        for start in range(0, max(len(items), 1), PAGE_SIZE):
            await asyncio.sleep(0)
            page = tuple(_shown(scope, item) for item in items[start : start + PAGE_SIZE])
            yield Page(page, version)

    async def watch(self, scope: Scope, since: str) -> AsyncIterator[WatchEvent]:
        """See `Kube.watch`."""
        await self._call("watch", scope)
        if int(since) < self._oldest:
            raise Rejected(410, "Expired", f"too old resource version: {since}")
        watcher = _Watcher(scope)
        for version, event, before in self._log:
            if version > int(since):
                self._offer(watcher, event, before)
        self._watchers.append(watcher)
        try:
            while True:
                event_or_error = await watcher.events.get()
                if isinstance(event_or_error, Exception):
                    raise event_or_error
                yield event_or_error
        finally:
            self._watchers.remove(watcher)

    # writing

    async def apply(self, body: Body, *, dry_run: bool = False, force: bool = True) -> Body:
        """See `Kube.apply`."""
        ref = reference(body)
        await self._call("apply", ref)
        before = self.objects.get(ref)
        uid = body["metadata"].get("uid")
        if uid and (before is None or before["metadata"]["uid"] != uid):
            raise Rejected(409, "Conflict", f"{ref.kind} {ref.name} has another uid than {uid}")
        if not force and before is not None and (theirs := conflicts(before, body)):
            raise Rejected(409, "Conflict", f"others have set {', '.join(theirs)}")
        after = apply_fields(before, body)
        if not dry_run:
            after = self._store("apply", ref, before, after)
        self.interference.after("apply", ref)
        return _copy(after)

    async def merge(self, ref: Ref, patch: Body, subresource: str = "") -> Body:
        """See `Kube.merge`."""
        await self._call("merge", ref)
        after = self._merged(ref, patch, subresource)
        self.interference.after("merge", ref)
        return _copy(after)

    async def delete(self, ref: Ref, *, uid: str, resource_version: str = "") -> None:
        """See `Kube.delete`."""
        await self._call("delete", ref)
        live = self.objects.get(ref)
        if live is not None:
            meta = live["metadata"]
            if meta["uid"] != uid or resource_version not in ("", meta["resourceVersion"]):
                raise Rejected(409, "Conflict", f"{ref.kind} {ref.name} is not as it was seen")
            self.remove(ref)
        self.interference.after("delete", ref)

    # what others do

    def create(self, body: Body, manager: str = "kubectl") -> dict[str, Any]:
        """Another client creates an object."""
        ref = reference(body)
        after = _copy(body)
        after["metadata"]["managedFields"] = [_entry(manager, "Update", field_set(body))]
        return self._store("create", ref, None, after)

    def edit(
        self, ref: Ref, patch: Body, subresource: str = "", manager: str = "kubectl"
    ) -> dict[str, Any]:
        """Another client changes an object, and owns the changed fields."""
        before = self.objects[ref]
        after = self._merge_into(before, patch, subresource)
        if subresource != "status":
            disown(before, after, manager)
        return self._store("edit", ref, before, after)

    def remove(self, ref: Ref) -> None:
        """Delete an object; finalizers hold it."""
        live = self.objects.get(ref)
        if live is None:
            return
        if live["metadata"].get("finalizers"):
            if not live["metadata"].get("deletionTimestamp"):
                meta = {**live["metadata"], "deletionTimestamp": self.now}
                self._store("delete", ref, live, {**live, "metadata": meta})
            return
        self._drop(ref)

    def expire(self) -> None:
        """Forget all history: every watch ends with 410."""
        self._oldest = next(self._versions)
        self._version = self._oldest
        self._log.clear()
        self.break_watches(Rejected(410, "Expired", "history was compacted"))

    def break_watches(self, error: Exception) -> None:
        """End every watch with `error`."""
        for watcher in self._watchers:
            watcher.events.put_nowait(error)

    # inside

    async def _call(self, verb: str, ref: Ref | Scope) -> None:
        self.calls[verb] = self.calls.get(verb, 0) + 1
        self.interference.before(verb, ref)
        await asyncio.sleep(0)

    def _matching(self, scope: Scope) -> Iterable[dict[str, Any]]:
        found = (o for r, o in sorted(self.objects.items()) if _in_scope(scope, r))
        return (o for o in found if _selected(scope, o))

    def _merged(self, ref: Ref, patch: Body, subresource: str) -> dict[str, Any]:
        before = self.objects.get(ref)
        if before is None:
            raise Rejected(404, "NotFound", f"{ref.kind} {ref.name} does not exist")
        for name in ("uid", "resourceVersion"):
            wanted = patch.get("metadata", {}).get(name)
            if wanted and wanted != before["metadata"][name]:
                raise Rejected(409, "Conflict", f"{ref.kind} {ref.name} is not as it was seen")
        return self._store("merge", ref, before, self._merge_into(before, patch, subresource))

    def _merge_into(self, before: dict[str, Any], patch: Body, subresource: str) -> dict[str, Any]:
        if subresource == "status":
            return {**before, "status": _merge(before.get("status") or {}, patch["status"])}
        kept = {k: v for k, v in patch.items() if k != "status"}
        merged: dict[str, Any] = _merge(before, kept)
        return merged

    def _store(
        self, verb: str, ref: Ref, before: dict[str, Any] | None, after: dict[str, Any]
    ) -> dict[str, Any]:
        after = _stored(_copy(after))
        meta = after["metadata"]
        if before is None:
            meta["uid"] = f"uid-{next(self._uids):06d}"
            meta["creationTimestamp"] = self.now
            meta["generation"] = 1
        elif _content(before) == _content(after):
            return before
        elif before.get("spec") != after.get("spec"):
            meta["generation"] = before["metadata"].get("generation", 0) + 1
        if ref.kind in NO_GENERATION:
            meta.pop("generation", None)
        self._version = next(self._versions)
        meta["resourceVersion"] = str(self._version)
        self.objects[ref] = after
        self.writes.append((verb, ref))
        self._publish("ADDED" if before is None else "MODIFIED", after, before)
        if meta.get("deletionTimestamp") and not meta.get("finalizers"):
            self._drop(ref)
        elif before is None:
            self._collect_orphan(ref)
        return after

    def _drop(self, ref: Ref) -> None:
        gone = self.objects.pop(ref)
        self._version = next(self._versions)
        last = {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self._version)}}
        self.writes.append(("delete", ref))
        self._publish("DELETED", last, gone)
        uid = gone["metadata"]["uid"]
        for other, body in list(self.objects.items()):
            owners = body["metadata"].get("ownerReferences") or ()
            if any(o["uid"] == uid for o in owners):
                self.remove(other)

    def _collect_orphan(self, ref: Ref) -> None:
        """A child of an owner that is gone already does not live long."""
        owners = self.objects[ref]["metadata"].get("ownerReferences") or ()
        living = {o["metadata"]["uid"] for o in self.objects.values()}
        if owners and not any(o["uid"] in living for o in owners):
            self.remove(ref)

    def _publish(self, kind: str, body: dict[str, Any], before: dict[str, Any] | None) -> None:
        event = WatchEvent(kind, body)
        self._log.append((self._version, event, before))
        for watcher in self._watchers:
            self._offer(watcher, event, before)

    def _offer(self, watcher: _Watcher, event: WatchEvent, before: dict[str, Any] | None) -> None:
        """As selectors see it: what leaves the selection is deleted, what enters it is added."""
        scope = watcher.scope
        if not _in_scope(scope, reference(event.object)):
            return
        was = before is not None and _selected(scope, before)
        is_now = event.type != "DELETED" and _selected(scope, event.object)
        if was or is_now:
            kind = "DELETED" if not is_now else "MODIFIED" if was else "ADDED"
            shown = _shown(scope, _copy(event.object))
            watcher.events.put_nowait(WatchEvent(kind, shown))


def _entry(manager: str, operation: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields}


def _copy(body: Body) -> dict[str, Any]:
    copied: dict[str, Any] = orjson.loads(orjson.dumps(body))
    return copied


def _stored(value: Any) -> Any:
    """Whole numbers come back as such, however they were written."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _stored(item) for key, item in value.items()}
    return [_stored(item) for item in value] if isinstance(value, list) else value


def _content(body: Body) -> bytes:
    volatile = ("resourceVersion", "generation")
    meta = {k: v for k, v in body["metadata"].items() if k not in volatile}
    return orjson.dumps({**body, "metadata": meta}, option=orjson.OPT_SORT_KEYS)


def _merge(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged


def _in_scope(scope: Scope, ref: Ref) -> bool:
    same = (ref.api_version, ref.kind) == (scope.api_version, scope.kind)
    return same and scope.namespace in ("", ref.namespace)


def _selected(scope: Scope, body: Body) -> bool:
    """`key` and `!key` are the selectors the operator uses."""
    if not scope.labels:
        return True
    has = scope.labels.removeprefix("!") in (body["metadata"].get("labels") or {})
    return has is not scope.labels.startswith("!")


def _shown(scope: Scope, body: dict[str, Any]) -> dict[str, Any]:
    if not scope.metadata_only:
        return body
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": body["metadata"]}
