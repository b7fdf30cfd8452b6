"""Decimals at any depth of an event: what is accepted here, the jobs' SQL carries without rounding.

A job's reader rounds what has too many decimals and refuses what Java does not write as a number,
so both are checked here, where the sender learns of it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any

import msgspec
from tapehouse_contracts.types import IceType, ListOf, MapOf, Primitive, StructOf

LONGEST = 200
"""Characters of a decimal, and its largest exponent: what the jobs' reader takes."""
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

Misfit = tuple[str, Decimal, Primitive]
"""The path, the value, and the type it does not fit."""
Check = Callable[[Any, str], Iterator[Misfit]]


def fits(value: Decimal, type_: Primitive) -> bool:
    """Whether a decimal of this precision and scale holds `value` exactly."""
    if not value.is_finite():
        return False
    exponent = int(value.as_tuple().exponent)
    if abs(exponent) > LONGEST:
        return False
    if not value:
        return True
    # The default context would round to 28 digits, and what it cut would seem to fit.
    scale = -int(value.normalize(_EXACT).as_tuple().exponent)
    return scale <= type_.scale and value.adjusted() < type_.precision - type_.scale


def is_plain(raw: msgspec.Raw) -> bool:
    """Whether the JSON of a decimal is a number or a text that Java reads as the same number.

    Python also takes `1_000`, full-width digits and white space.
    """
    written = bytes(raw)
    if written[:1] != b'"':
        return True
    try:
        said = msgspec.json.decode(written, type=str)
    except msgspec.DecodeError:
        return False
    return len(said) <= LONGEST and _NUMBER.fullmatch(said) is not None


def check_of(type_: IceType) -> Check | None:
    """A function that finds the decimals in a decoded value which do not fit; None without any."""
    match type_:
        case Primitive("decimal"):
            return lambda value, path: iter(() if fits(value, type_) else [(path, value, type_)])
        case ListOf(element):
            return _of_list(check_of(element))
        case MapOf(_, inner):
            return _of_map(check_of(inner))
        case StructOf(members):
            return _of_struct(members)
    return None


def _of_list(check: Check | None) -> Check | None:
    def find(value: list[Any], path: str) -> Iterator[Misfit]:
        for index, element in enumerate(value):
            yield from check(element, f"{path}[{index}]")  # type: ignore[misc]

    return find if check else None


def _of_map(check: Check | None) -> Check | None:
    def find(value: Mapping[Any, Any], path: str) -> Iterator[Misfit]:
        for key, element in value.items():
            yield from check(element, f"{path}.{key}")  # type: ignore[misc]

    return find if check else None


def _of_struct(members: tuple[tuple[str, IceType], ...]) -> Check | None:
    checks = [(name, check) for name, type_ in members if (check := check_of(type_))]

    def find(value: Any, path: str) -> Iterator[Misfit]:
        for name, check in checks:
            yield from check(getattr(value, name), f"{path}.{name}")

    return find if checks else None
