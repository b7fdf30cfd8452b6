"""Alerts, newest first, every one that was kept."""

from dataclasses import dataclass
from typing import NamedTuple

from tapehouse_query import tables
from tapehouse_query.reads.conditions import Condition, OneOf, TimeRange
from tapehouse_query.reads.engine import Session
from tapehouse_query.reads.newest import Newest
from tapehouse_query.reads.slices import Slice


class Alert(NamedTuple):
    """One alert; `triggered_at` in microseconds since 1970 UTC."""

    symbol: str
    alert_type: str | None
    severity: str | None
    direction: str | None
    price: float | None
    baseline_price: float | None
    pct_change: float | None
    threshold: float | None
    triggered_at: int
    message: str | None
    alert_id: str


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts; None = any. Times in microseconds, both included."""

    symbols: tuple[str, ...] | None = None
    severities: tuple[str, ...] | None = None
    alert_type: str | None = None
    direction: str | None = None
    start: int | None = None
    end: int | None = None

    def conditions(self) -> list[Condition]:
        """The filter as predicates."""
        found: list[Condition] = [TimeRange("triggered_at", self.start, self.end)]
        if self.symbols is not None:
            found.append(OneOf("symbol", self.symbols))
        if self.severities is not None:
            found.append(OneOf("severity", self.severities))
        if self.alert_type is not None:
            found.append(OneOf("alert_type", (self.alert_type,)))
        if self.direction is not None:
            found.append(OneOf("direction", (self.direction,)))
        return found


def key(alert: Alert) -> tuple[int, str]:
    """The sort key."""
    return alert.triggered_at, alert.alert_id


_LIST = Newest(
    name="alerts",
    time="triggered_at",
    id="alert_id",
    row=Alert,
    key=key,
    columns=Alert._fields,
)


def read(
    session: Session, chosen: AlertFilter, size: int, after: tuple[int, str] | None
) -> Slice[Alert]:
    """The `size` newest alerts after a sort key."""
    snapshot = session.lake.first(tables.ALERTS)
    return _LIST.read(session, snapshot, chosen.conditions(), size, after)


def count(session: Session, chosen: AlertFilter) -> int:
    """How many alerts the filter lets through."""
    return _LIST.count(session, session.lake.first(tables.ALERTS), chosen.conditions())
