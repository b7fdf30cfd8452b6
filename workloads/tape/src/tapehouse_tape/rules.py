"""What must hold of an event's values beyond their types."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from tapehouse_contracts.texts import allowed_texts, whole_pattern
from tapehouse_contracts.types import IceType, ListOf, Primitive, StructOf

from tapehouse_tape.types import FLOATS, INTEGERS, python_type


class Rule(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What a field's value must be; `bids.price` reaches into the structs of a list."""

    field: str
    min: float | int | None = None
    max: float | int | None = None
    finite: bool = False
    positive: bool = False
    one_of: tuple[str, ...] = ()
    pattern: str = ""

    @property
    def numeric(self) -> bool:
        """Whether it bounds a number."""
        return self.min is not None or self.max is not None or self.positive or self.finite

    def bounds(self) -> msgspec.Meta:
        """The numeric part as a constraint of msgspec, whose decoding refuses NaN and Inf."""
        low, high = _whole(self.min), _whole(self.max)
        if self.positive and (low is None or low <= 0):
            return msgspec.Meta(gt=0, le=high)
        return msgspec.Meta(ge=low, le=high)


def _whole(bound: float | int | None) -> float | int | None:
    """An integral bound as an integer: msgspec takes no other for integers."""
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


class RuleError(ValueError):
    """A rule names a field that is not there or is not of its kind."""


def constrained(type_: IceType, rules: Sequence[Rule], name: str) -> Any:
    """`python_type(type_)` with the rules for this field and its members built in.

    `rules` are relative to the field: an empty `field` is the field itself.
    Raises `RuleError` when a rule does not fit the type.
    """
    if not rules:
        return python_type(type_, name)
    match type_:
        case Primitive(primitive) if primitive in INTEGERS | FLOATS:
            return _number(type_, rules, name)
        case Primitive("decimal"):
            _refuse(rules, lambda rule: bool(rule.one_of or rule.pattern), f"{name} is a number")
            return python_type(type_, name)  # Bounds are checked after decoding: bounds.py.
        case Primitive("string"):
            return _text(rules, name)
        case ListOf(element):
            return list[constrained(element, rules, name)]  # type: ignore[misc]
        case StructOf(members):
            return _struct(members, rules, name)
    raise RuleError(f"{name}: a rule needs a number or a string, and the type is {type_}")


def _number(type_: IceType, rules: Sequence[Rule], name: str) -> Any:
    _refuse(rules, lambda rule: bool(rule.one_of or rule.pattern), f"{name} is a number")
    plain = python_type(type_, name)
    metas = [*getattr(plain, "__metadata__", ()), *(rule.bounds() for rule in rules)]
    return Annotated[getattr(plain, "__origin__", plain), _narrowest(metas)]


def _text(rules: Sequence[Rule], name: str) -> Any:
    _refuse(rules, lambda rule: rule.numeric, f"{name} is a string")
    patterns = [rule.pattern for rule in rules if rule.pattern]
    choices = [rule.one_of for rule in rules if rule.one_of]
    try:
        if choices:
            return Literal[allowed_texts(choices, patterns)]
        return Annotated[str, msgspec.Meta(pattern=whole_pattern(patterns))] if patterns else str
    except ValueError as error:
        raise RuleError(f"{name}: {error}") from None


def _refuse(rules: Sequence[Rule], misfit: Callable[[Rule], bool], why: str) -> None:
    for rule in rules:
        if rule.field or misfit(rule):
            raise RuleError(f"{msgspec.json.encode(rule).decode()}: does not fit, {why}")


def _narrowest(metas: Sequence[msgspec.Meta]) -> msgspec.Meta:
    """One constraint for all: msgspec takes each bound once, and either `gt` or `ge`."""
    above = max((meta.gt for meta in metas if meta.gt is not None), default=None)
    low = max((meta.ge for meta in metas if meta.ge is not None), default=None)
    high = min((meta.le for meta in metas if meta.le is not None), default=None)
    if above is not None and (low is None or low <= above):
        return msgspec.Meta(gt=above, le=high)
    return msgspec.Meta(ge=low, le=high)


def _struct(members: Sequence[tuple[str, IceType]], rules: Sequence[Rule], name: str) -> Any:
    grouped = by_field(rules, dict(members), name)
    fields = [
        (member, constrained(type_, grouped.get(member, ()), f"{name}_{member}"))
        for member, type_ in members
    ]
    return msgspec.defstruct(name, fields, gc=False)


def by_field(
    rules: Sequence[Rule], fields: Mapping[str, Any], owner: str
) -> dict[str, tuple[Rule, ...]]:
    """The rules by the first part of their path, each relative to that part.

    Raises `RuleError` when there is no such field.
    """
    grouped: dict[str, tuple[Rule, ...]] = {}
    for rule in rules:
        head, _, rest = rule.field.partition(".")
        if head not in fields:
            known = ", ".join(fields)
            raise RuleError(f"{owner}: rule on {rule.field!r}: no such field; there are {known}")
        grouped[head] = (*grouped.get(head, ()), msgspec.structs.replace(rule, field=rest))
    return grouped


def non_finite(document: bytes) -> str | None:
    """The path of the first NaN or infinite number in a document that is JSON but for those.

    JSON has no literal for them, so the decoder can only report malformed text.
    """
    try:
        return _non_finite(json.loads(document), "")
    except (ValueError, RecursionError):
        return None


def _non_finite(value: Any, path: str) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{path}: {value}"
    inner: Sequence[tuple[str, Any]] = ()
    if isinstance(value, dict):
        inner = [(f"{path}.{name}" if path else name, item) for name, item in value.items()]
    elif isinstance(value, list):
        inner = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    return next((found for name, item in inner if (found := _non_finite(item, name))), None)
