"""CustomResourceDefinitions and editor schemas from the models. Pure: text is written elsewhere."""

import json
from collections.abc import Mapping
from typing import Any

from tapehouse_operator.api.base import PrinterColumn, Resource, Rule, Transition
from tapehouse_operator.api.schema import Schema, schema_of
from tapehouse_operator.names import CATEGORY, GROUP, VERSION

_COLUMNS_BEFORE = (
    PrinterColumn(
        "READY", '.status.conditions[?(@.type=="Ready")].status', description="Whether all works"
    ),
    PrinterColumn("PHASE", ".status.phase", description="One word for people"),
    PrinterColumn("REVISION", ".status.revision", "integer", "The revision that runs"),
)
_AGE = PrinterColumn("AGE", ".metadata.creationTimestamp", "date", "Since it was created")
_WIDE = (
    PrinterColumn("HASH", ".status.hash", description="Hash of the accepted spec"),
    PrinterColumn("MESSAGE", ".status.summary", description="What is waited for or wrong"),
)


def crd(model: type[Resource]) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    names, kind = model.names, model.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": names.plural,
                "singular": kind.lower(),
                "shortNames": [names.short],
                "categories": [CATEGORY],
            },
            "versions": [_version(model)],
        },
    }


def editor_schema(model: type[Resource]) -> dict[str, Any]:
    """A JSON Schema (draft 7) for editors: closed, without status."""
    spec = schema_of(model.model_fields["spec"].annotation)  # type: ignore[arg-type]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": model.__name__,
        "description": schema_of(model)["description"],
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": f"{GROUP}/{VERSION}"},
            "kind": {"const": model.__name__},
            "metadata": {"type": "object", "required": ["name"]},
            "spec": _for_editors(spec),
        },
        "additionalProperties": False,
    }


def _version(model: type[Resource]) -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            *(_column(c) for c in (*_COLUMNS_BEFORE, *model.columns, _AGE)),
            *({**_column(c), "priority": 1} for c in _WIDE),
        ],
        "schema": {"openAPIV3Schema": _root(model)},
    }


def _column(column: PrinterColumn) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "description": column.description,
    }


def _root(model: type[Resource]) -> Schema:
    whole = schema_of(model)
    return {
        "description": whole["description"],
        "type": "object",
        "required": ["spec"],
        "x-kubernetes-validations": _validations(whole),
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _for_cluster(whole["properties"]["spec"]),
            "status": _undefaulted(_for_cluster(schema_of(model.status_model))),
        },
    }


def _undefaulted(node: Schema) -> Schema:
    """A status is what was written: what the server added would look like a change."""
    return _below({key: value for key, value in node.items() if key != "default"}, _undefaulted)


def _for_cluster(node: Mapping[str, Any]) -> Schema:
    """A tree in the words of Kubernetes."""
    out = {key: value for key, value in node.items() if not key.startswith("x-")}
    out |= {key: value for key, value in node.items() if key.startswith("x-kubernetes-")}
    keys = node.get("items", {}).get("x-keys")
    if keys:
        out |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
    if node.get("x-rules"):
        out["x-kubernetes-validations"] = _validations(node)
    return _below(out, _for_cluster)


def _for_editors(node: Mapping[str, Any]) -> Schema:
    """A tree in the words of JSON Schema."""
    out = {key: value for key, value in node.items() if not key.startswith("x-")}
    for bound in ("minimum", "maximum"):
        if out.get(f"exclusive{bound.capitalize()}"):
            out[f"exclusive{bound.capitalize()}"] = out.pop(bound)
    if "properties" in node:
        out["additionalProperties"] = False
    return _below(out, _for_editors)


def _below(node: Schema, view: Any) -> Schema:
    """`node` with `view` applied to the schemas right below it."""
    if "properties" in node:
        node["properties"] = {name: view(child) for name, child in node["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), Mapping):
            node[key] = view(node[key])
    return node


def _validations(node: Mapping[str, Any]) -> list[dict[str, str]]:
    return [_validation(rule, node) for rule in node["x-rules"]]


def _validation(rule: Rule | Transition, node: Mapping[str, Any]) -> dict[str, str]:
    entry = {"rule": rule.cel, "message": rule.message}
    if rule.field in node["properties"]:
        entry["fieldPath"] = f".{rule.field}"
        if _always_text(rule.field, node):
            entry["messageExpression"] = _with_value(rule)
    return entry


def _always_text(field: str, node: Mapping[str, Any]) -> bool:
    """Whether the field's value fits into a message: others are beyond CEL's cost budget."""
    child = node["properties"][field]
    present = field in node.get("required", ()) or "default" in child
    return present and child["type"] == "string"


def _with_value(rule: Rule | Transition) -> str:
    """CEL for the message with what was found, which the API server does not say of a rule."""
    found = f"{json.dumps(rule.message + '; found ')} + self.{rule.field}"
    before = f" + {json.dumps(', before ')} + oldSelf.{rule.field}"
    return found + before if isinstance(rule, Transition) else found
