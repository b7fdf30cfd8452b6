"""Ranges of time as conditions on a column, for Iceberg's planning and for DuckDB."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, GreaterThanOrEqual, LessThan
from pyiceberg.expressions import Or as AnyOf
from pyiceberg.schema import Schema
from pyiceberg.types import DateType, TimestamptzType

from tapehouse_lake.sql import identifier, literal, type_name

Range = tuple[int, int]
"""Microseconds since 1970 UTC, the end excluded."""

DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_time(micros: int) -> datetime:
    """Microseconds since 1970 as a UTC time."""
    return _EPOCH + timedelta(microseconds=micros)


def scan_filter(schema: Schema, column: str, ranges: Sequence[Range] | None) -> BooleanExpression:
    """The ranges as a row filter of an Iceberg scan; None: everything."""
    if ranges is None:
        return AlwaysTrue()
    parts: list[BooleanExpression] = [
        And(
            GreaterThanOrEqual(term=column, value=_bound(schema, column, low)),
            LessThan(term=column, value=_bound(schema, column, high)),
        )
        for low, high in ranges
    ]
    return parts[0] if len(parts) == 1 else AnyOf(*parts)


def sql_condition(schema: Schema, column: str, ranges: Sequence[Range] | None) -> str:
    """The ranges as an SQL condition; None: everything."""
    if ranges is None:
        return "true"
    name, kind = identifier(column), type_name(schema.find_field(column).field_type)
    parts = (
        f"({name} >= {kind} {literal(_bound(schema, column, low))}"
        f" AND {name} < {kind} {literal(_bound(schema, column, high))})"
        for low, high in ranges
    )
    return " OR ".join(parts)


def _bound(schema: Schema, column: str, micros: int) -> str:
    kind = schema.find_field(column).field_type
    if isinstance(kind, DateType):
        return date.fromordinal(_EPOCH.toordinal() + -(-micros // DAY)).isoformat()
    text = utc_time(micros).isoformat(timespec="microseconds")
    return text if isinstance(kind, TimestamptzType) else text.removesuffix("+00:00")
