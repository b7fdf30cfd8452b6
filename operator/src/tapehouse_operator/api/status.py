"""Status: what the operator saw last, as conditions and as a few words for people."""

from enum import StrEnum
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from tapehouse_operator.api.model import Model
from tapehouse_operator.api.types import Boolean, Integer
from tapehouse_operator.reasons import ABNORMAL, ConditionType, Reason

MESSAGE_LIMIT = 32768
"""Characters, as in every Kubernetes API."""


class Phase(StrEnum):
    """One word for the PHASE column; programs read conditions."""

    PENDING = "Pending"
    CHECKING = "Checking"
    REFUSED = "Refused"
    PROGRESSING = "Progressing"
    READY = "Ready"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"
    DELETING = "Deleting"
    STALLED = "Stalled"


class Condition(Model):
    """One thing that is so, is not so, or is not known."""

    keyed_by: ClassVar[tuple[str, ...]] = ("type",)

    type: Annotated[str, Field(max_length=64)]
    """What it is about; the reference page lists the types."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    reason: Annotated[str, Field(max_length=64, pattern=r"^[A-Z][A-Za-z]*$")]
    """Why, in one word of the closed set on the reference page."""
    message: Annotated[str, Field(max_length=MESSAGE_LIMIT)] = ""
    """Why, for people: names the field or the child, and the remedy."""
    observed_generation: Integer = 0
    """The `metadata.generation` it was observed for."""
    last_transition_time: str | None = Field(None, json_schema_extra={"format": "date-time"})
    """When `status` last flipped, RFC 3339; does not move when only the message changes."""
    counts: bool = Field(True, exclude=True)
    """Whether `Ready` needs it to be True; not part of the API."""


@lru_cache(maxsize=256)
def condition(
    kind: ConditionType, so: bool | None, reason: Reason, message: str = "", counts: bool = True
) -> Condition:
    """A condition as `judge` gives it; the engine adds generation and time."""
    status: Literal["True", "False", "Unknown"] = (
        "Unknown" if so is None else "True" if so else "False"
    )
    return Condition(
        type=kind.value,
        status=status,
        reason=reason.value,
        message=message[:MESSAGE_LIMIT],
        counts=counts and kind not in ABNORMAL,
    )


class ChildStatus(Model):
    """One child in the status."""

    model_config = ConfigDict(extra="ignore")
    keyed_by: ClassVar[tuple[str, ...]] = ("kind", "name")

    kind: Annotated[str, Field(max_length=63)]
    """Its kind, `KafkaTopic`; `Table` for an Iceberg table."""
    name: Annotated[str, Field(max_length=253)]
    """Its name in the same namespace; a table's identifier."""
    ready: Boolean
    """Whether it is there and works."""
    reason: Annotated[str, Field(max_length=1024)] = ""
    """Why it is not ready, in its own words."""


class Status(Model):
    """What the operator saw last. Written by the operator only."""

    model_config = ConfigDict(extra="ignore")

    observed_generation: Integer = 0
    """The `metadata.generation` this status is about."""
    phase: Phase | None = None
    """One word for people. Programs read the conditions."""
    summary: Annotated[str, Field(max_length=32768)] = ""
    """One sentence for people: what is being waited for, or what is wrong and how to mend it."""
    current_revision: Annotated[str, Field(max_length=253)] = ""
    """The ControllerRevision that runs."""
    update_revision: Annotated[str, Field(max_length=253)] = ""
    """The ControllerRevision being rolled out; the same as `currentRevision` at rest."""
    last_stable_revision: Annotated[str, Field(max_length=253)] = ""
    """The newest ControllerRevision that was Ready: what a rollback returns to."""
    revision: Integer = 0
    """The number of the current revision."""
    revision_high_water: Integer = 0
    """The highest revision number ever given, so that none is given twice."""
    hash: Annotated[str, Field(max_length=64)] = ""
    """The canonical hash of the accepted spec; equal specs have equal hashes."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=32)] = ()
    """What is so, by type; `Ready` is the one to wait for."""
    children: Annotated[tuple[ChildStatus, ...], Field(max_length=256)] = ()
    """What the resource was compiled to."""
    external: dict[str, str] = Field({}, max_length=64)
    """Identities outside Kubernetes: `topicId`, `tableUUID`, `snapshotId`, `jobId`."""
