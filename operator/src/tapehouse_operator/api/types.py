"""The small vocabularies of the specs: durations, quantities, names, sizes of lists and texts."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field, Strict

DURATION = r"^[0-9]{1,7}(ms|s|m|h|d|w)$"
"""One number and one unit: every consumer of a spec reads this much."""
PERIOD = r"^[1-9][0-9]{0,6}(ms|s|m|h|d|w)$"
SIZE = r"^[1-9][0-9]*(Ki|Mi|Gi)$"
QUANTITY = r"^([1-9][0-9]*(\.[0-9]+)?|0\.[0-9]*[1-9][0-9]*)(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"

Integer = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Boolean = Annotated[bool, Strict()]
Fraction = Annotated[float, Strict(), Field(ge=0, le=1)]
Duration = Annotated[str, Field(pattern=DURATION, max_length=32)]
Period = Annotated[str, Field(pattern=PERIOD, max_length=32)]
"""A duration that is not zero."""
Quantity = Annotated[str, Field(pattern=QUANTITY, max_length=32)]
Size = Annotated[str, Field(pattern=SIZE, max_length=16)]
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
    str, Field(pattern=r"^(@(hourly|daily|weekly|monthly)|(\S+ ){4}\S+)$", max_length=64)
]

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_SUFFIXES = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** n for n, unit in enumerate(("k", "M", "G", "T"), 1)},
    **{unit: Decimal(1024) ** n for n, unit in enumerate(("Ki", "Mi", "Gi", "Ti"), 1)},
}


def duration(text: str) -> timedelta:
    """The length of `10m` or `250ms`.

    Raises:
        ValueError: not a duration.
    """
    found = re.fullmatch(r"([0-9]{1,7})(ms|s|m|h|d|w)", text)
    if not found:
        raise ValueError(f"{text!r} is not a duration such as 10m, 30s or 7d")
    return int(found[1]) * _UNITS[found[2]]


def quantity(text: str) -> Decimal:
    """The value of a Kubernetes quantity: `500m` is 0.5, `2Gi` is 2147483648.

    Raises:
        ValueError: not a quantity.
    """
    found = re.match(r"^([0-9.]+)([A-Za-z]*)$", text)
    if not found or not re.match(QUANTITY, text):
        raise ValueError(f"{text!r} is not a quantity such as 2, 500m or 4Gi")
    return Decimal(found[1]) * _SUFFIXES[found[2]]
