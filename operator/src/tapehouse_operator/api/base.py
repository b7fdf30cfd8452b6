"""What every resource has: metadata, a typed spec, a status with conditions, rules.

A model's attribute docstrings are its users' documentation: they become the descriptions in the
CRDs (`kubectl explain`), in the JSON Schemas for editors and in the reference pages.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field
from tapehouse_contracts.durations import duration

from tapehouse_operator.api.change import Change, change_class, revisioned
from tapehouse_operator.api.model import Model, Rule, Transition
from tapehouse_operator.api.parse import parse
from tapehouse_operator.api.status import ChildStatus, Condition, Phase, Status, condition
from tapehouse_operator.api.types import Boolean, Duration, Integer, quantity
from tapehouse_operator.reasons import ABNORMAL, ConditionType, Reason

__all__ = [
    "ABNORMAL",
    "Acknowledgement",
    "Change",
    "ChildStatus",
    "Condition",
    "ConditionType",
    "ConfigMapSource",
    "DeletionPolicy",
    "DriftPolicy",
    "Duration",
    "KeyRef",
    "Model",
    "Names",
    "ObjectMeta",
    "Phase",
    "PrinterColumn",
    "Reason",
    "Resource",
    "Rule",
    "Spec",
    "Status",
    "Strategy",
    "StrategyType",
    "Transition",
    "change_class",
    "condition",
    "duration",
    "parse",
    "quantity",
    "revisioned",
]

_NAME = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")


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
    labels: dict[str, str] = Field({})
    """Its labels."""
    annotations: dict[str, str] = Field({})
    """Its annotations."""


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
