"""Foreign values - texts, numbers, booleans - as the types that events are declared with."""

import datetime as dt
import decimal
import math
import re
from collections.abc import Callable
from typing import Any

from tapehouse_contracts.types import IceType, Primitive
from tapehouse_tape import times
from tapehouse_tape.events import Invalid, Reason
from tapehouse_tape.types import FLOATS, INTEGERS

UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}
EARLIEST, LATEST = "1990-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
"""Numbers that make a time outside of these years were counted in another unit."""
_PLAUSIBLE = range(times.to_micros(EARLIEST), times.to_micros(LATEST))
_TRUTH = {"true": True, "false": False, "1": True, "0": False}
_is_number = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII).fullmatch
_is_not_finite = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE | re.ASCII).fullmatch
_LONGEST = 400
"""Characters of a number, and its largest exponent: no declared type carries more."""
_EXACT = decimal.Context(prec=10 * _LONGEST)
"""Multiplies without rounding; the default context keeps 28 digits."""
_INTEGERS = {"int": range(-(2**31), 2**31), "long": range(-(2**63), 2**63)}
_LARGEST_FLOAT = {"float": 3.4028234663852886e38, "double": math.inf}
Converter = Callable[[Any], Any]


def converter(name: str, type_: IceType, *, scale: decimal.Decimal, unit: str) -> Converter:
    """A function that makes a value of `type_` from a foreign one; it raises only `Invalid`.

    `name` is the field that refusals name; `unit` is what a number for a time counts since 1970.
    """
    match type_:
        case Primitive(kind) if kind in INTEGERS:
            # Scaling declares that what is beyond the scale is rounded away.
            rounds = scale != 1
            return lambda value: _integer(name, kind, _number(name, value, scale), rounds=rounds)
        case Primitive(kind) if kind in FLOATS:
            return lambda value: _float(name, kind, _number(name, value, scale))
        case Primitive("decimal"):
            return lambda value: str(_number(name, value, scale))
        case Primitive("timestamptz"):
            return lambda value: _time(name, value, unit)
        case Primitive("boolean"):
            return lambda value: _boolean(name, value)
        case Primitive("string"):
            return lambda value: _string(name, value)
        case Primitive("date"):
            return lambda value: value.isoformat() if isinstance(value, dt.date) else value
    return lambda value: value


def text(value: Any) -> str:
    """A value as JSON writes it, texts without their quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        return str(value)
    except ValueError:  # an integer of thousands of digits
        return hex(value)


def _shown(value: Any) -> str:
    """A value for a message, at a bounded length."""
    shown = repr(value) if isinstance(value, str) else text(value)
    return shown if len(shown) <= 64 else f"{shown[:64]}…"


def _string(name: str, value: Any) -> str:
    if isinstance(value, (dict, list)):
        kind = "an object" if isinstance(value, dict) else "a list"
        raise Invalid(Reason.WRONG_TYPE, f"{name}: expected text, found {kind}")
    try:
        if isinstance(value, bytes):
            return value.decode()
        written = text(value)
        written.encode()
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise Invalid(Reason.NOT_UTF8, f"{name}: not text in UTF-8: {error.reason}") from None
    return written


def _number(name: str, value: Any, scale: decimal.Decimal) -> decimal.Decimal:
    kind = type(value)
    if kind is str and len(value) <= _LONGEST and _is_number(value):
        number = decimal.Decimal(value)
    else:
        number = decimal.Decimal(value) if kind is int else _other_number(name, value)
    if not -_LONGEST <= number.adjusted() <= _LONGEST:
        raise Invalid(Reason.WRONG_TYPE, f"{name}: {_shown(value)} has too large an exponent")
    return number if scale == 1 else _EXACT.multiply(number, scale)


def _other_number(name: str, value: Any) -> decimal.Decimal:
    """A number that is neither an integer nor plain text: of Parquet, or within white space."""
    written = "" if isinstance(value, bool) else str(value).strip()
    if len(written) <= _LONGEST and _is_number(written):
        return decimal.Decimal(written)
    if _is_not_finite(written):
        raise Invalid(Reason.RULE, f"{name}: {_shown(value)} is not a finite number")
    raise Invalid(Reason.WRONG_TYPE, f"{name}: {_shown(value)} is not a number")


def _integer(name: str, kind: str, number: decimal.Decimal, *, rounds: bool) -> int:
    whole = int(number.to_integral_value()) if rounds else int(number)
    if whole != number and not rounds:
        raise Invalid(Reason.WRONG_TYPE, f"{name}: {_shown(number)} is not a whole number")
    if whole not in _INTEGERS[kind]:
        raise Invalid(Reason.WRONG_TYPE, f"{name}: {_shown(number)} does not fit {kind}")
    return whole


def _float(name: str, kind: str, number: decimal.Decimal) -> float:
    value = float(number)
    if abs(value) > _LARGEST_FLOAT[kind] or math.isinf(value):
        raise Invalid(Reason.RULE, f"{name}: {_shown(number)} does not fit {kind}")
    return value


def _boolean(name: str, value: Any) -> bool:
    truth = _TRUTH.get(text(value).strip().lower())
    if truth is None:
        raise Invalid(Reason.WRONG_TYPE, f"{name}: {_shown(value)} is neither true nor false")
    return truth


def _time(name: str, value: Any, unit: str) -> str:
    try:
        if isinstance(value, dt.datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
            return times.normalise(aware.isoformat())
        if unit == "iso":
            return times.normalise(text(value))
        micros = _micros(name, value, unit)
        if micros not in _PLAUSIBLE:
            raise ValueError(
                f"{_shown(value)} {unit} since 1970 is not between {EARLIEST[:4]} and "
                f"{LATEST[:4]}; is the unit right?"
            )
        return times.from_micros(micros)
    except (ValueError, OverflowError) as error:
        raise Invalid(Reason.BAD_TIMESTAMP, f"{name}: {error}") from None


def _micros(name: str, value: Any, unit: str) -> int:
    factor = UNITS.get(unit)
    if type(value) is int and factor:
        return value * factor
    number = _number(name, value, decimal.Decimal(1))
    return math.floor(number * factor if factor else number / 1_000)
