"""From a model to one plain schema tree, of which CRDs, editor schemas and pages are views.

The tree is what Kubernetes calls structural: no references, no `anyOf`, no nulls. Beside JSON
Schema's own words it keeps `x-rules`, `x-keys` and `x-change` of the models.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

_DROPPED = frozenset({"title", "$ref", "anyOf", "$defs", "const", "default", "properties"})


def schema_of(model: type[BaseModel]) -> Schema:
    """The tree of `model`, fields in the order of declaration."""
    raw = model.model_json_schema(by_alias=True)
    return _plain(raw, raw.get("$defs", {}))


def _plain(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    node = _resolved(node, definitions)
    out: Schema = {"description": _one_line(node["description"])} if "description" in node else {}
    out |= {key: value for key, value in node.items() if key not in _DROPPED | {"description"}}
    if "const" in node:
        out["enum"] = [node["const"]]
    if "properties" in node:
        out["properties"] = {
            name: _plain(child, definitions) for name, child in node["properties"].items()
        }
    if isinstance(node.get("items"), Mapping):
        out["items"] = _plain(node["items"], definitions)
    _mapping(out, node, definitions)
    _number(out)
    _default(out, node.get("default"))
    return out


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """A node with its reference followed and its null branch gone; its own words win."""
    branches = [b for b in node.get("anyOf", ()) if b.get("type") != "null"]
    if branches:
        return {**_resolved(branches[0], definitions), **node}
    if "$ref" in node:
        return {**definitions[node["$ref"].rsplit("/", 1)[1]], **node}
    return node


def _mapping(out: Schema, node: Mapping[str, Any], definitions: Mapping[str, Any]) -> None:
    """Closed objects are the rule, so only maps keep `additionalProperties`."""
    values = out.pop("additionalProperties", None)
    if isinstance(values, Mapping):
        out["additionalProperties"] = _plain(values, definitions)
    elif out.get("type") == "object" and "properties" not in node:
        out["x-kubernetes-preserve-unknown-fields"] = True


def _number(out: Schema) -> None:
    if out.get("type") == "integer":
        out["format"] = "int64"
    for bound in ("minimum", "maximum"):
        exclusive = f"exclusive{bound.capitalize()}"
        if exclusive in out:
            out[bound] = out[exclusive]
            out[exclusive] = True
        if isinstance(out.get(bound), float) and out[bound].is_integer():
            out[bound] = int(out[bound])


def _default(out: Schema, value: Any) -> None:
    """Scalars are defaulted by the API server; objects only to let those within them be."""
    if out.get("type") == "object":
        inner = {
            name: child["default"]
            for name, child in out.get("properties", {}).items()
            if "default" in child
        }
        if value and inner:
            out["default"] = inner
    elif value not in (None, "", [], ()):
        out["default"] = int(value) if isinstance(value, float) and value.is_integer() else value


def _one_line(text: str) -> str:
    return " ".join(text.split())
