"""Dashboard: accepted when its tables have the columns it charts; nothing imports it yet."""

from collections.abc import Mapping
from dataclasses import dataclass

from tapehouse_operator.api.base import Reason
from tapehouse_operator.api.dashboard import Chart, ChartType, Dashboard, DashboardSpec
from tapehouse_operator.emit.core import ObjectKey
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

CANDLE_COLUMNS = 4
"""Open, high, low, close."""


@dataclass(frozen=True, slots=True)
class DashboardPlan:
    """A dashboard whose tables exist and have the columns charted."""

    charts: int


class DashboardKind(Kind[Dashboard, DashboardPlan]):
    """See `contract.Kind`."""

    model = Dashboard

    def refs(self, resource: Dashboard, settings: Mapping[str, str]) -> Refs:
        """The tables of the datasets and their accepted columns."""
        tables = [d.table for d in resource.spec.datasets if d.table]
        return Refs(objects=frozenset(key for table in tables for key in _keys(table)))

    def validate(self, resource: Dashboard, world: World) -> DashboardPlan:
        """Refuse tables that are not there and columns they do not have."""
        spec = resource.spec
        columns = {
            dataset.name: _columns(index, dataset.table, world) if dataset.table else None
            for index, dataset in enumerate(spec.datasets)
        }
        for index, chart in enumerate(spec.charts):
            _check_chart(index, chart, columns[chart.dataset])
        _check_filters(spec, columns)
        return DashboardPlan(len(spec.charts))

    def judge(self, plan: DashboardPlan, applied: Applied) -> Verdict:
        """Nothing has been imported, so nothing can be said but how much there is."""
        return Verdict(columns={"charts": str(plan.charts)})


def _columns(index: int, table: str, world: World) -> frozenset[str]:
    if not world.has("LakehouseTable", table):
        path = f"spec.datasets[{index}].table"
        remedy = f"no LakehouseTable of that name in namespace {world.namespace}; apply it"
        raise SpecError(Reason.TABLE_NOT_FOUND, path, table, remedy)
    return frozenset(world.table(table).columns)


def _check_chart(index: int, chart: Chart, columns: frozenset[str] | None) -> None:
    path = f"spec.charts[{index}]"
    if chart.type is ChartType.CANDLESTICK and len(chart.values) != CANDLE_COLUMNS:
        remedy = "a candlestick needs open, high, low, close in that order"
        raise SpecError(Reason.INVALID, f"{path}.values", list(chart.values), remedy)
    if columns is None:
        return  # SQL decides its own columns, which are not planned yet
    named = [("x", chart.x), ("series", chart.series), *(("values", y) for y in chart.values)]
    for field, name in named:
        if name is not None and name not in columns:
            remedy = f"the columns of dataset {chart.dataset} are {', '.join(sorted(columns))}"
            raise SpecError(Reason.UNKNOWN_COLUMN, f"{path}.{field}", name, remedy)


def _check_filters(spec: DashboardSpec, columns: Mapping[str, frozenset[str] | None]) -> None:
    if any(known is None for known in columns.values()):
        return
    everywhere = frozenset[str]().union(*(known or () for known in columns.values()))
    for index, chosen in enumerate(spec.filters):
        if chosen.column not in everywhere:
            remedy = f"no dataset has it; the columns are {', '.join(sorted(everywhere))}"
            path = f"spec.filters[{index}].column"
            raise SpecError(Reason.UNKNOWN_COLUMN, path, chosen.column, remedy)


def _keys(table: str) -> tuple[ObjectKey, ObjectKey]:
    """The resource, and the ConfigMap with what was accepted of it."""
    return resource_key("LakehouseTable", table), config_key(table_name(table))
