"""What an API server says of an object by its CRD's structural schema; CEL rules are not run."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
ANYTHING = "x-kubernetes-preserve-unknown-fields"


def errors(schema: Mapping[str, Any], body: Mapping[str, Any]) -> list[str]:
    """Every field that would be refused, and those that strict validation calls unknown."""
    known = ("apiVersion", "kind", "metadata", "status")
    properties = {**schema["properties"], **{name: {ANYTHING: True} for name in known}}
    return list(_errors({**schema, "properties": properties}, body, ""))


def _errors(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    if value is None:
        if not schema.get("nullable"):
            yield f"{path}: null"
        return
    yield from _of_type(schema, value, path)
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if isinstance(value, dict):
        yield from _of_object(schema, value, path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _errors(schema.get("items", {ANYTHING: True}), item, f"{path}[{index}]")
    elif isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{path}: {value!r} does not match {schema['pattern']}"
    elif not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{path}: {value} is out of range"


def _of_type(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    wanted = TYPES.get(schema.get("type", ""), (object,))
    if schema.get("x-kubernetes-int-or-string"):
        wanted = (int, str)
    no_number = isinstance(value, bool) and not {bool, object} & {*wanted}
    if no_number or not isinstance(value, wanted):
        yield f"{path}: {value!r} is no {schema.get('type', 'integer or string')}"


def _of_object(schema: Mapping[str, Any], value: dict[str, Any], path: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    extra = schema.get("additionalProperties")
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name}: missing"
    for name, item in value.items():
        below = f"{path}.{name}"
        if name in properties:
            yield from _errors(properties[name], item, below)
        elif isinstance(extra, Mapping):
            yield from _errors(extra, item, below)
        elif not (extra or schema.get(ANYTHING)):
            yield f"{below}: unknown field"
