"""What shall run: the newest spec if it stands, else the last accepted one, else nothing. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from tapehouse_operator.api.base import Reason, Resource, parse
from tapehouse_operator.api.transition import check_transition
from tapehouse_operator.emit.core import Child, ObjectKey
from tapehouse_operator.errors import NotReady, SpecError
from tapehouse_operator.kinds.contract import (
    Kind,
    Observed,
    Output,
    Preflight,
    RevisionRef,
    Subject,
    World,
)
from tapehouse_operator.report import Cause
from tapehouse_operator.rollout import History, fingerprint, runnable_spec, step

AnyKind = Kind[Any, Any]
UNANNOUNCED = frozenset({Reason.CATALOG_UNAVAILABLE, Reason.CONSUMERS_UNKNOWN})
"""What is waited for although no event will tell of it."""
CHECK_RETRY = timedelta(seconds=30)
"""How long a check Pod that failed without a verdict stays before it is tried again."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The two specs there may be of one resource."""

    newest: Resource | SpecError
    accepted: Resource | None
    """The last accepted revision, steered as the newest spec says."""
    settled: bool
    """Whether the newest spec is the accepted one."""

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Both, where they are there and differ."""
        both = (self.newest, None if self.settled else self.accepted)
        return tuple(r for r in both if isinstance(r, Resource))


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything one reconcile has read."""

    kind: AnyKind
    subject: Subject
    history: History
    versions: Versions
    live: Mapping[ObjectKey, Observed]
    """The children, revisions among them."""
    world: World | NotReady
    now: datetime


@dataclass(frozen=True, slots=True)
class Intent:
    """What shall run. Without a plan, nothing is touched but check Pods."""

    resource: Resource | None = None
    plan: Any = None
    revision: RevisionRef | None = None
    is_new: bool = False
    output: Output = field(default_factory=Output)
    checks: tuple[Child, ...] = ()
    acceptance: Cause | None = None
    """Why the newest spec is not accepted."""
    checking: bool = False
    """Whether that is still open."""
    obstacle: Cause | None = None
    """Why what is accepted cannot be planned now."""
    retry: bool = False


class Unchecked(Exception):  # noqa: N818
    """A check Pod has not said yes."""

    def __init__(
        self, checks: tuple[Child, ...], cause: Cause, checking: bool = True, retry: bool = False
    ) -> None:
        super().__init__(cause.message)
        self.checks, self.cause, self.checking, self.retry = checks, cause, checking, retry


def read_versions(kind: AnyKind, subject: Subject, history: History) -> Versions:
    """Parse the newest spec and, where it differs, the last accepted one."""
    newest = _parsed(kind, subject.manifest)
    latest = history.latest
    if latest is None:
        return Versions(newest, None, settled=False)
    if isinstance(newest, Resource) and fingerprint(newest.spec) == latest.digest:
        return Versions(newest, newest, settled=True)
    spec = runnable_spec(latest, subject.manifest.get("spec", {}))
    accepted = _parsed(kind, {**subject.manifest, "spec": spec})
    return Versions(newest, accepted if isinstance(accepted, Resource) else None, settled=False)


def decide(scene: Scene) -> Intent:
    """The newest spec if it stands; else the last accepted one; else nothing."""
    try:
        scene = _resolved(scene)
        return _newest(scene)
    except SpecError as e:
        cause = Cause(e.reason, str(e), stalled=True)
        return replace(_fall_back(scene), acceptance=cause)
    except Unchecked as e:
        return replace(
            _fall_back(scene),
            acceptance=e.cause,
            checking=e.checking,
            checks=e.checks,
            retry=e.retry,
        )
    except NotReady as e:
        cause = Cause(e.reason, e.message)
        retry = cause.reason in UNANNOUNCED
        if scene.versions.settled:
            return Intent(obstacle=cause, retry=retry)
        return replace(_fall_back(scene), acceptance=cause, checking=True, retry=retry)


def try_newest(scene: Scene) -> Intent:
    """What would run if the newest spec were accepted; it never falls back.

    Raises:
        SpecError: the author must change the spec.
        NotReady: something that it needs does not exist yet.
        Unchecked: its check Pod has not succeeded yet.
    """
    return _newest(_resolved(scene))


def _resolved(scene: Scene) -> Scene:
    """With what the newest spec refers to in it, by which it may turn out to be accepted."""
    newest, latest, world = scene.versions.newest, scene.history.latest, scene.world
    if isinstance(newest, SpecError) or isinstance(world, NotReady):
        return scene
    resolved: Resource = scene.kind.resolve(newest, world)
    if resolved is newest:
        return scene
    settled = latest is not None and fingerprint(resolved.spec) == latest.digest
    accepted = resolved if settled else scene.versions.accepted
    return replace(scene, versions=Versions(resolved, accepted, settled))


def _newest(scene: Scene) -> Intent:
    newest, world = scene.versions.newest, scene.world
    if isinstance(newest, SpecError):
        raise newest
    if isinstance(world, NotReady):
        raise world
    former = scene.versions.accepted.spec if scene.versions.accepted else None
    if former is not None and not scene.versions.settled:
        check_transition(former, newest.spec)
    plan = scene.kind.validate(newest, world)
    history = scene.history
    taken = scene.kind.reserved_revision(plan, first=history.latest is None)
    history = replace(history, high_water=max(history.high_water, taken))
    move = step(history, newest.spec, former)
    if move.is_new and (preflight := scene.kind.preflight(plan)):
        _check(preflight, world, scene.now)
    output = scene.kind.compile(plan, move.revision)
    return Intent(newest, plan, move.revision, move.is_new, output)


def _fall_back(scene: Scene) -> Intent:
    """The last accepted revision, as far as it can still be planned."""
    accepted, latest, world = scene.versions.accepted, scene.history.latest, scene.world
    if accepted is None or latest is None or isinstance(world, NotReady):
        return Intent()
    try:
        plan = scene.kind.validate(accepted, world)
    except (SpecError, NotReady):
        return Intent()
    return Intent(accepted, plan, latest, False, scene.kind.compile(plan, latest))


def _check(preflight: Preflight, world: World, now: datetime) -> None:
    """Passes when the Pod has said yes.

    A Pod that said no stays as long as its spec does: it is where the verdict is kept.

    Raises:
        Unchecked: it has not ended, has said no, or has died.
    """
    checks = (*preflight.needs, preflight.child)
    ended = _termination(world.children.get(preflight.child.key))
    if ended is None:
        raise Unchecked(checks, Cause(Reason.CHECKING, Reason.CHECKING.doc))
    if ended.get("exitCode") == 0:
        return
    if no := _refusal(ended):
        raise Unchecked(checks, no, checking=False)
    why = f"the check ended with exit code {ended.get('exitCode')}; it is tried again"
    late = now - _time(ended.get("finishedAt")) > CHECK_RETRY
    raise Unchecked(() if late else checks, Cause(Reason.CHECKING, why), retry=True)


def _refusal(ended: Mapping[str, Any]) -> Cause | None:
    try:
        said = json.loads(ended.get("message") or "")
        no = SpecError(Reason.INVALID_SQL, said["path"], said["value"], said["remedy"])
    except (ValueError, KeyError, TypeError):
        return None
    return Cause(Reason.INVALID_SQL, str(no), stalled=True)


def _termination(live: Observed | None) -> Mapping[str, Any] | None:
    """How the check Pod's container ended; an evicted Pod has no container to tell."""
    if live is None or live.deleting:
        return None
    for container in live.status.get("containerStatuses") or ():
        ended: Mapping[str, Any] | None = (container.get("state") or {}).get("terminated")
        if ended is not None:
            return ended
    return {"exitCode": -1} if live.status.get("phase") == "Failed" else None


def _time(text: str | None) -> datetime:
    return datetime.fromisoformat(text or "1970-01-01T00:00:00Z")


def _parsed(kind: AnyKind, body: Mapping[str, Any]) -> Resource | SpecError:
    try:
        parsed: Resource = parse(kind.model, body)
        return parsed
    except SpecError as e:
        return e
