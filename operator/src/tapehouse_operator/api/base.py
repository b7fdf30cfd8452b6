"""What every resource has: metadata, a typed spec, a status with conditions, rules.

A model's attribute docstrings are its users' documentation: they become the descriptions in the
CRDs (`kubectl explain`), in the JSON Schemas for editors and in the reference pages.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from tapehouse_operator.api.change import Change, change_class, declared, revisioned
from tapehouse_operator.api.parse import parse
from tapehouse_operator.api.reasons import ABNORMAL, ConditionType, Reason
from tapehouse_operator.api.types import Boolean, Duration, Integer, duration, quantity

__all__ = [
    "ABNORMAL",
    "Acknowledgement",
    "Change",
    "Condition",
    "ConditionType",
    "DeletionPolicy",
    "DriftPolicy",
    "Duration",
    "Model",
    "ObjectMeta",
    "Phase",
    "Reason",
    "Resource",
    "Spec",
    "Status",
    "Strategy",
    "change_class",
    "condition",
    "duration",
    "parse",
    "quantity",
    "revisioned",
]

_NAME = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold of one object: CEL for the API server, and its twin for everybody else."""

    cel: str
    message: str
    """What would be accepted, as a sentence."""
    holds: Callable[[Any], bool]
    field: str = ""
    """The API name of the field at fault, when it is one."""
    reason: Reason = Reason.INVALID


@dataclass(frozen=True, slots=True)
class Transition:
    """What must hold between the old and the new state of one object."""

    cel: str
    message: str
    holds: Callable[[Any, Any], bool]
    field: str = ""
    reason: Reason = Reason.IMMUTABLE


def _annotate(schema: dict[str, Any], model: type["Model"]) -> None:
    """What JSON Schema has no word for, for the generator of CRDs and pages to take up."""
    schema["x-rules"] = [*model.invariants, *model.transitions]
    schema["x-keys"] = [model.model_fields[name].alias for name in model.keyed_by]
    for field in model.model_fields.values():
        change = declared(field)
        if field.exclude:
            del schema["properties"][field.alias]
        elif change is not None:
            schema["properties"][field.alias]["x-change"] = change


class Model(BaseModel):
    """Frozen, closed, with camelCase API names; its attribute docstrings are descriptions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
        json_schema_extra=_annotate,
    )

    invariants: ClassVar[tuple[Rule, ...]] = ()
    transitions: ClassVar[tuple[Transition, ...]] = ()
    keyed_by: ClassVar[tuple[str, ...]] = ()
    """In a list, the fields that tell one item from another (a list-map in the CRD)."""

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells this item from the others of its list."""
        return tuple(str(getattr(self, name)) for name in self.keyed_by)

    @model_validator(mode="after")
    def _obey(self) -> Self:
        for rule in self.invariants:
            if not rule.holds(self):
                field = rule.field.split(".") if rule.field else []
                context = {"field": field, "value": value_at(self, rule.field)}
                raise PydanticCustomError(rule.reason.value, rule.message, context)
        return self

    @field_validator("*", mode="after")
    @classmethod
    def _told_apart(cls, value: Any) -> Any:
        """Items of a list that share their key: the API server refuses a list-map's as well."""
        if isinstance(value, tuple) and value and isinstance(value[0], Model):
            keys = [item.identity for item in value if item.keyed_by]
            twice = next((key for key in keys if keys.count(key) > 1), None)
            if twice:
                raise ValueError(f"{' and '.join(twice)} stands here twice; it must be unique")
        return value


def value_at(model: BaseModel, field: str) -> object:
    """What stands at the dotted API name `field` of a model; all of it when `field` is empty."""
    value: Any = model.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    for part in filter(None, field.split(".")):
        value = value.get(part) if isinstance(value, dict) else None
    return value


class DeletionPolicy(StrEnum):
    """What becomes of data when its resource is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class DriftPolicy(StrEnum):
    """What to do when somebody else changes a child."""

    ENFORCE = "Enforce"
    WARN = "Warn"
    IGNORE = "Ignore"


class Acknowledgement(StrEnum):
    """A loss that the author of a spec agrees to."""

    STATE_LOSS = "StateLoss"
    WEAKER_COMPATIBILITY = "WeakerCompatibility"
    DATA_LOSS = "DataLoss"


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


class ObjectMeta(Model):
    """The metadata that the operator reads; the rest of it is ignored."""

    model_config = ConfigDict(extra="ignore")

    name: str
    """The resource's name, unique per kind and namespace."""
    namespace: str = ""
    """The namespace it lives in."""
    uid: str = ""
    """The API server's identity of this very object."""
    generation: int = 0
    """Counts the changes of the spec."""
    resource_version: str = ""
    """Counts the changes of anything; opaque."""
    deletion_timestamp: str | None = None
    """Set when deletion has begun, RFC 3339."""
    finalizers: tuple[str, ...] = ()
    """Who must agree before the object goes."""
    labels: dict[str, str] = {}
    """Its labels."""
    annotations: dict[str, str] = {}
    """Its annotations."""


class Condition(Model):
    """One thing that is so, is not so, or is not known."""

    keyed_by: ClassVar[tuple[str, ...]] = ("type",)

    type: Annotated[str, Field(max_length=64)]
    """What it is about; the reference page lists the types."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    reason: Annotated[str, Field(max_length=64, pattern=r"^[A-Z][A-Za-z]*$")]
    """Why, in one word of the closed set on the reference page."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """Why, for people: names the field or the child, and the remedy."""
    observed_generation: Integer = 0
    """The `metadata.generation` it was observed for."""
    last_transition_time: str | None = Field(None, json_schema_extra={"format": "date-time"})
    """When `status` last flipped, RFC 3339; does not move when only the message changes."""
    counts: bool = Field(True, exclude=True)
    """Whether `Ready` needs it to be True; not part of the API."""


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
        message=message,
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
    external: Annotated[dict[str, str], Field(max_length=64)] = {}
    """Identities outside Kubernetes: `topicId`, `tableUUID`, `snapshotId`, `jobId`."""


class Spec(Model):
    """What is wanted."""

    suspend: Annotated[Boolean, Change.NONE] = False
    """Stop the workload, keep everything else. Resumes where it stopped. Default: false."""
    deletion_policy: Annotated[DeletionPolicy, Change.NONE] = DeletionPolicy.RETAIN
    """What becomes of the data (topics, tables) when this resource is deleted: `Retain` keeps it,
    to be adopted by a resource of the same name; `Delete` removes it. Default: Retain."""
    drift_policy: Annotated[DriftPolicy, Change.NONE] = DriftPolicy.ENFORCE
    """What to do when somebody else changes a child: `Enforce` sets it back, `Warn` leaves it and
    says so in the condition `Drifted`, `Ignore` leaves it. Default: Enforce."""
    revision_history_limit: Annotated[Integer, Change.NONE, Field(ge=1, le=100)] = 10
    """How many old revisions to keep for a rollback, 1 to 100. Default: 10."""
    acknowledge: Annotated[tuple[Acknowledgement, ...], Change.NONE, Field(max_length=8)] = ()
    """Losses you agree to, without which a change that needs them is refused: `StateLoss`,
    `WeakerCompatibility`, `DataLoss`. Example: [StateLoss]."""


class StrategyType(StrEnum):
    """How a new revision replaces the old one."""

    IN_PLACE = "InPlace"
    RECREATE = "Recreate"
    BLUE_GREEN = "BlueGreen"


class Strategy(Model):
    """How a new revision replaces the old one, in Argo Rollouts' words."""

    type: StrategyType = StrategyType.IN_PLACE
    """`InPlace` restarts from a savepoint; `Recreate` stops the old one first; `BlueGreen` runs
    the new one beside it and cuts over when its own data passes. Default: InPlace."""
    auto_promotion: Boolean = True
    """BlueGreen: cut over without being asked once the analysis passes. Default: true."""
    auto_promotion_seconds: Annotated[Integer, Field(ge=0, le=86400)] = 0
    """BlueGreen: wait that many seconds, 0 to 86400, before cutting over by itself. Default: 0."""
    abort_grace_period: Duration = "10m"
    """BlueGreen: how long a candidate may take to catch up before it is given up. Default: 10m."""
    scale_down_delay: Duration = "10m"
    """BlueGreen: how long the old revision stays for an instant rollback. Default: 10m."""


class KeyRef(Model):
    """One key of a ConfigMap or Secret in the same namespace."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=253)]
    """The name of the ConfigMap or Secret, in the same namespace."""
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]
    """The key in its data. Example: `job.sql`."""


class ConfigMapSource(Model):
    """A text kept in a ConfigMap."""

    config_map_key_ref: KeyRef
    """The ConfigMap and the key in it."""


@dataclass(frozen=True, slots=True)
class Names:
    """How a kind is called."""

    plural: str
    short: str


@dataclass(frozen=True, slots=True)
class PrinterColumn:
    """One column of `kubectl get`."""

    name: str
    path: str
    type: str = "string"
    description: str = ""


class Resource(Model):
    """One object of a kind, as the API server has it."""

    model_config = ConfigDict(extra="ignore")

    names: ClassVar[Names]
    columns: ClassVar[tuple[PrinterColumn, ...]] = ()
    """The kind's own two columns."""
    condition_types: ClassVar[tuple[ConditionType, ...]] = ()
    """The kind's own conditions."""
    invariants: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.metadata.name.size() <= 40 && "
            "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            "metadata.name must start with a letter, have lower-case letters, digits and '-' only, "
            "and at most 40 characters, since children are named after it",
            lambda r: len(r.metadata.name) <= 40 and bool(_NAME.match(r.metadata.name)),
            field="metadata.name",
        ),
    )

    api_version: Literal["tapehouse.dev/v1alpha1"] = "tapehouse.dev/v1alpha1"
    kind: str
    metadata: ObjectMeta
    spec: Spec
    status: Mapping[str, Any] = {}
    """As the API server has it: what a former version wrote must not stop this one."""
    status_model: ClassVar[type[Status]] = Status
    """What this version writes."""
