"""Who fills a table: exactly one of a stream, a transform, or declared rows."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from tapehouse_operator.api.base import ConfigMapSource, Model, Rule
from tapehouse_operator.api.types import Boolean, Cron, Name, Sql


class Stream(Model):
    """Filled by a StreamJob."""

    job: Name
    """The StreamJob in the same namespace that names this table as an output. Example: `land`."""


class Recompute(StrEnum):
    """How much of a table is computed anew together."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"
    ALL = "all"


class Transform(Model):
    """Filled by SQL over other tables, run by DuckDB."""

    invariants = (
        Rule(
            "has(self.schedule) || self.onSnapshot",
            "schedule must be set, or onSnapshot be true, or it would never run",
            lambda t: t.schedule is not None or t.on_snapshot,
            field="schedule",
        ),
    )

    sql: Sql
    """A SELECT in DuckDB's SQL that gives this table's columns by name."""
    inputs: Annotated[tuple[Name, ...], Field(max_length=32)] = ()
    """The LakehouseTables it reads, in the same namespace; the SQL names them by their
    identifiers. Default: none, as for a calendar. Example: [silver-candle-parts]."""
    recompute: Recompute | None = None
    """How much is computed anew when any row of it changes: `hour`, `day`, `week`, `month`,
    `year` or `all`; weeks begin on Monday. Default: the unit of the table's time partition, `all`
    without one. Example: week, for a table with weekly candles."""
    schedule: Cron | None = None
    """When it runs: a cron line in UTC, or `@hourly`, `@daily`, `@weekly`, `@monthly`.
    Default: no schedule. Example: `0 * * * *`."""
    on_snapshot: Boolean = True
    """Run when an input has new data, on what has changed only. Default: true."""


class Rows(Model):
    """Filled with reference data; a reload of unchanged rows adds nothing. Rows that come in files
    take a `files` feed, a StreamJob and a table of their own; a transform of that with `scd` keeps
    their history."""

    invariants = (
        Rule(
            "[has(self.inline), has(self.csvFrom)].filter(set, set).size() == 1",
            "exactly one of inline, csvFrom must be set",
            lambda r: bool(r.inline) is (r.csv_from is None),
        ),
    )

    inline: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=1000)] = ()
    """The rows themselves, by column name, at most 1000.
    Example: [{symbol: AAPL, sector: Tech}]."""
    csv_from: ConfigMapSource | None = None
    """CSV with a header line in a ConfigMap."""
