"""The plot: from a resource, whatever state the world is in, one step towards what it asks for.

Nothing here waits, polls or remembers: a reconcile reads, decides, writes what differs and
reports. Whoever calls it calls again when something it looked at has changed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tapehouse_kube.errors import Rejected, Unavailable

from tapehouse_operator.api.base import DeletionPolicy, DriftPolicy, Reason
from tapehouse_operator.children import add_ownership, drifted, outdated
from tapehouse_operator.decision import AnyKind, Intent, Scene, decide, read_versions
from tapehouse_operator.emit.core import ObjectKey, TableState
from tapehouse_operator.errors import NotReady
from tapehouse_operator.kinds.contract import Applied, Key, Observed, Refs, Subject, Verdict, World
from tapehouse_operator.names import FINALIZER, LABEL_ROLE, SETTINGS
from tapehouse_operator.notices import Notice, notices
from tapehouse_operator.ports import Backend, Catalog
from tapehouse_operator.report import Cause, Report, compose, difference, is_ready
from tapehouse_operator.rollout import (
    REVISION_API,
    REVISION_KIND,
    expired,
    read_history,
    revision_child,
    revision_object_name,
)

TEARDOWN_DEADLINE = 300.0
"""Seconds after which a deletion no longer waits for what lies outside Kubernetes."""
SETTINGS_KEY = ObjectKey("v1", "ConfigMap", SETTINGS)

Live = dict[ObjectKey, Observed]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the caller should do next about a resource."""

    retry: bool = False
    """Come back with back-off: something failed that no event will announce."""
    resync: bool = False
    """Look again now and then: it has parts outside Kubernetes, which sends no events."""
    gone: bool = False
    ready: bool = False
    generation: int = 0


def _stands(subject: Subject, intent: Intent) -> bool:
    """Whether what was told is true until it is known who reads the resource.

    After a start that takes a moment; to tell of it would be two writes for nothing.
    """
    cause = intent.acceptance or intent.obstacle
    told = subject.status.get("observedGeneration") == subject.generation
    return told and cause is not None and cause.reason == Reason.CONSUMERS_UNKNOWN


def _only(
    found: Mapping[ObjectKey, Observed], wanted: frozenset[ObjectKey] | None
) -> Mapping[ObjectKey, Observed] | None:
    return None if wanted is None else {k: v for k, v in found.items() if k in wanted}


@dataclass(frozen=True, slots=True)
class Result:
    """What the writes led to."""

    applied: Applied
    drift: tuple[str, ...] = ()
    obstacle: Cause | None = None
    retry: bool = False


class Reconciler:
    """Brings any resource of the given kinds one step closer to its spec."""

    def __init__(
        self,
        kinds: Sequence[AnyKind],
        backend: Backend,
        catalogs: Callable[[Mapping[str, str]], Catalog],
        tell: Callable[[Subject, Sequence[Notice]], None] = lambda subject, notices: None,
    ) -> None:
        self.kinds = {kind.model.__name__: kind for kind in kinds}
        self.backend = backend
        self.catalogs = catalogs
        self._tell = tell
        self._contested: dict[tuple[str, ObjectKey], tuple[str, ...]] = {}
        """Fields that stayed another's although we had just set them, by namespace and object."""
        self._last_settings: dict[str, Mapping[str, str]] = {}
        """By namespace: one that is being deleted may lose them before its tables are dropped."""

    async def reconcile(self, key: Key) -> Outcome:
        """One step.

        Raises:
            Unavailable: it could not be finished; nothing is half known, try again.
            Fenced: this process may not write.
        """
        subject = self.backend.subject(key)
        if subject is None:
            return Outcome(gone=True)
        try:
            if subject.deleting_since:
                return await self._tear_down(subject)
            scene = await self.read(subject)
            intent = decide(scene)
            if _stands(subject, intent):
                ready = is_ready(subject.status)
                return Outcome(retry=True, ready=ready, generation=subject.generation)
            await self._guard_data(subject, intent)
            result = await self._write(scene, intent)
            return await self._report(scene, intent, result)
        except Rejected as e:
            raise Unavailable(str(e)) from e

    async def fail(self, key: Key, message: str) -> None:
        """Tell the resource's author that the operator itself has a defect."""
        subject = self.backend.subject(key)
        if subject is not None:
            cause = Cause(Reason.INTERNAL_ERROR, message)
            await self._write_status(subject, Report(subject.generation, obstacle=cause))

    # read

    async def read(self, subject: Subject) -> Scene:
        """All that deciding about `subject` takes."""
        kind = self.kinds[subject.key.kind]
        children = self.backend.children(subject.key)
        history = read_history(children, subject.status, subject.uid)
        versions = read_versions(kind, subject, history)
        try:
            settings = await self._settings(subject)
            refs = [kind.refs(resource, settings) for resource in versions.resources]
            world: World | NotReady = await self._world(subject.key, settings, children, refs)
        except NotReady as e:
            world = e
        return Scene(kind, subject, history, versions, children, world, self.backend.now())

    async def _settings(self, subject: Subject) -> Mapping[str, str]:
        namespace = subject.key.namespace
        settings = await self.backend.settings(subject.key)
        if settings is None and subject.deleting_since:
            settings = self._last_settings.get(namespace)
        if settings is None:
            message = f"namespace {namespace} has no ConfigMap {SETTINGS}"
            raise NotReady(Reason.SETTINGS_MISSING, message)
        self._last_settings[namespace] = settings
        return settings

    async def _world(
        self,
        key: Key,
        settings: Mapping[str, str],
        children: Mapping[ObjectKey, Observed],
        refs: Sequence[Refs],
    ) -> World:
        objects = frozenset({SETTINGS_KEY}).union(*(r.objects for r in refs))
        claims = frozenset[ObjectKey]().union(*(r.claims for r in refs))
        tables = sorted(frozenset[str]().union(*(r.tables for r in refs)))
        consumers = self.backend.consumers(key) if any(r.consumers for r in refs) else frozenset()
        found = await self.backend.look(key, objects | claims | (consumers or frozenset()))
        return World(
            namespace=key.namespace,
            settings=settings,
            objects={k: v for k, v in found.items() if k in objects},
            children={k: v for k, v in children.items() if k.kind != REVISION_KIND},
            claims=self.backend.claims(key, claims),
            tables={t: await self.catalogs(settings).state(t) for t in tables},
            consumers=_only(found, consumers),
        )

    # write

    async def _guard_data(self, subject: Subject, intent: Intent) -> None:
        """The finalizer is there before the data it stands for, and only then."""
        if intent.resource is None:
            return
        policy = intent.resource.spec.deletion_policy
        wanted = bool(intent.output.tables) and policy is DeletionPolicy.DELETE
        if wanted != (FINALIZER in subject.finalizers):
            others = [f for f in subject.finalizers if f != FINALIZER]
            names = [*others, FINALIZER] if wanted else others
            await self.backend.set_finalizers(subject, names)

    async def _write(self, scene: Scene, intent: Intent) -> Result:
        """Revision, tables, children, prune; stops at the first refusal and tells it."""
        live = dict(scene.live)
        tables: dict[str, TableState] = {}
        drift: list[str] = []
        obstacle, retry = intent.obstacle, intent.retry
        try:
            await self._record(scene.subject, intent, live)
            retry |= await self._make_tables(scene, intent, tables)
            drift = await self._apply(scene.subject, intent, live)
            await self._prune(scene, intent, live)
        except NotReady as e:
            obstacle, retry = Cause(e.reason, e.message), True
        except Rejected as e:
            if e.is_stale:
                raise
            taken = e.reason == Reason.NAME_TAKEN
            reason = Reason.NAME_TAKEN if taken else Reason.APPLY_FAILED
            obstacle, retry = Cause(reason, str(e), stalled=True), True
        present = {c.key: live[c.key] for c in intent.output.children if c.key in live}
        number = intent.revision.number if intent.revision else 0
        return Result(Applied(present, tables, number), tuple(drift), obstacle, retry)

    async def _record(self, subject: Subject, intent: Intent, live: Live) -> None:
        if intent.is_new and intent.revision is not None:
            child = revision_child(subject.key, intent.revision)
            live[child.key] = await self.backend.apply(subject, add_ownership(subject, child))

    async def _make_tables(
        self, scene: Scene, intent: Intent, tables: dict[str, TableState]
    ) -> bool:
        """Tables before children; tells whether one of them is to be tried again."""
        if isinstance(scene.world, NotReady) or not intent.output.tables:
            return False
        catalog = self.catalogs(scene.world.settings)
        for table in intent.output.tables:
            tables[table.identifier] = await catalog.ensure(table)
        return any(state.error for state in tables.values())

    async def _apply(self, subject: Subject, intent: Intent, live: Live) -> list[str]:
        """Write what differs, in order; returns the drift that is left alone."""
        policy = intent.resource.spec.drift_policy if intent.resource else DriftPolicy.ENFORCE
        confirmed = subject.status.get("observedGeneration") != subject.generation
        drift: list[str] = []
        for child in (*intent.checks, *intent.output.children):
            key, manifest, now = child.key, add_ownership(subject, child), live.get(child.key)
            if now is None and not confirmed:
                # A settled resource lost a child: perhaps because it is gone itself.
                await self.backend.confirm(subject)
                confirmed = True
            lost = () if now is None else self._drift(subject, key, manifest, now, policy)
            if not self._must_write(subject, key, manifest, now, lost, policy):
                drift += [f"{key.kind} {key.name}: {path}" for path in lost]
            elif now is not None and key.kind == "Pod":
                await self.backend.delete(subject, key, now)  # Pods cannot change
            else:
                live[key] = await self.backend.apply(subject, manifest)
                self._contested[subject.key.namespace, key] = drifted(manifest, live[key])
        return drift

    def _drift(
        self,
        subject: Subject,
        key: ObjectKey,
        manifest: Mapping[str, Any],
        now: Observed,
        policy: DriftPolicy,
    ) -> tuple[str, ...]:
        settled = not now.deleting and not outdated(manifest, now)
        return drifted(manifest, now) if settled and policy is not DriftPolicy.IGNORE else ()

    def _must_write(
        self,
        subject: Subject,
        key: ObjectKey,
        manifest: Mapping[str, Any],
        now: Observed | None,
        lost: tuple[str, ...],
        policy: DriftPolicy,
    ) -> bool:
        if now is not None and now.deleting:
            return False
        if outdated(manifest, now):
            return True
        # What an admission webhook changes in whatever we write is told, not fought over.
        contested = self._contested.get((subject.key.namespace, key), ()) == lost
        return bool(lost) and policy is DriftPolicy.ENFORCE and not contested

    async def _prune(self, scene: Scene, intent: Intent, live: Live) -> None:
        """Delete what this very resource owns and nothing wants; retained objects have no owner."""
        subject = scene.subject
        wanted = {child.key for child in (*intent.checks, *intent.output.children)}
        wanted |= self._kept_revisions(scene, intent, live)
        for key, now in live.items():
            ours = subject.uid in now.owners and not now.deleting
            planned = intent.plan is not None or now.labels.get(LABEL_ROLE) == "check"
            if ours and planned and key not in wanted:
                await self.backend.delete(subject, key, now)

    def _kept_revisions(self, scene: Scene, intent: Intent, live: Live) -> set[ObjectKey]:
        kept = {key for key in live if key.kind == REVISION_KIND}
        if intent.resource is None or intent.revision is None:
            return kept
        limit = intent.resource.spec.revision_history_limit
        stable = scene.subject.status.get("lastStableRevision", "")
        for number in expired(scene.history, limit, intent.revision.number):
            name = revision_object_name(scene.subject.key, number)
            if name != stable:
                kept.discard(ObjectKey(REVISION_API, REVISION_KIND, name))
        return kept

    # report

    async def _report(self, scene: Scene, intent: Intent, result: Result) -> Outcome:
        judged = intent.plan is not None
        revision = intent.revision or scene.history.latest
        number = revision.number if revision else 0
        key, generation = scene.subject.key, scene.subject.generation
        report = Report(
            generation=generation,
            acceptance=intent.acceptance,
            checking=intent.checking,
            obstacle=result.obstacle,
            verdict=scene.kind.judge(intent.plan, result.applied) if judged else Verdict(),
            judged=judged,
            suspended=intent.resource is not None and intent.resource.spec.suspend,
            drift=result.drift,
            revision=number,
            revision_object=revision_object_name(key, number) if revision else "",
            high_water=max(scene.history.high_water, number),
            digest=revision.digest if revision else "",
            returns_to=scene.history.twin(revision) if revision else 0,
        )
        ready = await self._write_status(self.backend.subject(key) or scene.subject, report)
        outside = (
            bool(intent.output.tables)
            or not isinstance(scene.world, World)
            or bool(scene.world.tables)
        )
        return Outcome(result.retry, resync=outside, ready=ready, generation=generation)

    async def _write_status(self, subject: Subject, report: Report) -> bool:
        now = self.backend.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        status = compose(report, subject.status, now)
        if patch := difference(subject.status, status):
            await self.backend.patch_status(subject, patch)
            self._tell(subject, notices(subject.status, status, report.returns_to))
        return is_ready(status)

    # delete

    async def _tear_down(self, subject: Subject) -> Outcome:
        """Owner references collect the children; what lies outside is ours to remove."""
        if FINALIZER not in subject.finalizers:
            return Outcome(generation=subject.generation)
        try:
            await self._drop_tables(subject)
        except NotReady as e:
            late = self._age(subject.deleting_since) >= TEARDOWN_DEADLINE
            subject = await self._tell_delay(subject, e, late)
            if not late:
                return Outcome(retry=True, generation=subject.generation)
        others = [f for f in subject.finalizers if f != FINALIZER]
        await self.backend.set_finalizers(subject, others)
        return Outcome(generation=subject.generation)

    async def _tell_delay(self, subject: Subject, error: NotReady, late: bool) -> Subject:
        what = "given up: remove by hand what is left" if late else "tried again"
        cause = Cause(Reason.DELETE_FAILED, f"{error}; {what}")
        await self._write_status(subject, Report(subject.generation, obstacle=cause, deleting=True))
        return self.backend.subject(subject.key) or subject

    async def _drop_tables(self, subject: Subject) -> None:
        """Only tables whose owner is this resource are dropped, so naming too many is harmless."""
        key, kind = subject.key, self.kinds[subject.key.kind]
        settings = await self._settings(subject)
        history = read_history(self.backend.children(key), subject.status, subject.uid)
        catalog: Catalog = self.catalogs(settings)
        for resource in read_versions(kind, subject, history).resources:
            if resource.spec.deletion_policy is DeletionPolicy.DELETE:
                for identifier in sorted(kind.refs(resource, settings).tables):
                    await catalog.drop(identifier, f"{key.namespace}/{key.name}")

    def _age(self, since: str) -> float:
        return (self.backend.now() - datetime.fromisoformat(since)).total_seconds()
