"""The small vocabularies of the specs: durations, quantities, names, sizes of lists and texts."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, Strict
from tapehouse_contracts.durations import DURATION_PATTERN, SIZE_PATTERN
from tapehouse_contracts.schedules import SCHEDULE_PATTERN, check_schedule
from tapehouse_contracts.types import TYPE_PATTERN, parse_event_type, parse_type


def valid(check: Callable[[str], object]) -> Callable[[str], str]:
    """A validator that keeps the text and raises what `check` raises."""

    def validated(text: str) -> str:
        check(text)
        return text

    return validated


PERIOD = r"^[1-9][0-9]{0,6}(ms|s|m|h|d|w)$"
QUANTITY = r"^([1-9][0-9]*(\.[0-9]+)?|0\.[0-9]*[1-9][0-9]*)(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"

Integer = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Boolean = Annotated[bool, Strict()]
Fraction = Annotated[float, Strict(), Field(ge=0, le=1)]
Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=32)]
Period = Annotated[str, Field(pattern=PERIOD, max_length=32)]
"""A duration that is not zero."""
Quantity = Annotated[str, Field(pattern=QUANTITY, max_length=32)]
Size = Annotated[str, Field(pattern=SIZE_PATTERN, max_length=16)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
"""Of a Kubernetes object that Tapehouse may name itself: a DNS label."""
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=253)]
"""Of any ConfigMap or Secret."""
Topic = Annotated[str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=200)]
"""A Kafka topic that is also a KafkaTopic's name."""
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=63)]
"""A column, a field or an SQL alias."""
FieldPath = Annotated[
    str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$", max_length=128)
]
"""A field, or a member of the structs it holds: `bids.price`."""
TableName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$", max_length=128)]
"""`namespace.table` in the catalog, as declared: without the environment's prefix."""
Text = Annotated[str, Field(max_length=1024)]
Sql = Annotated[str, Field(min_length=1, max_length=131072)]
Url = Annotated[str, Field(max_length=2048)]
Timezone = Annotated[str, Field(pattern=r"^[A-Za-z]+([_+/-][A-Za-z0-9_+-]+)*$", max_length=64)]
Cron = Annotated[
    str, Field(pattern=SCHEDULE_PATTERN, max_length=64), AfterValidator(valid(check_schedule))
]
TypeText = Annotated[
    str, Field(pattern=TYPE_PATTERN, max_length=2048), AfterValidator(valid(parse_type))
]
"""A type as text in a spec: the pattern is what the API server can check of it."""
EventTypeText = Annotated[
    str, Field(pattern=TYPE_PATTERN, max_length=2048), AfterValidator(valid(parse_event_type))
]
"""A type of a field of an event."""

_SUFFIXES = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** n for n, unit in enumerate(("k", "M", "G", "T"), 1)},
    **{unit: Decimal(1024) ** n for n, unit in enumerate(("Ki", "Mi", "Gi", "Ti"), 1)},
}


def quantity(text: str) -> Decimal:
    """The value of a Kubernetes quantity: `500m` is 0.5, `2Gi` is 2147483648.

    Raises:
        ValueError: not a quantity.
    """
    found = re.match(r"^([0-9.]+)([A-Za-z]*)$", text)
    if not found or not re.match(QUANTITY, text):
        raise ValueError(f"{text!r} is not a quantity such as 2, 500m or 4Gi")
    return Decimal(found[1]) * _SUFFIXES[found[2]]
