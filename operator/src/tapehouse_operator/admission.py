"""The answer to a new or changed resource before the API server stores it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from tapehouse_kube.objects import Body

from tapehouse_operator.decision import UNANNOUNCED, Scene, Unchecked, try_newest
from tapehouse_operator.errors import NotReady, SpecError
from tapehouse_operator.kinds.contract import Observed
from tapehouse_operator.names import API_VERSION
from tapehouse_operator.reasons import ConditionType, Reason


class Verdict(Enum):
    """What an error of a spec means for the request that brings it."""

    REFUSE = "only another spec can be right"
    REFUSE_IF_SETTLED = "wrong as long as the resources that it refers to stay as they are"
    WARN = "it becomes right once another object is created or deleted"


VERDICTS: Mapping[Reason, Verdict] = {
    Reason.INVALID: Verdict.REFUSE,
    Reason.UNKNOWN_FIELD: Verdict.REFUSE,
    Reason.MISSING_FIELD: Verdict.REFUSE,
    Reason.IMMUTABLE: Verdict.REFUSE,
    Reason.UNKNOWN_PRESET: Verdict.REFUSE,
    Reason.INVALID_TYPE: Verdict.REFUSE,
    Reason.INCOMPATIBLE_SCHEMA: Verdict.REFUSE,
    Reason.INCOMPATIBLE_CHANGE: Verdict.REFUSE,
    Reason.UNSUPPORTED: Verdict.REFUSE,
    Reason.ACKNOWLEDGEMENT_REQUIRED: Verdict.REFUSE_IF_SETTLED,
    Reason.DESTRUCTIVE_CHANGE: Verdict.REFUSE_IF_SETTLED,
    Reason.UNKNOWN_EVENT: Verdict.REFUSE_IF_SETTLED,
    Reason.UNKNOWN_COLUMN: Verdict.REFUSE_IF_SETTLED,
    Reason.INVALID_SQL: Verdict.REFUSE_IF_SETTLED,
    Reason.TOPIC_TAKEN: Verdict.WARN,
    Reason.TABLE_TAKEN: Verdict.WARN,
    Reason.NAME_TAKEN: Verdict.WARN,
    Reason.FEED_NOT_FOUND: Verdict.WARN,
    Reason.TABLE_NOT_FOUND: Verdict.WARN,
    Reason.TOPIC_NOT_FOUND: Verdict.WARN,
    Reason.JOB_NOT_FOUND: Verdict.WARN,
    Reason.SUITE_NOT_FOUND: Verdict.WARN,
    Reason.REFERENCE_NOT_FOUND: Verdict.WARN,
}
"""By the reason of a `SpecError`; a reason that is missing here only warns."""

SILENT = UNANNOUNCED | {Reason.FEED_NOT_READY, Reason.TABLE_NOT_READY, Reason.KAFKA_NOT_READY}
"""What exists and only needs its time: a warning would ask the author for nothing."""


APPLIED_LATER = ("spec.inputs", "spec.eventTime")
"""Fields of a job that are checked against feeds. Tools apply kinds in alphabetical order, so the
feed of the same change comes after the job, and one that stops at an error never applies it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the API server may store the resource, and what it says to its author."""

    allowed: bool = True
    message: str = ""
    """The refusal, or a warning; empty: there is nothing to say."""


def asks_for_verdict(new: Body, old: Body | None) -> bool:
    """Whether the request changes a spec: metadata, finalizers and deletion always pass."""
    if new.get("metadata", {}).get("deletionTimestamp"):
        return False
    return old is None or new.get("spec") != old.get("spec")


def answer(scene: Scene, *, dry_run: bool = False) -> Answer:
    """Refuse what can never be right, warn of what may become right, accept the rest.

    A dry run of a whole change stores none of it: what contradicts another resource is then only
    a warning, because the other resource may change too.
    """
    try:
        try_newest(scene)
    except SpecError as error:
        return Answer(allowed=not _is_final(error, scene, dry_run), message=str(error))
    except NotReady as wait:
        return Answer(message="" if wait.reason in SILENT else wait.message)
    except Unchecked:
        pass  # the check Pod runs once the resource is stored
    return Answer()


def _is_final(error: SpecError, scene: Scene, dry_run: bool) -> bool:
    verdict = VERDICTS.get(error.reason, Verdict.WARN)
    if verdict is not Verdict.REFUSE_IF_SETTLED:
        return verdict is Verdict.REFUSE
    if isinstance(scene.versions.newest, SpecError):
        return True
    return not dry_run and not error.path.startswith(APPLIED_LATER) and _is_settled(scene)


def _is_settled(scene: Scene) -> bool:
    """Whether every resource that the spec refers to has been accepted as it is now."""
    objects = {} if isinstance(scene.world, NotReady) else scene.world.objects
    return all(
        _is_accepted(live) for key, live in objects.items() if key.api_version == API_VERSION
    )


def _is_accepted(live: Observed) -> bool:
    conditions = live.status.get("conditions") or ()
    accepted = any(
        c.get("type") == ConditionType.ACCEPTED and c.get("status") == "True" for c in conditions
    )
    return accepted and live.status.get("observedGeneration", 0) >= live.generation
