"""Inline rows in the types of their table."""

from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from tapehouse_lakehouse.dimensions.history import shape
from tapehouse_lakehouse.dimensions.load import declared_rows
from tapehouse_lakehouse.model import InvalidError, Producer, Scd

from tests.lakehouse import declared

PRICE = pa.decimal128(38, 18)
SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("tick", pa.decimal128(9, 4)),
        ("price", PRICE),
        ("steps", pa.list_(pa.struct([("above", pa.decimal128(9, 2)), ("tick", PRICE)]))),
    ]
)


def typed(**row: Any) -> dict[str, Any]:
    spec = declared.spec("dim-symbol")
    producer = Producer(type="rows", rows=({"symbol": "A", **row},))
    form = shape("ticks", ("symbol",), SCHEMA.names, Scd(type=1))
    (only,) = declared_rows(None, msgspec.structs.replace(spec, producer=producer), SCHEMA, form)
    return only


@pytest.mark.parametrize("tick", [0.0001, "0.0001"])
def test_a_decimal_is_written_as_a_number_or_a_text(tick: float | str) -> None:
    assert typed(tick=tick)["tick"] == Decimal("0.0001")
    assert typed(price=tick)["price"] == Decimal("0.0001")  # not 0.00010000000000000000479


def test_decimals_within_lists_and_structs() -> None:
    steps = [{"above": 0.1, "tick": 0.0001}, {"above": 1, "tick": 0.01}]
    assert typed(steps=steps)["steps"] == [
        {"above": Decimal("0.10"), "tick": Decimal("0.0001")},
        {"above": Decimal("1.00"), "tick": Decimal("0.01")},
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tick": 0.00001}, r"inline\[0\]\.tick: 1e-05: not a decimal128\(9, 4\)"),
        ({"tick": 123456.0}, r"tick: 123456.0: not a decimal"),
        ({"price": 0.1234567890123456}, r"price: 0.1234567890123456: .* write it in quotes"),
        ({"steps": [{"tick": "dear"}]}, r"steps: .*not a list"),
    ],
)
def test_what_a_decimal_cannot_hold_is_refused(row: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        typed(**row)


def test_a_text_keeps_every_digit() -> None:
    assert typed(price="0.123456789012345678")["price"] == Decimal("0.123456789012345678")
