"""Foreign values at and beyond the edges of their types."""

import datetime as dt
import time
from decimal import Decimal
from typing import Any

import pytest
from tapehouse_contracts.types import parse_event_type
from tapehouse_feed.values import converter
from tapehouse_tape.events import Invalid


def convert(type_: str, value: Any, unit: str = "iso", scale: int = 1) -> Any:
    return converter("x", parse_event_type(type_), scale=Decimal(scale), unit=unit)(value)


@pytest.mark.parametrize("type_", ["int", "long", "float", "double", "decimal(38,8)"])
@pytest.mark.parametrize(
    "value",
    [
        *("1e5000", "1e999999", "-1e99999999999999999999", "7E8912345", "9" * 5_000, "1_000.5"),
        *(
            "\uff11\uff12.5",
            "",
            "0x1F",
            "(190.5)",
            "$1",
            "NaN",
            "Infinity",
            "-inf",
            "sNaN",
            "1e",
            ".",
            "1 0",
        ),
        *(10**5_000, True, {"x": 1}, [1], None, "\ud83d", float("nan"), float("inf")),
    ],
    ids=lambda value: None if isinstance(value, bool) else type(value).__name__,
)
def test_what_no_number_can_carry_is_refused_at_once(type_: str, value: Any) -> None:
    began = time.process_time()
    with pytest.raises(Invalid):
        convert(type_, value)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("type_", "inside", "outside"),
    [
        ("int", str(2**31 - 1), str(2**31)),
        ("int", str(-(2**31)), str(-(2**31) - 1)),
        ("long", str(2**63 - 1), str(2**63)),
        ("long", str(-(2**63)), "1e30"),
        ("long", "2.000", "2.5"),
        ("float", "3.4e38", "3.5e38"),
        ("double", "1.7e308", "1e309"),
    ],
)
def test_the_edges_of_types(type_: str, inside: str, outside: str) -> None:
    assert convert(type_, inside) == float(inside) or convert(type_, inside) == int(inside)
    with pytest.raises(Invalid):
        convert(type_, outside)


def test_only_a_declared_scale_rounds() -> None:
    assert convert("long", "0.1255", scale=1000) == 126
    for value in ("0.4", "1.5", "2.5", 2.5, Decimal("0.1")):
        with pytest.raises(Invalid, match="not a whole number"):
            convert("long", value)


def test_numbers_keep_their_digits_when_scaled() -> None:
    assert convert("decimal(38,9)", "123456789012345678901234567.123456789") == (
        "123456789012345678901234567.123456789"
    )
    assert Decimal(convert("decimal(38,6)", "12345678901234567890123456789.123", scale=1000)) == (
        Decimal("12345678901234567890123456789123")
    )


@pytest.mark.parametrize(
    ("unit", "value"), [("s", 1767623401), ("ms", "1767623401000"), ("us", 1767623401000000)]
)
def test_times_of_another_unit_are_refused(unit: str, value: Any) -> None:
    assert convert("timestamptz", value, unit) == "2026-01-05T14:30:01.000000Z"
    for other in {"s", "ms", "us", "ns"} - {unit}:
        with pytest.raises(Invalid, match="is the unit right"):
            convert("timestamptz", value, other)


def test_texts() -> None:
    assert convert("string", b"B") == "B"
    assert convert("string", 5) == "5"
    for bad in (b"\xff", "\ud83d", {"base": "BTC"}, ["BTC"]):
        with pytest.raises(Invalid):
            convert("string", bad)
    assert convert("date", dt.date(2024, 10, 4)) == "2024-10-04"
