"""Every field of every kind, and what may be done to it."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml
from hypothesis import find, settings
from hypothesis.strategies import from_regex
from tapehouse_operator.api.schema import schema_of
from tapehouse_operator.kinds.contract import World
from tapehouse_operator.shell.generate import MODELS

from tests.operator.kinds.test_golden import CASES
from tests.operator.kinds.worlds import compiled, read_world

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]
GONE = object()
SPECS: Mapping[str, Schema] = {
    model.__name__: schema_of(model)["properties"]["spec"] for model in MODELS
}
TEXTS = (
    *("a", "b", "a.b", "b.c", "raw.other", "10m", "20m", "1Gi", "2Gi", "500m", "250m", "string"),
    *("double", "99.9%", "@daily", "@hourly", "UTC", "Europe/Paris", "https://example.com/x"),
    *("wss://example.com/x", "/data/*.csv", "/a", "day(a)", "a desc", "USD", "market/v1", "1"),
    *("SELECT 1", "/", "always", "trader"),
)
"""Texts of all the forms that patterns ask for."""


@dataclass(frozen=True)
class Field:
    """A leaf, a list or a map somewhere in a spec; in lists and maps their first item stands."""

    kind: str
    path: Path
    schema: Schema = field(compare=False, hash=False, repr=False)

    @property
    def name(self) -> str:
        """As documentation would write it: `spec.topics[].name`."""
        text = "spec"
        for part in self.path:
            text += "[]" if isinstance(part, int) else f".{part}"
        return text

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Change:
    """One value that one field gets."""

    field: Field
    what: str
    value: Any = field(compare=False, hash=False, repr=False)

    def of(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """`body` with the change; None where it would change nothing."""
        out = deepcopy(dict(body))
        place = _reach(out["spec"], SPECS[self.field.kind], self.field.path[:-1])
        last = self.field.path[-1]
        if place is None:
            return None
        if self.value is GONE:
            there = last < len(place) if isinstance(last, int) else last in place
            if not there:
                return None
            del place[last]
        elif isinstance(last, int) and last >= len(place):
            place.append(self.value)
        else:
            place[last] = self.value
        return None if out == body else out

    def __str__(self) -> str:
        return f"{self.field}: {self.what}"


def _reach(value: Any, schema: Schema, path: Path) -> Any:
    """What is at `path`; what lacks on the way is made, as small as its schema lets it be."""
    for part in path:
        below = _below(schema, part)
        if isinstance(part, int):
            if not value:
                value.append(sample(below))
        elif part not in value:
            value[part] = sample(below)
        value, schema = value[part], below
        if not isinstance(value, dict | list):
            return None
    return value


def _below(schema: Schema, part: str | int) -> Schema:
    if isinstance(part, int):
        return schema["items"]  # type: ignore[no-any-return]
    return schema.get("properties", {}).get(part) or schema["additionalProperties"]  # type: ignore[no-any-return]


def fields_of(kind: str, spec: Mapping[str, Any]) -> Iterator[Field]:
    """All fields; where `spec` has a map, under the key it has."""
    yield from _fields(kind, SPECS[kind], spec, ())


def _fields(kind: str, schema: Schema, value: Any, path: Path) -> Iterator[Field]:
    if path:
        yield Field(kind, path, schema)
    for name, below in schema.get("properties", {}).items():
        inner = value.get(name) if isinstance(value, Mapping) else None
        yield from _fields(kind, below, inner, (*path, name))
    if "items" in schema:
        inner = value[0] if isinstance(value, list) and value else None
        yield from _fields(kind, schema["items"], inner, (*path, 0))
    if "additionalProperties" in schema:
        key = next(iter(value), "a") if isinstance(value, Mapping) else "a"
        inner = value.get(key) if isinstance(value, Mapping) else None
        yield from _fields(kind, schema["additionalProperties"], inner, (*path, key))


def changes_of(one: Field) -> list[Change]:
    """What may be done to a field: at least three things besides setting it back."""
    schema, found = one.schema, {"deleted": GONE}
    match schema["type"]:
        case "string":
            found |= _texts(schema)
        case "integer" | "number":
            found |= _numbers(schema)
        case "boolean":
            found |= {"on": True, "off": False, "a text": "maybe"}
        case "array":
            item = sample(schema["items"])
            found |= {"empty": [], "a map": {}, "huge": [item] * 2_000, "one": [item]}
        case "object":
            found |= {"empty": {}, "a text": "text", "a list": [], "huge": {"x" * 70_000: "y"}}
    return [Change(one, what, value) for what, value in found.items()]


def _texts(schema: Schema) -> dict[str, Any]:
    long = "x" * (schema.get("maxLength", 4096) + 1)
    found = {"empty": "", "a number": 42, "wrong": "!?\n'\"\\`;--", "too long": long}
    found["huge"] = "x" * 200_000
    for place, text in enumerate(fitting(schema)[:4]):
        found[f"other {place}"] = text
    return found


def _numbers(schema: Schema) -> dict[str, Any]:
    least, most = schema.get("minimum", 0), schema.get("maximum", 2**31)
    found = {"zero": 0, "least": least, "below": least - 1, "most": most, "above": most + 1}
    return {**found, "huge": 10**18, "a text": "many", "negative": -1, "two": 2}


def fitting(schema: Schema) -> list[Any]:
    """Values of the right form."""
    if "enum" in schema:
        return list(schema["enum"])
    pattern, longest = schema.get("pattern", ""), schema.get("maxLength", 100)
    fit = [t for t in TEXTS if re.search(pattern, t) and len(t) <= longest]
    return fit or [_smallest(pattern)]


@cache
def _smallest(pattern: str) -> str:
    """The simplest text that a pattern takes."""
    return find(from_regex(pattern), lambda text: True, settings=settings(database=None))


def sample(schema: Schema) -> Any:
    """The smallest value that the schema alone accepts."""
    match schema["type"]:
        case "string":
            return fitting(schema)[0]
        case "integer" | "number":
            return max(1, schema.get("minimum", 1))
        case "boolean":
            return True
        case "array":
            return [sample(schema["items"])] * schema.get("minItems", 0)
    required = schema.get("required", ())
    return {n: sample(s) for n, s in schema.get("properties", {}).items() if n in required}


@dataclass(frozen=True)
class Base:
    """An accepted resource and the world in which it is."""

    name: str
    body: Mapping[str, Any] = field(hash=False)
    world: World = field(hash=False)


@cache
def bases(kind: str) -> tuple[Base, ...]:
    """The golden cases that are accepted, the fullest first."""
    found = []
    for case in CASES:
        body = yaml.safe_load((case / "resource.yaml").read_text())
        if body["kind"] == kind and (case / "children.yaml").exists():
            world = case / "world.yaml"
            where = read_world(world.read_text() if world.exists() else "")
            compiled(body, where)
            found.append(Base(f"{case.parent.name}/{case.name}", body, where))
    return tuple(sorted(found, key=lambda base: -len(str(base.body))))


def has(base: Base, path: Path) -> bool:
    """Whether the base sets that field."""
    value: Any = base.body["spec"]
    for part in path:
        if isinstance(part, int):
            if not (isinstance(value, list) and len(value) > part):
                return False
        elif not (isinstance(value, Mapping) and part in value):
            return False
        value = value[part]
    return True
