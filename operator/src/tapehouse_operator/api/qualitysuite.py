"""QualitySuite: what must hold of a table or a feed, and whether it blocks."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from tapehouse_operator.api.base import (
    Change,
    ConditionType,
    KeyRef,
    Model,
    Names,
    PrinterColumn,
    Resource,
    Rule,
    Spec,
    Status,
)
from tapehouse_operator.api.types import (
    Boolean,
    Cron,
    Identifier,
    Integer,
    Name,
    Number,
    Period,
)


class Target(Model):
    """What is checked."""

    invariants = (
        Rule(
            "has(self.table) != has(self.feed)",
            "exactly one of table, feed must be set",
            lambda t: (t.table is None) != (t.feed is None),
        ),
    )

    table: Name | None = None
    """A LakehouseTable in the same namespace. Example: `silver-trades`."""
    feed: Name | None = None
    """A TradeFeed in the same namespace. Example: `market`."""


class Severity(StrEnum):
    """What a failure does."""

    BLOCK = "block"
    WARN = "warn"


class Dimension(StrEnum):
    """Which side of quality an expectation is about."""

    COMPLETENESS = "completeness"
    ACCURACY = "accuracy"
    CONSISTENCY = "consistency"
    TIMELINESS = "timeliness"
    UNIQUENESS = "uniqueness"
    VALIDITY = "validity"


class Expectation(Model):
    """One thing that must hold."""

    keyed_by: ClassVar[tuple[str, ...]] = ("name",)

    name: Name
    """Its name, unique in the suite. Example: `price-positive`."""
    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=128)]
    """A Great Expectations type (`expect_column_values_to_not_be_null`), a shorthand (`not_null`,
    `unique`, `between`, `one_of`, `ohlc`), or `sql`."""
    kwargs: dict[str, Any] = Field({})
    """Its arguments. For `sql`: `query`, a SELECT of the rows that break it.
    Example: {column: price, min_value: 0}."""
    severity: Severity = Severity.WARN
    """`block` keeps readers from seeing the snapshot, `warn` only says so. Default: warn."""
    dimension: Dimension = Dimension.VALIDITY
    """Which side of quality it is about, for the score. Default: validity."""


class Freshness(Model):
    """How old the newest row may be."""

    column: Identifier
    """The column with the time."""
    max_age: Period
    """How old its newest value may be while the market is open. Example: 5m."""


class Notify(Model):
    """Whom to tell."""

    channel: Literal["webhook", "slack", "pagerduty"]
    """What to use: `webhook`, `slack` or `pagerduty`."""
    secret_key_ref: KeyRef
    """The Secret and the key in it that hold the address or the token."""
    severity: Severity = Severity.BLOCK
    """`block` for blocking failures only, `warn` for all. Default: block."""


class QualitySuiteSpec(Spec):
    """What is checked, what must hold of it, when, and whom to tell."""

    target: Annotated[Target, Change.IN_PLACE]
    """What is checked: a table or a feed."""
    expectations: Annotated[
        tuple[Expectation, ...], Change.IN_PLACE, Field(min_length=1, max_length=200)
    ]
    """What must hold, each of its own severity."""
    schedule: Annotated[Cron | None, Change.IN_PLACE] = None
    """When it runs: a cron line in UTC, or `@hourly`, `@daily`, `@weekly`, `@monthly`.
    Default: no schedule."""
    on_snapshot: Annotated[Boolean, Change.IN_PLACE] = True
    """Run when the target has new data. Default: true."""
    freshness: Annotated[Freshness | None, Change.IN_PLACE] = None
    """How old the newest row may be. Default: as old as it likes."""
    notify: Annotated[tuple[Notify, ...], Change.IN_PLACE, Field(max_length=16)] = ()
    """Whom to tell of failures. Default: nobody; conditions and metrics tell anyway."""


class WorstExpectation(Model):
    """An expectation that failed."""

    name: Annotated[str, Field(max_length=63)]
    """Its name in the suite."""
    failed_rows: Annotated[Integer, Field(ge=0)] = 0
    """How many rows break it."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """What was found."""


class LastRun(Model):
    """What the last run found."""

    snapshot_id: Annotated[str, Field(max_length=32)] = ""
    """The Iceberg snapshot it ran on."""
    revision: Annotated[str, Field(max_length=253)] = ""
    """The suite's revision that ran."""
    at: Annotated[str, Field(max_length=64)] = ""
    """When it ended, RFC 3339."""
    evaluated: Annotated[Integer, Field(ge=0)] = 0
    """How many expectations were evaluated."""
    failed: Annotated[Integer, Field(ge=0)] = 0
    """How many of them failed."""
    worst: Annotated[tuple[WorstExpectation, ...], Field(max_length=5)] = ()
    """The five that failed worst."""


class QualitySuiteStatus(Status):
    """What the operator saw of a suite."""

    target: Annotated[str, Field(max_length=128)] = ""
    """What is checked. Example: `table/silver-trades`."""
    last_run: LastRun | None = None
    """What the last run found; all results are in the data docs."""
    score: Annotated[Number | None, Field(ge=0, le=100)] = None
    """The share of expectations that hold, 0 to 100, weighed by severity."""


class QualitySuite(Resource):
    """What must hold of a table or a feed, checked on every snapshot or by schedule."""

    names = Names("qualitysuites", "qs")
    columns = (
        PrinterColumn("TARGET", ".status.target", description="What is checked"),
        PrinterColumn("FAILED", ".status.lastRun.failed", "integer", "Failed in the last run"),
    )
    condition_types = (ConditionType.PASSING, ConditionType.LAST_RUN_COMPLETED)
    status_model = QualitySuiteStatus

    kind: Literal["QualitySuite"] = "QualitySuite"
    spec: QualitySuiteSpec
