"""Dashboard: datasets and charts, shown by the console, Superset or Grafana."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from tapehouse_operator.api.base import (
    Change,
    ConditionType,
    Model,
    Names,
    PrinterColumn,
    Reason,
    Resource,
    Rule,
    Spec,
    Status,
    Strategy,
)
from tapehouse_operator.api.types import Identifier, Name, Period, Sql


class Dataset(Model):
    """What charts are drawn from."""

    keyed_by: ClassVar[tuple[str, ...]] = ("name",)
    invariants = (
        Rule(
            "has(self.table) != has(self.sql)",
            "exactly one of table, sql must be set",
            lambda d: (d.table is None) != (d.sql is None),
        ),
    )

    name: Name
    """Its name, unique in the dashboard. Example: `candles`."""
    table: Name | None = None
    """A LakehouseTable in the same namespace. Example: `gold-candles`."""
    sql: Sql | None = None
    """A SELECT over tables, in DuckDB's SQL."""


class ChartType(StrEnum):
    """How a chart is drawn."""

    LINE = "line"
    BAR = "bar"
    AREA = "area"
    CANDLESTICK = "candlestick"
    HEATMAP = "heatmap"
    TABLE = "table"
    NUMBER = "number"
    DEPTH = "depth"
    PIE = "pie"


class Chart(Model):
    """One chart."""

    keyed_by: ClassVar[tuple[str, ...]] = ("title",)

    title: Annotated[str, Field(min_length=1, max_length=128)]
    """What stands above it, unique in the dashboard."""
    type: ChartType
    """How it is drawn: line, bar, area, candlestick, heatmap, table, number, depth or pie."""
    dataset: Name
    """The dataset it is drawn from. Example: `candles`."""
    x: Identifier | None = None
    """The column along the x axis. Default: none, as for `number` and `table`."""
    values: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=16)]
    """The columns drawn, along the y axis. For `candlestick`: open, high, low, close."""
    series: Identifier | None = None
    """The column that divides the rows into series. Default: one series. Example: `symbol`."""
    options: dict[str, Any] = Field({})
    """What only this type of chart understands. Example: {stacked: true}."""


class FilterType(StrEnum):
    """How a filter is chosen."""

    SELECT = "select"
    TIME_RANGE = "timeRange"
    NUMBER = "number"
    TEXT = "text"


class DashboardFilter(Model):
    """A choice that the viewer has."""

    keyed_by: ClassVar[tuple[str, ...]] = ("column",)

    column: Identifier
    """The column it filters, in every dataset that has it. Example: `symbol`."""
    type: FilterType = FilterType.SELECT
    """How it is chosen: select, timeRange, number or text. Default: select."""
    default: Annotated[str | None, Field(max_length=256)] = None
    """What is chosen at first. Default: everything. Example: AAPL."""


class Provider(StrEnum):
    """What shows a dashboard."""

    CONSOLE = "console"
    SUPERSET = "superset"
    GRAFANA = "grafana"


class Access(Model):
    """Who may see a dashboard."""

    roles: Annotated[tuple[Name, ...], Field(max_length=32)] = ()
    """The roles that may. Default: everybody who may read its tables."""


class DashboardSpec(Spec):
    """Its datasets, its charts, and where and to whom they are shown."""

    invariants = (
        Rule(
            "self.charts.all(c, self.datasets.exists(d, d.name == c.dataset))",
            "every chart's dataset must be one of spec.datasets",
            lambda s: {c.dataset for c in s.charts} <= {d.name for d in s.datasets},
            field="charts",
            reason=Reason.INVALID,
        ),
    )

    title: Annotated[str, Change.IN_PLACE, Field(min_length=1, max_length=128)]
    """What stands above it."""
    datasets: Annotated[tuple[Dataset, ...], Change.REVISION, Field(min_length=1, max_length=32)]
    """What the charts are drawn from: tables or SQL over them."""
    charts: Annotated[tuple[Chart, ...], Change.REVISION, Field(min_length=1, max_length=64)]
    """The charts, in order."""
    filters: Annotated[tuple[DashboardFilter, ...], Change.IN_PLACE, Field(max_length=16)] = ()
    """Choices that the viewer has. Default: none."""
    refresh: Annotated[Period, Change.IN_PLACE] = "30s"
    """How often it is drawn anew. Default: 30s."""
    providers: Annotated[
        tuple[Provider, ...], Change.IN_PLACE, Field(min_length=1, max_length=3)
    ] = (Provider.CONSOLE,)
    """What shows it: `console`, `superset`, `grafana`. Default: [console]."""
    access: Annotated[Access, Change.IN_PLACE] = Access()
    """Who may see it."""
    strategy: Annotated[Strategy, Change.NONE] = Strategy()
    """How a new revision replaces the old one."""


class DashboardStatus(Status):
    """What the operator saw of a dashboard."""

    urls: dict[str, str] = Field({}, max_length=8)
    """Where it can be seen, by provider."""
    content_hash: Annotated[str, Field(max_length=64)] = ""
    """The hash of what the providers were given."""
    charts: Annotated[str, Field(max_length=32)] = ""
    """How many charts it has. Example: 6."""


class Dashboard(Resource):
    """A dashboard: datasets and charts, shown by the console, Superset or Grafana."""

    names = Names("dashboards", "dash")
    columns = (
        PrinterColumn("TITLE", ".spec.title", description="What stands above it"),
        PrinterColumn("CHARTS", ".status.charts", description="How many charts"),
    )
    condition_types = (
        ConditionType.DATASETS_RESOLVED,
        ConditionType.SCHEMA_MATCHED,
        ConditionType.IMPORTED,
    )
    status_model = DashboardStatus

    kind: Literal["Dashboard"] = "Dashboard"
    spec: DashboardSpec
