"""Foreign values - texts, numbers, booleans - as the types that events are declared with."""

import datetime as dt
import decimal
import math
from collections.abc import Callable
from typing import Any

from tapehouse_tape import times
from tapehouse_tape.events import Invalid, Reason
from tapehouse_tape.types import FLOATS, INTEGERS, Decimal, Primitive, Type

UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_TRUTH = {"true": True, "false": False, "1": True, "0": False}
Converter = Callable[[Any], Any]


def converter(name: str, type_: Type, *, scale: decimal.Decimal, unit: str) -> Converter:
    """What makes a value of `type_` from a foreign one; `name` is for the reasons of refusals.

    `unit` is what a number for a time counts since 1970. Raises nothing; what it returns raises
    `Invalid`.
    """
    match type_:
        case Primitive(kind) if kind in INTEGERS:
            return lambda value: int(_number(name, value, scale).to_integral_value())
        case Primitive(kind) if kind in FLOATS:
            return lambda value: float(_number(name, value, scale))
        case Decimal():
            return lambda value: str(_number(name, value, scale))
        case Primitive("timestamptz"):
            return lambda value: _time(name, value, unit)
        case Primitive("boolean"):
            return lambda value: _boolean(name, value)
        case Primitive("string"):
            return text
        case Primitive("date"):
            return lambda value: value.isoformat() if isinstance(value, dt.date) else value
    return lambda value: value


def text(value: Any) -> str:
    """A value as JSON writes it, texts without their quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _number(name: str, value: Any, scale: decimal.Decimal) -> decimal.Decimal:
    if isinstance(value, bool):
        raise Invalid(Reason.WRONG_TYPE, f"{name}: {value!r} is not a number")
    try:
        number = decimal.Decimal(str(value).strip())
    except decimal.InvalidOperation:
        raise Invalid(Reason.WRONG_TYPE, f"{name}: {value!r} is not a number") from None
    if not number.is_finite():
        raise Invalid(Reason.RULE, f"{name}: {value!r} is not a finite number")
    return number if scale == 1 else number * scale


def _boolean(name: str, value: Any) -> bool:
    truth = _TRUTH.get(text(value).strip().lower())
    if truth is None:
        raise Invalid(Reason.WRONG_TYPE, f"{name}: {value!r} is neither true nor false")
    return truth


def _time(name: str, value: Any, unit: str) -> str:
    try:
        if isinstance(value, dt.datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
            return times.normalise(aware.isoformat())
        if unit == "iso":
            return times.normalise(str(value))
        number = _number(name, value, decimal.Decimal(1))
        micros = number / 1_000 if unit == "ns" else number * UNITS[unit]
        return times.from_micros(math.floor(micros))
    except (ValueError, OverflowError) as error:
        raise Invalid(Reason.BAD_TIMESTAMP, f"{name}: {error}") from None
