"""Iceberg's type grammar, as fields and columns declare it.

`boolean int long float double decimal(p,s) date time timestamp timestamptz string uuid binary`,
`list<T>`, `map<K, V>` and `struct<a: T, b: T>`, nested as one likes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

PRIMITIVES = (
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "string",
    "uuid",
    "binary",
)
MAP_KEYS = ("string", "int", "long", "date", "uuid")
"""What a key of a map may be in an event: JSON writes keys as text."""
TYPE_PATTERN = r"^[a-z]+([(<][A-Za-z0-9_ ,:<>()]*[)>])?$"
"""What the API server can check of a type."""
_WIDER = {("int", "long"), ("float", "double")}
_TOKEN = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_]*|[0-9]+|[<>():,])")


@dataclass(frozen=True, slots=True)
class Primitive:
    """A type without parts; only `decimal` has a precision and a scale."""

    name: str
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})" if self.precision else self.name


@dataclass(frozen=True, slots=True)
class ListOf:
    """`list<element>`."""

    element: "IceType"

    def __str__(self) -> str:
        return f"list<{self.element}>"


@dataclass(frozen=True, slots=True)
class MapOf:
    """`map<key, value>`."""

    key: "IceType"
    value: "IceType"

    def __str__(self) -> str:
        return f"map<{self.key}, {self.value}>"


@dataclass(frozen=True, slots=True)
class StructOf:
    """`struct<name: type, …>`, in the order of declaration."""

    fields: tuple[tuple[str, "IceType"], ...]

    def __str__(self) -> str:
        return f"struct<{', '.join(f'{name}: {kind}' for name, kind in self.fields)}>"


IceType: TypeAlias = Primitive | ListOf | MapOf | StructOf


def parse_type(text: str) -> IceType:
    """The type that `text` declares.

    Raises:
        ValueError: not a type; the message names the offending part.
    """
    parser = _Parser(text)
    found = parser.type()
    parser.end()
    return found


def parse_event_type(text: str) -> IceType:
    """The type of a field of an event, which is written as JSON.

    Raises:
        ValueError: not a type, a map whose keys JSON cannot carry, or a reserved name.
    """
    found = parse_type(text)
    for name in _member_names(found):
        if is_reserved(name):
            raise ValueError(f"a member cannot be named {name}: begin with at most one underscore")
    for key in _map_keys(found):
        if not (isinstance(key, Primitive) and key.name in MAP_KEYS):
            raise ValueError(
                f"a key of a map in an event cannot be {key}; one of {', '.join(MAP_KEYS)} can"
            )
    return found


def is_reserved(name: str) -> bool:
    """Whether a field of an event cannot be named so: Python changes such names of a class."""
    return name.startswith("__")


def _member_names(type_: IceType) -> Iterator[str]:
    match type_:
        case StructOf(fields):
            for name, inner in fields:
                yield name
                yield from _member_names(inner)
        case ListOf(inner) | MapOf(_, inner):
            yield from _member_names(inner)


def _map_keys(type_: IceType) -> Iterator[IceType]:
    match type_:
        case MapOf(key, value):
            yield key
            yield from _map_keys(value)
        case ListOf(element):
            yield from _map_keys(element)
        case StructOf(fields):
            for _, inner in fields:
                yield from _map_keys(inner)


def widens(old: IceType, new: IceType) -> bool:
    """Whether every value of `old` is one of `new` and Iceberg changes it in place.

    Structs may gain fields at any place and widen those they keep.
    """
    match old, new:
        case Primitive("decimal", p, s), Primitive("decimal", q, t):
            return q >= p and s == t
        case Primitive(a), Primitive(b):
            return a == b or (a, b) in _WIDER
        case ListOf(a), ListOf(b):
            return widens(a, b)
        case MapOf(ka, va), MapOf(kb, vb):
            return ka == kb and widens(va, vb)
        case StructOf(a), StructOf(b):
            there = dict(b)
            return all(name in there and widens(kind, there[name]) for name, kind in a)
    return False


class _Parser:
    """Recursive descent over the tokens of one type."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def type(self) -> IceType:
        name = self._word("a type")
        if name == "decimal":
            return self._decimal()
        if name == "list":
            return ListOf(*self._arguments(1))
        if name == "map":
            return MapOf(*self._arguments(2))
        if name == "struct":
            return StructOf(self._fields())
        if name not in PRIMITIVES:
            raise ValueError(
                f"{name!r} is not a type; one of {', '.join(PRIMITIVES)}, decimal(p,s), "
                "list<…>, map<…, …>, struct<name: type, …> is"
            )
        return Primitive(name)

    def end(self) -> None:
        if self._text[self._at :].strip():
            raise ValueError(f"{self._text[self._at :].strip()!r} is left over after the type")

    def _decimal(self) -> Primitive:
        self._expect("(")
        precision = self._number()
        self._expect(",")
        scale = self._number()
        self._expect(")")
        if not (0 < precision <= 38 and scale <= precision):
            raise ValueError("decimal(p,s) needs 1 ≤ p ≤ 38 and s ≤ p")
        return Primitive("decimal", precision, scale)

    def _arguments(self, count: int) -> list[IceType]:
        self._expect("<")
        found = [self.type()]
        while len(found) < count:
            self._expect(",")
            found.append(self.type())
        self._expect(">")
        return found

    def _fields(self) -> tuple[tuple[str, IceType], ...]:
        self._expect("<")
        fields = [self._field()]
        while self._peek() == ",":
            self._expect(",")
            fields.append(self._field())
        self._expect(">")
        names = [name for name, _ in fields]
        if len(set(names)) < len(names):
            raise ValueError("a struct names a field twice")
        return tuple(fields)

    def _field(self) -> tuple[str, IceType]:
        name = self._word("a field name")
        self._expect(":")
        return name, self.type()

    def _number(self) -> int:
        token = self._next("a number")
        if not token.isdigit():
            raise ValueError(f"{token!r} stands where a number is expected")
        return int(token)

    def _word(self, what: str) -> str:
        token = self._next(what)
        if not (token[0].isalpha() or token[0] == "_"):
            raise ValueError(f"{token!r} stands where {what} is expected")
        return token

    def _expect(self, wanted: str) -> None:
        token = self._next(repr(wanted))
        if token != wanted:
            raise ValueError(f"{token!r} stands where {wanted!r} is expected")

    def _peek(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        return found[1] if found else ""

    def _next(self, what: str) -> str:
        found = _TOKEN.match(self._text, self._at)
        if not found:
            raise ValueError(f"{what} is missing after {self._text[: self._at]!r}")
        self._at = found.end()
        return found[1]
