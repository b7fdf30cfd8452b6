"""What is generated is committed, and is what Kubernetes calls structural."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tapehouse_operator.api.base import Resource
from tapehouse_operator.api.crd import crd, editor_schema
from tapehouse_operator.shell.generate import MODELS, outputs

from tests.operator.api.cases import GONE, ROOT, changed, example


def test_committed_files_are_the_generated_ones() -> None:
    stale = [str(path) for path, text in outputs(ROOT).items() if _read(path) != text]
    assert stale == [], "run `make generate`"


def test_nothing_else_lies_among_them() -> None:
    expected = set(outputs(ROOT))
    for folder in ("crds", "crds/schemas", "docs/reference/resources"):
        for path in (ROOT / folder).iterdir():
            assert path.is_dir() or path.relative_to(ROOT) in expected, path


def _read(path: Any) -> str:
    return (ROOT / path).read_text() if (ROOT / path).exists() else ""


@pytest.mark.parametrize("model", MODELS)
def test_kubectl_explains_every_field(model: type[Resource]) -> None:
    root = crd(model)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    ours = (root["properties"][part] for part in ("spec", "status"))
    silent = [
        name
        for part in ours
        for node in (part, *_nodes(part))
        for name, field in node.get("properties", {}).items()
        if len(field.get("description", "")) < 10
    ]
    assert silent == []


@pytest.mark.parametrize("model", MODELS)
def test_a_crd_is_structural(model: type[Resource]) -> None:
    version = crd(model)["spec"]["versions"][0]
    for node in _nodes(version["schema"]["openAPIV3Schema"]):
        assert "type" in node, node
        assert not {"anyOf", "oneOf", "allOf", "$ref", "const", "title"} & set(node), node
        assert not [k for k in node if k.startswith("x-") and not k.startswith("x-kubernetes-")], (
            node
        )
    assert [c["name"] for c in version["additionalPrinterColumns"]][:3] == [
        "READY",
        "PHASE",
        "REVISION",
    ]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    children = [
        *node.get("properties", {}).values(),
        node.get("items"),
        node.get("additionalProperties"),
    ]
    for child in children:
        if isinstance(child, dict):
            yield from _nodes(child)


@pytest.mark.parametrize("model", MODELS)
def test_editors_accept_the_example_and_not_a_typo(model: type[Resource]) -> None:
    schema = editor_schema(model)
    body = example(model.__name__)
    assert _wrong(body, schema, "") == []
    spoilt = changed(body, {"spec.supend": True, "metadata": GONE})
    assert _wrong(spoilt, schema, "") == [".metadata is missing", ".spec.supend is unknown"]


def _wrong(value: Any, schema: dict[str, Any], path: str) -> list[str]:
    """What an editor would underline: the part of JSON Schema that the schemas use."""
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path} is not one of {schema['enum']}")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{path} does not match {schema['pattern']}")
    if "properties" in schema:
        found += [
            f"{path}.{name} is missing" for name in schema.get("required", ()) if name not in value
        ]
        if schema.get("additionalProperties") is False:
            unknown = set(value) - set(schema["properties"])
            found += [f"{path}.{name} is unknown" for name in sorted(unknown)]
        for name in value.keys() & schema["properties"].keys():
            found += _wrong(value[name], schema["properties"][name], f"{path}.{name}")
    for index, item in enumerate(value if isinstance(value, list) else ()):
        found += _wrong(item, schema["items"], f"{path}[{index}]")
    return found
