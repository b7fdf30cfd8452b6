"""QualitySuite: accepted when its target has the columns it names; nothing runs it yet."""

from collections.abc import Mapping
from dataclasses import dataclass

from tapehouse_operator.api.base import Reason
from tapehouse_operator.api.qualitysuite import QualitySuite, QualitySuiteSpec
from tapehouse_operator.emit.core import ObjectKey
from tapehouse_operator.emit.feed import FeedNames
from tapehouse_operator.emit.tables import table_name
from tapehouse_operator.errors import SpecError
from tapehouse_operator.kinds.contract import (
    Applied,
    Kind,
    Refs,
    Verdict,
    World,
    config_key,
    resource_key,
)

COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
COLUMN_LISTS = ("columns", "column_list", "column_set")


@dataclass(frozen=True, slots=True)
class SuitePlan:
    """A suite whose target exists and has the columns named."""

    target: str


class QualitySuiteKind(Kind[QualitySuite, SuitePlan]):
    """See `contract.Kind`."""

    model = QualitySuite

    def refs(self, resource: QualitySuite, settings: Mapping[str, str]) -> Refs:
        """The target and its accepted columns."""
        return Refs(objects=frozenset(_target(resource.spec)))

    def validate(self, resource: QualitySuite, world: World) -> SuitePlan:
        """Refuse a target that is not there and columns it does not have."""
        spec = resource.spec
        there, _ = _target(spec)
        if there not in world.objects:
            reason = Reason.TABLE_NOT_FOUND if spec.target.table else Reason.FEED_NOT_FOUND
            remedy = f"no {there.kind} of that name in namespace {world.namespace}; apply it"
            raise SpecError(reason, f"spec.target.{_field(spec)}", there.name, remedy)
        _check_columns(spec, _columns(spec, world))
        return SuitePlan(f"{_field(spec)}/{there.name}")

    def judge(self, plan: SuitePlan, applied: Applied) -> Verdict:
        """No check has run yet, so the target is all there is to report."""
        return Verdict(columns={"target": plan.target})


def _field(spec: QualitySuiteSpec) -> str:
    return "table" if spec.target.table else "feed"


def _target(spec: QualitySuiteSpec) -> tuple[ObjectKey, ObjectKey]:
    """The resource, and the ConfigMap with what was accepted of it."""
    if spec.target.table:
        name = spec.target.table
        kind, config = "LakehouseTable", table_name(name)
    else:
        name = spec.target.feed or ""
        kind, config = "TradeFeed", FeedNames(name).schema
    return resource_key(kind, name), config_key(config)


def _columns(spec: QualitySuiteSpec, world: World) -> frozenset[str]:
    if spec.target.table:
        return frozenset(world.table(spec.target.table).columns)
    events = world.feed(spec.target.feed or "").current
    return frozenset(f.name for event in events for f in event.fields)


def _check_columns(spec: QualitySuiteSpec, columns: frozenset[str]) -> None:
    for index, expectation in enumerate(spec.expectations):
        path = f"spec.expectations[{index}].kwargs"
        for argument, value in expectation.kwargs.items():
            names = [value] if argument in COLUMN_ARGUMENTS else []
            if argument in COLUMN_LISTS and isinstance(value, list):
                names = value
            for name in names:
                _check_column(name, columns, f"{path}.{argument}")
    if spec.freshness is not None:
        _check_column(spec.freshness.column, columns, "spec.freshness.column")


def _check_column(name: object, columns: frozenset[str], path: str) -> None:
    if name not in columns:
        remedy = f"the target's columns are {', '.join(sorted(columns))}"
        raise SpecError(Reason.UNKNOWN_COLUMN, path, name, remedy)
