"""QualitySuite: accepted when its target has the columns it names; nothing runs it yet."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tapehouse_operator.api.base import Reason
from tapehouse_operator.api.qualitysuite import QualitySuite, QualitySuiteSpec
from tapehouse_operator.emit.core import ObjectKey
from tapehouse_operator.emit.events import Registry
from tapehouse_operator.emit.feed import FeedNames
from tapehouse_operator.emit.tables import TABLE_KEY, table_name
from tapehouse_operator.errors import NotReady, SpecError
from tapehouse_operator.kinds.contract import (
    Applied,
    Kind,
    Refs,
    Verdict,
    World,
)
from tapehouse_operator.names import API_VERSION

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
        there, accepted = _target(spec)
        if there not in world.objects:
            reason = Reason.TABLE_NOT_FOUND if spec.target.table else Reason.FEED_NOT_FOUND
            remedy = f"no {there.kind} of that name in namespace {world.namespace}; apply it"
            raise SpecError(reason, f"spec.target.{_field(spec)}", there.name, remedy)
        config = world.objects.get(accepted)
        columns = _columns(config.data if config else {}, spec)
        if not columns:
            reason = Reason.TABLE_NOT_READY if spec.target.table else Reason.FEED_NOT_READY
            raise NotReady(reason, f"{there.kind} {there.name} has not been accepted yet")
        _check_columns(spec, columns)
        return SuitePlan(f"{_field(spec)}/{there.name}")

    def judge(self, plan: SuitePlan, applied: Applied) -> Verdict:
        """Nothing has run, so nothing can be said but what is checked."""
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
    return ObjectKey(API_VERSION, kind, name), ObjectKey("v1", "ConfigMap", config)


def _columns(data: Mapping[str, str], spec: QualitySuiteSpec) -> frozenset[str]:
    if not spec.target.table:
        return frozenset(f.name for e in Registry.read(data).current for f in e.fields)
    text = data.get(TABLE_KEY)
    return frozenset(c["name"] for c in json.loads(text)["columns"]) if text else frozenset()


def _check_columns(spec: QualitySuiteSpec, columns: frozenset[str]) -> None:
    for place, expectation in enumerate(spec.expectations):
        path = f"spec.expectations[{place}].kwargs"
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
