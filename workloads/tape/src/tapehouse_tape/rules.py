"""What must hold of an event's values beyond their types."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from tapehouse_tape.types import FLOATS, INTEGERS, ListOf, Primitive, StructOf, Type, python_type


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bounds of one numeric field; `bids.price` reaches into the structs of a list."""

    field: str
    min: float | int | None = None
    max: float | int | None = None
    finite: bool = False
    positive: bool = False

    def meta(self) -> msgspec.Meta:
        """The rule as a constraint msgspec checks while it decodes (decoding refuses NaN, Inf)."""
        if self.positive and (self.min is None or self.min <= 0):
            return msgspec.Meta(gt=0, le=self.max)
        return msgspec.Meta(ge=self.min, le=self.max)


class RuleError(ValueError):
    """A rule names a field that is not there or not a number."""


def constrained(type_: Type, rules: Sequence[Rule], name: str) -> Any:
    """`python_type(type_)` with the rules for this field and its members built in.

    `rules` are relative to the field: an empty `field` is the field itself.
    Raises `RuleError` when a rule does not fit the type.
    """
    if not rules:
        return python_type(type_, name)
    match type_:
        case Primitive(primitive) if primitive in INTEGERS | FLOATS:
            return _number(type_, rules, name)
        case ListOf(element):
            return list[constrained(element, rules, name)]  # type: ignore[misc]
        case StructOf(members):
            return _struct(members, rules, name)
    raise RuleError(f"{name}: a rule needs a number, and the type is {type_}")


def _number(type_: Type, rules: Sequence[Rule], name: str) -> Any:
    nested = next((rule.field for rule in rules if rule.field), None)
    if nested is not None:
        raise RuleError(f"{name}.{nested}: {name} is {type_} and has no members")
    plain = python_type(type_, name)
    metas = [*getattr(plain, "__metadata__", ()), *(rule.meta() for rule in rules)]
    return Annotated[getattr(plain, "__origin__", plain), _narrowest(metas)]


def _narrowest(metas: Sequence[msgspec.Meta]) -> msgspec.Meta:
    """One constraint for all: msgspec takes each bound once, and either `gt` or `ge`."""
    above = max((meta.gt for meta in metas if meta.gt is not None), default=None)
    low = max((meta.ge for meta in metas if meta.ge is not None), default=None)
    high = min((meta.le for meta in metas if meta.le is not None), default=None)
    if above is not None and (low is None or low <= above):
        return msgspec.Meta(gt=above, le=high)
    return msgspec.Meta(ge=low, le=high)


def _struct(members: Sequence[tuple[str, Type]], rules: Sequence[Rule], name: str) -> Any:
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

    JSON has no word for them, so decoding can only call the text malformed; this tells why.
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
