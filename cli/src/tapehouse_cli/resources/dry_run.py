"""What the operator would do, by letting it: its own code, with every write kept here.

The API server is asked for dry runs, so its schemas, rules and admission have their say; checks
by Pods count as passed.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Any

from tapehouse_kube.client import HttpKube
from tapehouse_kube.errors import Rejected, Unavailable
from tapehouse_kube.objects import Body, Ref, reference
from tapehouse_operator.backends.cluster import check_owner
from tapehouse_operator.backends.store import object_key
from tapehouse_operator.decision import AnyKind
from tapehouse_operator.emit.core import Column, ObjectKey, Table, TableState
from tapehouse_operator.emit.iceberg import OWNER_PROPERTY
from tapehouse_operator.emit.tables import TABLE_KEY
from tapehouse_operator.errors import NotReady
from tapehouse_operator.kinds.contract import Key, Observed, Subject
from tapehouse_operator.names import API_VERSION, LABEL_OWNER, LABEL_ROLE
from tapehouse_operator.ports import Catalog
from tapehouse_operator.reconcile import Reconciler

from tapehouse_cli.resources.snapshot import Snapshot

ROUNDS = 20
"""Times a resource may be looked at: more would be a plan that never settles."""
NEWEST = 2**62
"""Resource versions of what only happens here."""


@dataclass(slots=True)
class Deed:
    """What becomes of one object: None is its absence."""

    before: Body | None
    after: Body | None


@dataclass(frozen=True, slots=True)
class TableDeed:
    """What becomes of one Iceberg table."""

    before: TableState
    wanted: Table


@dataclass(slots=True)
class Deeds:
    """Everything that was done for one resource."""

    objects: dict[ObjectKey, Deed] = field(default_factory=dict)
    tables: dict[str, TableDeed] = field(default_factory=dict)
    trouble: str = ""
    """Why it could not be rehearsed to its end."""


class Rehearsal(Snapshot):
    """`ports.Backend` that remembers writes instead of sending them."""

    def __init__(self, kube: HttpKube, kinds: Sequence[AnyKind], namespace: str) -> None:
        super().__init__(kube, kinds, namespace)
        self.deeds: defaultdict[Key, Deeds] = defaultdict(Deeds)
        self._versions = itertools.count(NEWEST)
        self._lookers: defaultdict[ObjectKey, set[Key]] = defaultdict(set)
        self._pending: set[Key] = set()
        self._turns: list[tuple[int, Key]] = []
        self._acting: Key | None = None
        # Resources that others wait for come first: fewer steps until nothing changes.
        first = sorted(self.kinds.values(), key=lambda kind: not kind.planned_first)
        self._turn_of = {kind.name: turn for turn, kind in enumerate(first)}

    async def play(self, catalog: Catalog) -> None:
        """Let the operator look at everything until nothing is left to do."""
        stage = _Stage(self, catalog)
        reconciler = Reconciler(list(self.kinds.values()), self, stage.within)
        looks: defaultdict[Key, int] = defaultdict(int)
        for key in self.bodies:
            self._look_again(key)
        while self._turns:
            _, key = heappop(self._turns)
            self._pending.discard(key)
            self._acting = key
            looks[key] += 1
            if looks[key] > ROUNDS:
                self.deeds[key].trouble = f"it does not come to rest within {ROUNDS} steps"
                continue
            try:
                await reconciler.reconcile(key)
                self.deeds[key].trouble = ""
            except Unavailable as e:
                self.deeds[key].trouble = str(e)

    def lay_over(self, body: Body) -> None:
        """Pretend that a referenced object, a ConfigMap, is this one."""
        self._remember({**body, "metadata": {**body["metadata"], "namespace": self.namespace}})

    def did(self, table: Table, before: TableState) -> None:
        """A table was made what it is wanted to be."""
        if self._acting is not None:
            first = self.deeds[self._acting].tables.setdefault(
                table.identifier, TableDeed(before, table)
            )
            self.deeds[self._acting].tables[table.identifier] = replace(first, wanted=table)

    def accepted_tables(self) -> Iterator[Mapping[str, Any]]:
        """`table.json` of every table that has been accepted."""
        for _, entry in self._store.items():
            body = entry.body
            if body["metadata"].get("labels", {}).get(LABEL_ROLE) == "table":
                yield json.loads(body["data"][TABLE_KEY])

    # reading

    async def look(self, key: Key, wanted: frozenset[ObjectKey]) -> Mapping[ObjectKey, Observed]:
        """See `ports.Backend`."""
        for at in wanted:
            self._lookers[at].add(key)
        return await super().look(key, wanted)

    # writing

    async def apply(self, subject: Subject, manifest: Mapping[str, Any]) -> Observed:
        """See `ports.Backend`."""
        ref = reference(manifest)
        live = await self._live(ref)
        if live is not None and (known := self._store.get(ref)):
            check_owner(ref, known, manifest["metadata"]["labels"][LABEL_OWNER])
        after = await self._dry_run(manifest)
        if ref.kind == "Pod":
            after["status"] = {"containerStatuses": [{"state": {"terminated": {"exitCode": 0}}}]}
            self._look_again(subject.key)
        self._remember(after)
        self._done(subject.key, ref, after)
        entry = self._store.get(ref)
        if entry is None:
            raise Unavailable(f"{ref.kind} {ref.name} was not remembered")
        return entry.observed()

    async def delete(self, subject: Subject, key: ObjectKey, live: Observed) -> None:
        """See `ports.Backend`."""
        ref = Ref(key.api_version, key.kind, self.namespace, key.name)
        await self._live(ref)
        self._store.drop(ref)
        self._done(subject.key, ref, None)

    async def patch_status(self, subject: Subject, patch: Mapping[str, Any]) -> Subject:
        """See `ports.Backend`."""
        body = self.bodies[subject.key]
        self.bodies[subject.key] = {**body, "status": _merged(body.get("status") or {}, patch)}
        self._wake(ObjectKey(API_VERSION, subject.key.kind, subject.key.name), subject.key)
        return self.subject(subject.key) or subject

    async def set_finalizers(self, subject: Subject, finalizers: Sequence[str]) -> Subject:
        """See `ports.Backend`."""
        body = self.bodies[subject.key]
        metadata = {**body["metadata"], "finalizers": list(finalizers)}
        self.bodies[subject.key] = {**body, "metadata": metadata}
        return self.subject(subject.key) or subject

    async def _live(self, ref: Ref) -> Body | None:
        """The object as it is outside; asked once."""
        if self._acting is None:
            return None
        objects = self.deeds[self._acting].objects
        if object_key(ref) not in objects:
            live = await self.kube.get(ref)
            objects[object_key(ref)] = Deed(live, live)
            if live is not None and self._store.get(ref) is None:
                self._store.put(live)
        return objects[object_key(ref)].before

    async def _dry_run(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """What the API server would make of it; who may not write is told without it."""
        try:
            return dict(await self.kube.apply(manifest, dry_run=True))
        except Rejected as e:
            if e.status != 403:
                raise
            return dict(manifest)

    def _remember(self, body: Body) -> None:
        metadata = {"uid": "planned", **body["metadata"]}
        metadata["resourceVersion"] = str(next(self._versions))
        self._store.put({**body, "metadata": metadata})

    def _done(self, key: Key, ref: Ref, after: Body | None) -> None:
        self.deeds[key].objects[object_key(ref)].after = after
        self._wake(object_key(ref), key)

    def _wake(self, at: ObjectKey, actor: Key) -> None:
        for key in self._lookers.get(at, set()) - {actor}:
            self._look_again(key)

    def _look_again(self, key: Key) -> None:
        if key not in self._pending:
            self._pending.add(key)
            heappush(self._turns, (self._turn_of[key.kind], key))


class _Stage:
    """A catalog in which wanting is having; what it cannot be asked is taken from what was
    accepted last."""

    def __init__(self, rehearsal: Rehearsal, catalog: Catalog) -> None:
        self._rehearsal, self._catalog = rehearsal, catalog
        self._states: dict[str, TableState] = {}
        self._answers = True
        self._prefix = ""

    def within(self, settings: Mapping[str, str]) -> Catalog:
        """The catalog of an environment: there is one in a namespace."""
        self._prefix = settings.get("catalogPrefix", "")
        return self

    async def state(self, identifier: str) -> TableState:
        if identifier not in self._states:
            self._states[identifier] = await self._asked(identifier)
        return self._states[identifier]

    async def ensure(self, table: Table) -> TableState:
        before = await self.state(table.identifier)
        self._rehearsal.did(table, before)
        after = replace(
            before,
            exists=True,
            columns=table.columns,
            partition=table.partition,
            sort=table.sort,
            properties={**before.properties, **table.properties},
        )
        self._states[table.identifier] = after
        return after

    async def drop(self, identifier: str, owner: str) -> None:
        self._states[identifier] = TableState(identifier, exists=False)

    async def _asked(self, identifier: str) -> TableState:
        if self._answers:
            try:
                return await self._catalog.state(identifier)
            except NotReady:
                self._answers = False
        for table in self._rehearsal.accepted_tables():
            if self._prefix + table["identifier"] == identifier:
                return _as_declared(identifier, table)
        return TableState(identifier, exists=False)


def _as_declared(identifier: str, table: Mapping[str, Any]) -> TableState:
    """A table as its `table.json` says."""
    return TableState(
        identifier,
        exists=True,
        columns=tuple(Column(c["name"], c["type"], c["required"]) for c in table["columns"]),
        partition=tuple(table["partition"]),
        sort=tuple(table["sort"]),
        properties={OWNER_PROPERTY: f"{table['namespace']}/{table['table']}"},
    )


def _merged(status: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON merge patch, as the API server applies it."""
    out = dict(status)
    for name, value in patch.items():
        if value is None:
            out.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(out.get(name), Mapping):
            out[name] = _merged(out[name], value)
        else:
            out[name] = value
    return out
