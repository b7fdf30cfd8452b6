"""Status: what is so, as conditions that kstatus, Argo CD and `kubectl wait` understand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tapehouse_operator.api.base import Condition, ConditionType, Phase, Reason, condition
from tapehouse_operator.kinds.contract import ChildHealth, Verdict

MESSAGE_LIMIT = 1024
"""Characters; the API server refuses a whole status for one text that is too long."""
STANDARD = (
    ConditionType.ACCEPTED,
    ConditionType.READY,
    ConditionType.PROGRESSING,
    ConditionType.DEGRADED,
    ConditionType.DRIFTED,
    ConditionType.STALLED,
)
"""The engine's own conditions; all others are the kind's."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is not as it should be."""

    reason: Reason
    message: str
    stalled: bool = False
    """A person must act."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one reconcile learnt that status tells."""

    generation: int
    acceptance: Cause | None = None
    """Why the newest spec is not accepted; None: it is."""
    checking: bool = False
    """Whether acceptance is still open."""
    obstacle: Cause | None = None
    """Why what is accepted could not be brought about."""
    verdict: Verdict = field(default_factory=Verdict)
    judged: bool = False
    """Whether `verdict` comes from a plan; otherwise the former one is kept."""
    suspended: bool = False
    deleting: bool = False
    drift: Sequence[str] = ()
    revision: int = 0
    revision_object: str = ""
    high_water: int = 0
    digest: str = ""
    returns_to: int = 0
    """An older revision with the same spec, if there is one."""


def compose(report: Report, former: Mapping[str, Any], now: str) -> dict[str, Any]:
    """The whole status; only `lastTransitionTime` and history come from the former one."""
    blame = _blame(report)
    degraded = _degraded(report, blame, former)
    conditions = [*_standard(report, blame), degraded, *_own(report, former)]
    status: dict[str, Any] = {
        "observedGeneration": report.generation,
        "phase": _phase(report, blame, degraded.status == "True").value,
        "summary": "" if blame is None else blame.message[:MESSAGE_LIMIT],
        "conditions": _dated(conditions, report.generation, former, now),
        "revisionHighWater": report.high_water,
    }
    if report.revision:
        status |= {
            "revision": report.revision,
            "currentRevision": report.revision_object,
            "updateRevision": report.revision_object,
            "hash": report.digest,
        }
    stable = report.revision_object if blame is None else former.get("lastStableRevision", "")
    if stable:
        status["lastStableRevision"] = stable
    return {**_judged(report, former), **status}


def difference(former: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch from one status to the other; empty when they agree."""
    gone = {name: None for name in former if name not in wanted}
    changed = {
        name: _merge(former.get(name), value)
        for name, value in wanted.items()
        if former.get(name) != value
    }
    return {**gone, **changed}


def is_ready(status: Mapping[str, Any]) -> bool:
    """Whether a status says Ready."""
    found = _condition(status, ConditionType.READY)
    return found is not None and found.get("status") == "True"


def _merge(former: Any, wanted: Any) -> Any:
    """Maps are merged by the server, so keys that go must be named."""
    if isinstance(former, Mapping) and isinstance(wanted, Mapping):
        return difference(former, wanted)
    return wanted


def _blame(report: Report) -> Cause | None:
    """The one thing to tell first; None when the resource is Ready."""
    if report.deleting:
        return report.obstacle or Cause(Reason.DELETING, Reason.DELETING.doc)
    if report.acceptance:
        return report.acceptance
    if report.obstacle:
        return report.obstacle
    if report.suspended:
        return Cause(Reason.SUSPENDED, Reason.SUSPENDED.doc)
    for one in report.verdict.conditions:
        if one.counts and one.status != "True":
            return Cause(Reason.of(one.reason), one.message or f"{one.type} is {one.status}")
    unready = [child for child in report.verdict.children if not child.ready]
    return Cause(Reason.CHILDREN_NOT_READY, _waiting_for(unready)) if unready else None


def _waiting_for(unready: Sequence[ChildHealth]) -> str:
    shown = ", ".join(
        f"{c.kind} {c.name}" + (f" ({c.reason})" if c.reason else "") for c in unready[:5]
    )
    more = len(unready) - 5
    return f"waiting for {shown}" + (f" and {more} more" if more > 0 else "")


def _standard(report: Report, blame: Cause | None) -> Iterable[Condition]:
    refused = report.acceptance
    if refused is None:
        yield condition(ConditionType.ACCEPTED, True, Reason.ACCEPTED)
    else:
        so = None if report.checking else False
        yield condition(ConditionType.ACCEPTED, so, refused.reason, refused.message)
    if blame is None:
        yield condition(ConditionType.READY, True, Reason.READY)
    else:
        yield condition(ConditionType.READY, False, blame.reason, blame.message)
    yield _progressing(report, blame)
    yield _drifted(report)
    stalled = blame is not None and blame.stalled
    why = blame if blame is not None and stalled else Cause(Reason.RECONCILED, "")
    yield condition(ConditionType.STALLED, stalled, why.reason, why.message)


def _progressing(report: Report, blame: Cause | None) -> Condition:
    if blame is None:
        return condition(ConditionType.PROGRESSING, False, Reason.RECONCILED)
    moving = not blame.stalled and blame.reason is not Reason.SUSPENDED
    return condition(ConditionType.PROGRESSING, moving, blame.reason, blame.message)


def _degraded(report: Report, blame: Cause | None, former: Mapping[str, Any]) -> Condition:
    """It worked at this generation and no longer does, or it is told to be what it cannot be."""
    if blame is None or blame.reason in (Reason.SUSPENDED, Reason.DELETING):
        return condition(ConditionType.DEGRADED, False, Reason.RECONCILED)
    worked = _at(former, ConditionType.READY, "True", report.generation)
    lasting = _at(former, ConditionType.DEGRADED, "True", report.generation)
    degraded = blame.stalled or worked or lasting
    return condition(
        ConditionType.DEGRADED, degraded, blame.reason, blame.message if degraded else ""
    )


def _drifted(report: Report) -> Condition:
    if not report.drift:
        return condition(ConditionType.DRIFTED, False, Reason.NO_DRIFT)
    shown = "; ".join(report.drift[:10])
    return condition(ConditionType.DRIFTED, True, Reason.DRIFTED, f"changed by others: {shown}")


def _own(report: Report, former: Mapping[str, Any]) -> Iterable[Condition]:
    """The kind's conditions; while no plan exists, the former ones, since nothing was seen."""
    if report.judged:
        return report.verdict.conditions
    return [
        Condition.model_validate(c)
        for c in former.get("conditions", ())
        if c.get("type") not in STANDARD
    ]


def _judged(report: Report, former: Mapping[str, Any]) -> dict[str, Any]:
    if not report.judged:
        return dict(former)
    rows = [
        {
            "kind": c.kind,
            "name": c.name,
            "ready": c.ready,
            **({"reason": c.reason[:MESSAGE_LIMIT]} if c.reason else {}),
        }
        for c in report.verdict.children
    ]
    out: dict[str, Any] = {**report.verdict.columns, "children": rows}
    if report.verdict.external:
        out["external"] = dict(report.verdict.external)
    return out


def _phase(report: Report, blame: Cause | None, degraded: bool) -> Phase:
    if report.deleting:
        return Phase.DELETING
    if blame is None:
        return Phase.READY
    if report.acceptance is not None:
        waiting = Phase.CHECKING if report.acceptance.reason is Reason.CHECKING else Phase.PENDING
        return waiting if report.checking else Phase.REFUSED
    if blame.reason is Reason.SUSPENDED:
        return Phase.SUSPENDED
    if blame.stalled:
        return Phase.STALLED
    if degraded:
        return Phase.DEGRADED
    return Phase.PROGRESSING if report.judged else Phase.PENDING


def _dated(
    conditions: Iterable[Condition], generation: int, former: Mapping[str, Any], now: str
) -> list[dict[str, Any]]:
    return [_one_dated(c, generation, former, now) for c in conditions]


def _one_dated(
    one: Condition, generation: int, former: Mapping[str, Any], now: str
) -> dict[str, Any]:
    before = _condition(former, one.type)
    same = before is not None and before.get("status") == one.status
    since = before.get("lastTransitionTime", now) if before and same else now
    return {
        "type": one.type,
        "status": one.status,
        "reason": one.reason,
        **({"message": one.message[:MESSAGE_LIMIT]} if one.message else {}),
        "observedGeneration": generation,
        "lastTransitionTime": since,
    }


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    return next((c for c in status.get("conditions") or () if c.get("type") == kind), None)


def _at(status: Mapping[str, Any], kind: str, value: str, generation: int) -> bool:
    found = _condition(status, kind)
    return (
        found is not None
        and found.get("status") == value
        and found.get("observedGeneration") == generation
    )
