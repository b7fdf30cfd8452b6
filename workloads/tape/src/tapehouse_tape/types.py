"""Iceberg's type grammar: parsed, printed, and as Python types that msgspec can check."""

import datetime as dt
import decimal
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec


class TypeSyntaxError(ValueError):
    """A type is not in the grammar; the message says where and what would be."""


@dataclass(frozen=True, slots=True)
class Primitive:
    """`string int long float double boolean date time timestamp timestamptz uuid binary`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Decimal:
    """`decimal(precision, scale)`, at most 38 digits."""

    precision: int
    scale: int

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})"


@dataclass(frozen=True, slots=True)
class ListOf:
    """`list<element>`."""

    element: "Type"

    def __str__(self) -> str:
        return f"list<{self.element}>"


@dataclass(frozen=True, slots=True)
class MapOf:
    """`map<key, value>`; keys are primitives, written as JSON object keys."""

    key: Primitive
    value: "Type"

    def __str__(self) -> str:
        return f"map<{self.key}, {self.value}>"


@dataclass(frozen=True, slots=True)
class StructOf:
    """`struct<name: type, …>`; every member is required."""

    members: tuple[tuple[str, "Type"], ...]

    def __str__(self) -> str:
        return f"struct<{', '.join(f'{name}: {type_}' for name, type_ in self.members)}>"


Type = Primitive | Decimal | ListOf | MapOf | StructOf

_INT32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_PYTHON: dict[str, Any] = {
    "string": str,
    "int": _INT32,
    "long": _INT64,
    "float": float,
    "double": float,
    "boolean": bool,
    "date": dt.date,
    "time": dt.time,
    "timestamp": Annotated[dt.datetime, msgspec.Meta(tz=False)],
    # Kept as text: whether it must be rewritten depends on how it was written (times.py).
    "timestamptz": str,
    "uuid": uuid.UUID,
    "binary": bytes,
}
PRIMITIVES = frozenset(_PYTHON)
INTEGERS = frozenset({"int", "long"})
MAP_KEYS = frozenset({"string", "int", "long", "date", "uuid"})
FLOATS = frozenset({"float", "double"})

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|\d+|[<>(),:])")
_GRAMMAR = (
    "string int long float double boolean date time timestamp timestamptz uuid binary "
    "decimal(p,s) list<type> map<type, type> struct<name: type, …>"
)


class _Reader:
    """A cursor over the tokens of one type."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: Iterator[str] = self._split(text)
        self.ahead = next(self.tokens, "")

    def _split(self, text: str) -> Iterator[str]:
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self.error(f"unexpected {text[at:].strip()[:1]!r}")
            at = match.end()
            yield match.group(1)

    def error(self, what: str) -> TypeSyntaxError:
        return TypeSyntaxError(f"{self.text!r}: {what}; a type is one of {_GRAMMAR}")

    def take(self, expected: str = "") -> str:
        token = self.ahead
        if not token or (expected and token != expected):
            raise self.error(f"expected {expected or 'a name'!r}, found {token or 'the end'!r}")
        self.ahead = next(self.tokens, "")
        return token

    def number(self) -> int:
        token = self.take()
        if not token.isdigit():
            raise self.error(f"expected a number, found {token!r}")
        return int(token)


def parse(text: str) -> Type:
    """Read one type.

    Raises `TypeSyntaxError` when `text` is not in the grammar.
    """
    reader = _Reader(text)
    result = _type(reader)
    if reader.ahead:
        raise reader.error(f"unexpected {reader.ahead!r} after the type")
    return result


def _type(reader: _Reader) -> Type:
    name = reader.take()
    if name == "list":
        reader.take("<")
        element = _type(reader)
        reader.take(">")
        return ListOf(element)
    if name == "map":
        return _map(reader)
    if name == "struct":
        return _struct(reader)
    if name == "decimal":
        return _decimal(reader)
    if name not in PRIMITIVES:
        raise reader.error(f"unknown type {name!r}")
    return Primitive(name)


def _map(reader: _Reader) -> MapOf:
    reader.take("<")
    key = _type(reader)
    if not isinstance(key, Primitive) or key.name not in MAP_KEYS:
        raise reader.error(
            f"a map's key cannot be {key}, only one of {', '.join(sorted(MAP_KEYS))}"
        )
    reader.take(",")
    value = _type(reader)
    reader.take(">")
    return MapOf(key, value)


def _struct(reader: _Reader) -> StructOf:
    members: dict[str, Type] = {}
    separator = "<"
    while not members or reader.ahead == ",":
        reader.take(separator)
        separator = ","
        name = reader.take()
        if not name.isidentifier() or name in members:
            raise reader.error(f"{name!r} cannot name a member here")
        reader.take(":")
        members[name] = _type(reader)
    reader.take(">")
    return StructOf(tuple(members.items()))


def _decimal(reader: _Reader) -> Decimal:
    reader.take("(")
    precision = reader.number()
    reader.take(",")
    scale = reader.number()
    reader.take(")")
    if not (1 <= precision <= 38 and scale <= precision):
        raise reader.error("precision is 1 to 38 and scale at most precision")
    return Decimal(precision, scale)


def python_type(type_: Type, name: str = "value") -> Any:
    """The Python type msgspec checks and decodes a value of `type_` with; `name` names structs."""
    match type_:
        case Primitive(primitive):
            return _PYTHON[primitive]
        case Decimal():
            return decimal.Decimal
        case ListOf(element):
            return list[python_type(element, name)]  # type: ignore[misc]
        case MapOf(key, value):
            return dict[python_type(key, name), python_type(value, name)]  # type: ignore[misc]
        case StructOf(members):
            fields = [(member, python_type(inner, f"{name}_{member}")) for member, inner in members]
            return msgspec.defstruct(name, fields, gc=False)
