"""The cluster as a reconcile sees it: one store fed by watches, and writes that check first."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tapehouse_kube.errors import Rejected
from tapehouse_kube.informer import Informer, Listener
from tapehouse_kube.objects import Body, Kube, Ref, Scope, reference

from tapehouse_operator.backends.canary import Canary
from tapehouse_operator.backends.store import Entry, Store, object_key
from tapehouse_operator.emit.core import ObjectKey
from tapehouse_operator.kinds.contract import Key, Observed, Subject
from tapehouse_operator.names import API_VERSION, LABEL_OWNER, SETTINGS, owner_label

GvK = tuple[str, str]
REVISIONS: GvK = ("apps/v1", "ControllerRevision")
CHURNING = frozenset({"Pod"})
"""Child kinds of which a cluster has so many others that names taken by them are asked for."""


class ClusterBackend:
    """`ports.Backend` on a Kubernetes API.

    `resource_seen`, `resource_gone` and `resources_listed` are fed by whoever watches the kinds
    themselves; children and referenced objects are watched here.
    """

    def __init__(
        self,
        kube: Kube,
        child_kinds: Iterable[GvK],
        *,
        namespaces: Sequence[str] = (),
        wake: Callable[[Key], None],
        fence: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: random.Random | None = None,
    ) -> None:
        self.store = Store()
        self.canary = Canary()
        self._kube, self._wake, self._fence, self._clock = kube, wake, fence, clock
        self._random = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._namespaces = tuple(namespaces) or ("",)
        self._child_kinds = frozenset({*child_kinds, REVISIONS})
        self._owners: dict[tuple[str, str], Key] = {}
        self._needs: dict[Key, frozenset[Ref]] = {}
        self._dependents: defaultdict[Ref, set[Key]] = defaultdict(set)
        self._strangers: set[Ref] = set()
        """Objects of child kinds that nobody made for a resource: their names are taken."""
        self._unlooked: defaultdict[str, set[Key]] = defaultdict(set)
        """By namespace, the resources of which it is not known yet what they look at."""
        self._absent: set[Ref] = set()
        """Referenced objects known not to exist."""
        self._heard: dict[Ref, int] = {}
        """The newest version of a referenced object that an event told of."""
        self._reads: dict[Ref, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._informers: dict[tuple[GvK, str], list[Informer]] = {}

    # watching

    async def start(self) -> None:
        """Watch the children, and who else has names; returns once all of them are known."""
        for kind in sorted(self._child_kinds):
            self._listen(kind, "children", LABEL_OWNER)
            if kind[1] not in CHURNING:
                self._listen(kind, "references", f"!{LABEL_OWNER}")
        for informer in self.informers:
            await informer.synced.wait()

    async def stop(self) -> None:
        """Stop watching."""
        tasks = [*self._tasks, *self._reads.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def informers(self) -> list[Informer]:
        """Every running watch."""
        return [informer for group in self._informers.values() for informer in group]

    def resource_seen(self, body: Body) -> None:
        """A resource of one of the kinds, as it is."""
        key = _key(reference(body))
        self.canary.heard(self._stream(key), int(body["metadata"]["resourceVersion"]))
        if body["metadata"].get("deletionTimestamp"):
            self._unlooked[key.namespace].discard(key)
        elif key not in self._needs:
            self._unlooked[key.namespace].add(key)
        self._owners[key.namespace, owner_label(key.kind, key.name)] = key
        self._seen(body)

    def resource_gone(self, ref: Ref, uid: str) -> None:
        """A resource of one of the kinds that no longer is."""
        if entry := self.store.drop(ref, uid):
            self.canary.heard(self._stream(_key(ref)), entry.version)
            self._forget(_key(ref))
            self._wake(_key(ref))
            self._wake_dependents(ref)

    def resources_listed(self, scope: Scope, present: frozenset[Ref], version: str = "") -> None:
        """All there was of one kind at `version`, or ever: what is not in it has gone unnoticed."""
        for ref in self.store.refs(scope.api_version, scope.kind, scope.namespace):
            entry = self.store.get(ref)
            if ref in present or entry is None or (version and entry.version > int(version)):
                continue
            self.resource_gone(ref, entry.uid)

    def _listen(self, kind: GvK, what: str, labels: str) -> list[Informer]:
        partial = what == "references"
        listener = Listener(
            self._reference_seen if partial else self._seen,
            self._reference_gone if partial else self._child_gone,
            self._references_listed if partial else self._children_listed,
        )
        group = self._informers.setdefault((kind, what), [])
        for namespace in self._namespaces:
            scope = Scope(*kind, namespace, labels, metadata_only=partial)
            informer = Informer(self._kube, scope, listener, self._random)
            self._tasks.append(asyncio.create_task(informer.run(), name=str(scope)))
            group.append(informer)
        return group

    def _seen(self, body: Body) -> None:
        ref = reference(body)
        before = self.store.get(ref)
        if not self.store.put(body):
            return
        after = self.store.get(ref)
        for entry in (before, after):
            self._wake_owner(ref, entry)
        if ref.api_version == API_VERSION:
            self._wake(_key(ref))
        self._wake_dependents(ref)

    def _child_gone(self, ref: Ref, uid: str) -> None:
        entry = self.store.get(ref)
        if entry is not None and entry.owner and self.store.drop(ref, uid):
            self._wake_owner(ref, entry)
            self._wake_dependents(ref)

    def _children_listed(self, scope: Scope, present: frozenset[Ref]) -> None:
        for ref in self.store.refs(scope.api_version, scope.kind, scope.namespace):
            entry = self.store.get(ref)
            if entry is not None and entry.owner and ref not in present:
                self._child_gone(ref, entry.uid)

    def _reference_seen(self, body: Body) -> None:
        """Only metadata came: what is referenced is read again when it is needed."""
        ref = reference(body)
        if ref[:2] in self._child_kinds:
            self._strangers.add(ref)
        if ref not in self._dependents:
            self._absent.discard(ref)
            return
        version = self._heard[ref] = int(body["metadata"]["resourceVersion"])
        entry = self.store.get(ref)
        if entry is None or entry.version < version:
            self._absent.discard(ref)
            self.store.drop(ref)
            self._wake_dependents(ref)

    def _reference_gone(self, ref: Ref, uid: str) -> None:
        self._strangers.discard(ref)
        entry = self.store.get(ref)
        if entry is not None and not entry.owner:
            self.store.drop(ref, uid)
        self._wake_dependents(ref)

    def _references_listed(self, scope: Scope, present: frozenset[Ref]) -> None:
        self._strangers -= {r for r in self._strangers if _covers(scope, r) and r not in present}
        for ref in self.store.refs(scope.api_version, scope.kind, scope.namespace):
            entry = self.store.get(ref)
            if entry is not None and not entry.owner and ref not in present:
                self._reference_gone(ref, entry.uid)

    def _wake_owner(self, ref: Ref, entry: Entry | None) -> None:
        if entry is not None and entry.owner:
            key = self._owners.get((ref.namespace, entry.owner))
            if key is not None:
                self._wake(key)

    def _wake_dependents(self, ref: Ref) -> None:
        for key in sorted(self._dependents.get(ref, ())):
            if key.kind:
                self._wake(key)

    def _forget(self, key: Key) -> None:
        self._owners.pop((key.namespace, owner_label(key.kind, key.name)), None)
        self._unlooked[key.namespace].discard(key)
        self._depend(key, frozenset())

    def _depend(self, key: Key, needs: frozenset[Ref]) -> None:
        before = self._needs.get(key, frozenset())
        for ref in before - needs:
            self._dependents[ref].discard(key)
            if not self._dependents[ref]:
                del self._dependents[ref]
                self._unreferenced(ref)
        for ref in needs - before:
            self._dependents[ref].add(key)
        if needs:
            self._needs[key] = needs
        else:
            self._needs.pop(key, None)

    def _unreferenced(self, ref: Ref) -> None:
        entry = self.store.get(ref)
        if ref.api_version != API_VERSION and entry is not None and not entry.owner:
            self.store.drop(ref)
        self._absent.discard(ref)
        self._heard.pop(ref, None)

    # reading

    def subject(self, key: Key) -> Subject | None:
        """See `ports.Backend`."""
        entry = self.store.get(_ref(key))
        if entry is None:
            return None
        body = entry.body
        meta = body["metadata"]
        shown = ("labels", "annotations", "creationTimestamp")
        metadata = {"name": key.name, "namespace": key.namespace}
        metadata |= {name: meta[name] for name in shown if name in meta}
        return Subject(
            key=key,
            uid=entry.uid,
            resource_version=str(entry.version),
            generation=entry.generation,
            manifest={
                "apiVersion": API_VERSION,
                "kind": key.kind,
                "metadata": {**metadata, "uid": entry.uid, "generation": entry.generation},
                "spec": body["data"],
            },
            status=body["status"] or {},
            finalizers=tuple(meta.get("finalizers") or ()),
            deleting_since=entry.deleting,
        )

    def children(self, key: Key) -> Mapping[ObjectKey, Observed]:
        """See `ports.Backend`."""
        refs = self.store.owned(key.namespace, owner_label(key.kind, key.name))
        entries = ((object_key(ref), self.store.get(ref)) for ref in refs)
        return {at: entry.observed() for at, entry in sorted(entries) if entry is not None}

    def claims(self, key: Key, wanted: frozenset[ObjectKey]) -> Mapping[ObjectKey, str]:
        """See `ports.Backend`."""
        ours = owner_label(key.kind, key.name)
        found = {at: self.store.get(Ref(at[0], at[1], key.namespace, at[2])) for at in wanted}
        return {
            at: e.owner for at, e in found.items() if e is not None and e.owner not in ("", ours)
        }

    async def settings(self, key: Key) -> Mapping[str, str] | None:
        """See `ports.Backend`."""
        ref = Ref("v1", "ConfigMap", key.namespace, SETTINGS)
        self._depend(key, self._needs.get(key, frozenset()) | {ref})
        entry = await self._known(ref)
        return None if entry is None else entry.body["data"]

    async def look(self, key: Key, wanted: frozenset[ObjectKey]) -> Mapping[ObjectKey, Observed]:
        """See `ports.Backend`."""
        refs = {at: Ref(at.api_version, at.kind, key.namespace, at.name) for at in wanted}
        self._depend(key, frozenset(refs.values()))
        self._unlooked[key.namespace].discard(key)
        found: dict[ObjectKey, Observed] = {}
        for at, ref in sorted(refs.items()):
            entry = await self._known(ref)
            if entry is not None:
                found[at] = entry.observed()
        return found

    async def share(self, namespace: str, wanted: Iterable[ObjectKey]) -> None:
        """Read `wanted`, unless cached, and keep them cached for the whole namespace.

        Raises:
            Rejected, Unavailable: one of them cannot be read.
        """
        key = Key("", namespace, "")  # no resource: only holds the objects in the cache
        refs = frozenset(Ref(at.api_version, at.kind, namespace, at.name) for at in wanted)
        self._depend(key, self._needs.get(key, frozenset()) | refs)
        for ref in sorted(refs):
            await self._known(ref)

    def cached(self, namespace: str, wanted: Iterable[ObjectKey]) -> Mapping[ObjectKey, Observed]:
        """Those of `wanted` that the cache has; nothing is read."""
        entries = {
            at: self.store.get(Ref(at.api_version, at.kind, namespace, at.name)) for at in wanted
        }
        return {at: entry.observed() for at, entry in entries.items() if entry is not None}

    def consumers(self, key: Key) -> frozenset[ObjectKey] | None:
        """See `ports.Backend`."""
        unlooked = self._unlooked[key.namespace]
        if len(unlooked) > (key in unlooked):
            return None
        return frozenset(object_key(_ref(other)) for other in self._dependents.get(_ref(key), ()))

    async def _known(self, ref: Ref) -> Entry | None:
        entry = self.store.get(ref)
        if entry is not None or ref.api_version == API_VERSION or ref in self._absent:
            return entry
        if ref not in self._reads:
            self._reads[ref] = task = asyncio.create_task(self._read(ref), name=f"read {ref}")
            task.add_done_callback(_retrieved)
        await asyncio.shield(self._reads[ref])
        return self.store.get(ref)

    async def _read(self, ref: Ref) -> None:
        """Read what is referenced, once for all who ask at the same time."""
        try:
            await self._listening(ref)
            self._heard.pop(ref, None)
            while body := await self._kube.get(ref):
                if int(body["metadata"]["resourceVersion"]) >= self._heard.get(ref, 0):
                    self.store.put(body)
                    return
            if ref not in self._heard:  # else an event has told of it in the meantime
                self._absent.add(ref)
        finally:
            del self._reads[ref]

    async def _listening(self, ref: Ref) -> None:
        """Whoever reads once must also hear of changes."""
        kind = (ref.api_version, ref.kind)
        group = self._informers.get((kind, "references"))
        if group is None:
            labels = f"!{LABEL_OWNER}" if kind in self._child_kinds else ""
            group = self._listen(kind, "references", labels)
        for informer in group:
            if informer.scope.namespace in ("", ref.namespace):
                await informer.known()

    async def confirm(self, subject: Subject) -> None:
        """See `ports.Backend`."""
        ref = _ref(subject.key)
        live = await self._kube.get(ref)
        if live is None or live["metadata"]["uid"] != subject.uid:
            self.resource_gone(ref, subject.uid)
            raise Rejected(404, "NotFound", f"{subject.key.kind} {subject.key.name} is gone")

    def now(self) -> datetime:
        """See `ports.Backend`."""
        return self._clock()

    # writing

    async def apply(self, subject: Subject, manifest: Mapping[str, Any]) -> Observed:
        """See `ports.Backend`."""
        ref = reference(manifest)
        known = self.store.get(ref)
        if known is None and (ref in self._strangers or ref.kind in CHURNING):
            known = await self._ask(ref)
        if known is None:
            try:
                return await self._send(manifest, force=False)
            except Rejected as e:
                known = await self._ask(ref) if e.is_stale else None
                if known is None:
                    raise
        check_owner(ref, known, manifest["metadata"]["labels"][LABEL_OWNER])
        # A stale picture must neither revive what is gone nor touch its successor.
        metadata = {**manifest["metadata"], "uid": known.uid}
        return await self._send({**manifest, "metadata": metadata}, force=True)

    async def _send(self, manifest: Body, *, force: bool) -> Observed:
        """Without force, fields that anybody else has set otherwise are refused: it is not new."""
        self._fence()
        return self._written(await self._kube.apply(manifest, force=force)).observed()

    async def _ask(self, ref: Ref) -> Entry | None:
        """An object that no watch has told of."""
        if live := await self._kube.get(ref):
            self.store.put(live)
        return self.store.get(ref)

    async def delete(self, subject: Subject, key: ObjectKey, live: Observed) -> None:
        """See `ports.Backend`."""
        ref = Ref(key.api_version, key.kind, subject.key.namespace, key.name)
        self._fence()
        await self._kube.delete(ref, uid=live.uid, resource_version=live.resource_version)
        self.store.mark_deleting(ref, live.uid)

    async def patch_status(self, subject: Subject, patch: Mapping[str, Any]) -> Subject:
        """See `ports.Backend`."""
        body = {"metadata": _precondition(subject), "status": patch}
        return await self._merge(subject, body, "status")

    async def set_finalizers(self, subject: Subject, finalizers: Sequence[str]) -> Subject:
        """See `ports.Backend`."""
        metadata = {**_precondition(subject), "finalizers": list(finalizers) or None}
        return await self._merge(subject, {"metadata": metadata}, "")

    async def _merge(self, subject: Subject, body: Body, subresource: str) -> Subject:
        self._fence()
        after = self._written(await self._kube.merge(_ref(subject.key), body, subresource))
        self.canary.known(self._stream(subject.key), after.version)
        return self.subject(subject.key) or subject

    def _stream(self, key: Key) -> str:
        """Versions can be compared within one watch."""
        return key.kind if self._namespaces == ("",) else f"{key.kind} in {key.namespace}"

    def _written(self, body: Body) -> Entry:
        """What we wrote is known at once, so its own event wakes nobody but those who look on."""
        ref = reference(body)
        if self.store.put(body):
            self._wake_dependents(ref)
        entry = self.store.get(ref)
        if entry is None:
            raise Rejected(404, "NotFound", f"{ref.kind} {ref.name} was deleted while written")
        return entry


def _retrieved(task: asyncio.Task[None]) -> None:
    """Whoever asked may be gone by the time the answer is an error."""
    if not task.cancelled():
        task.exception()


def check_owner(ref: Ref, known: Entry, owner: str) -> None:
    """Only the objects of `owner` may be written for it.

    Raises:
        Rejected: with reason `NameTaken`.
    """
    if known.owner == owner:
        return
    holder = f"belongs to {known.owner}" if known.owner else "was not made by Tapehouse"
    remedy = f"delete it, or hand it over with the label {LABEL_OWNER}={owner}"
    raise Rejected(409, "NameTaken", f"{ref.kind} {ref.name} {holder}: {remedy}")


def _covers(scope: Scope, ref: Ref) -> bool:
    same = (ref.api_version, ref.kind) == (scope.api_version, scope.kind)
    return same and scope.namespace in ("", ref.namespace)


def _precondition(subject: Subject) -> dict[str, str]:
    return {"uid": subject.uid, "resourceVersion": subject.resource_version}


def _ref(key: Key) -> Ref:
    return Ref(API_VERSION, key.kind, key.namespace, key.name)


def _key(ref: Ref) -> Key:
    return Key(ref.kind, ref.namespace, ref.name)
