"""Rules of events: refused where the bridge could not make a check of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tapehouse_contracts.texts import allowed_texts, whole_pattern
from tapehouse_contracts.types import IceType, ListOf, Primitive, StructOf, parse_type

from tapehouse_operator.emit.events import Event
from tapehouse_operator.errors import SpecError
from tapehouse_operator.reasons import Reason

Rule = Mapping[str, Any]
INTEGERS = ("int", "long")
NUMBERS = (*INTEGERS, "float", "double", "decimal")
_FITS = (
    (("min", "max", "finite", "positive"), NUMBERS),
    (("oneOf", "pattern"), ("string",)),
)


def check_rules(event: Event, path: str) -> None:
    """Check that each rule fits the type of its field, and that some value keeps them all.

    Raises:
        SpecError: with the rule and its part at fault.
    """
    types = {name: t for f in event.fields for name, t in _members(f.name, parse_type(f.type))}
    about: dict[str, list[tuple[str, Rule]]] = {}
    for index, rule in enumerate(event.rules):
        at, name = f"{path}.rules[{index}]", rule["field"]
        if name not in types:
            remedy = f"the fields of event {event.name} are {', '.join(types)}"
            raise SpecError(Reason.UNKNOWN_COLUMN, f"{at}.field", name, remedy)
        _check_type(rule, types[name], at)
        _check_bounds(rule, types[name], at)
        about.setdefault(name, []).append((at, rule))
    for rules in about.values():
        _check_texts(rules)


def _check_type(rule: Rule, type_: str, at: str) -> None:
    used = [part for part, value in rule.items() if part != "field" and _is_set(value)]
    if not used:
        remedy = "the rule asks for nothing; give min, max, finite, positive, oneOf or pattern"
        raise SpecError(Reason.INVALID, at, rule["field"], remedy)
    for part in used:
        fitting = next(types for parts, types in _FITS if part in parts)
        if type_ not in fitting:
            remedy = (
                f"{rule['field']} is {type_}, and {part} is for {', '.join(fitting)}; leave it out"
            )
            raise SpecError(Reason.INVALID_TYPE, f"{at}.{part}", rule[part], remedy)


def _is_set(value: Any) -> bool:
    """Whether a part of a rule has another value than its default; 0 is a bound."""
    return value is not None and value is not False and value not in ("", [], ())


def _check_bounds(rule: Rule, type_: str, at: str) -> None:
    for part in ("min", "max"):
        bound = rule.get(part)
        if type_ in INTEGERS and isinstance(bound, float) and not bound.is_integer():
            remedy = f"{rule['field']} is {type_}; give a whole number"
            raise SpecError(Reason.INVALID, f"{at}.{part}", bound, remedy)
    low, high = rule.get("min"), rule.get("max")
    if low is not None and high is not None and low > high:
        raise SpecError(Reason.INVALID, f"{at}.min", low, f"at most {high}")


def _check_texts(rules: Sequence[tuple[str, Rule]]) -> None:
    """Patterns and choices of one field, with each rule those before it."""
    patterns: list[str] = []
    choices: list[Sequence[str]] = []
    for at, rule in rules:
        try:
            if rule.get("pattern"):
                part = "pattern"
                patterns.append(rule[part])
                whole_pattern(patterns)
            if rule.get("oneOf"):
                part = "oneOf"
                choices.append(rule[part])
            if choices:
                allowed_texts(choices, patterns)
        except ValueError as error:
            raise SpecError(Reason.INVALID, f"{at}.{part}", rule[part], str(error)) from error


def _members(name: str, type_: IceType) -> Iterator[tuple[str, str]]:
    """A field and what is in its structs, by their paths, with the names of their types."""
    yield name, type_.name if isinstance(type_, Primitive) else str(type_)
    inner = type_.element if isinstance(type_, ListOf) else type_
    for member, of in inner.fields if isinstance(inner, StructOf) else ():
        yield from _members(f"{name}.{member}", of)
