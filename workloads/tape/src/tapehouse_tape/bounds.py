"""Rules about decimals, which msgspec has no constraints for: checked after decoding."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tapehouse_contracts.types import IceType, ListOf, Primitive, StructOf

from tapehouse_tape.rules import Rule, by_field

Broken = tuple[str, str]
"""The path, and what is wrong with the value there."""
Check = Callable[[Any, str], Iterator[Broken]]


def check_of(type_: IceType, rules: Sequence[Rule], name: str) -> Check | None:
    """A function that finds the decimals in a decoded value that break a rule; None without any.

    `rules` are relative to the field `name`: an empty `field` is the field itself.
    Raises `RuleError` when a rule names a member that is not there.
    """
    if not rules:
        return None
    match type_:
        case Primitive("decimal"):
            limits = [limit for rule in rules for limit in _limits(rule)]
            return lambda value, path: _beyond(value, path, limits)
        case ListOf(element):
            return _of_list(check_of(element, rules, name))
        case StructOf(members):
            grouped = by_field(rules, dict(members), name)
            return _of_struct(
                {
                    member: check
                    for member, inner in members
                    if (check := check_of(inner, grouped.get(member, ()), f"{name}_{member}"))
                }
            )
    return None


Limit = tuple[str, Callable[[Decimal], bool]]


def _limits(rule: Rule) -> Iterator[Limit]:
    if rule.min is not None:
        low = Decimal(repr(rule.min))
        yield f"less than {low}", lambda value: value < low
    if rule.max is not None:
        high = Decimal(repr(rule.max))
        yield f"more than {high}", lambda value: value > high
    if rule.positive:
        yield "not positive", lambda value: value <= 0


def _beyond(value: Decimal, path: str, limits: Sequence[Limit]) -> Iterator[Broken]:
    for what, breaks in limits:
        if breaks(value):
            yield path, f"{str(value)[:60]} is {what}"


def _of_list(check: Check | None) -> Check | None:
    def find(value: list[Any], path: str) -> Iterator[Broken]:
        for index, element in enumerate(value):
            yield from check(element, f"{path}[{index}]")  # type: ignore[misc]

    return find if check else None


def _of_struct(checks: Mapping[str, Check]) -> Check | None:
    def find(value: Any, path: str) -> Iterator[Broken]:
        for member, check in checks.items():
            yield from check(getattr(value, member), f"{path}.{member}")

    return find if checks else None
