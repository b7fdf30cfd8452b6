"""The CRDs on a real API server: what it takes, keeps, refuses and explains."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tapehouse_operator.api.base import Resource, parse, revisioned
from tapehouse_operator.api.schema import schema_of
from tapehouse_operator.shell.generate import MODELS

from tests.operator.api.cases import (
    BAD,
    BAD_CHANGES,
    BY_KIND,
    GOOD_CHANGES,
    ROOT,
    Bad,
    BadChange,
    changed,
    example,
)
from tests.support.controlplane import ApiServer

pytestmark = pytest.mark.api

NAMESPACE = "crds"


@pytest.fixture(scope="module")
def cluster(apiserver: ApiServer) -> ApiServer:
    apiserver.kubectl("create", "namespace", NAMESPACE)
    return apiserver


def kubectl(cluster: ApiServer, *args: str, body: Mapping[str, Any] | None = None) -> str:
    """What kubectl says in our namespace, whether it succeeds or not."""
    given = None if body is None else json.dumps(body)
    return cluster.kubectl("-n", NAMESPACE, *args, stdin=given, check=False)


def apply(cluster: ApiServer, body: Mapping[str, Any], *options: str) -> str:
    strict = ("apply", "--server-side", "--validate=strict", "--force-conflicts")
    return kubectl(cluster, *strict, *options, "-f", "-", body=body)


def get(cluster: ApiServer, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl(cluster, "get", kind, name, "-o", "json"))
    return found


@pytest.mark.parametrize("model", MODELS)
def test_a_kind_is_established_under_its_names(cluster: ApiServer, model: type[Resource]) -> None:
    definition = json.loads(
        kubectl(cluster, "get", "crd", f"{model.names.plural}.tapehouse.dev", "-o", "json")
    )
    conditions = {c["type"]: c for c in definition["status"]["conditions"]}
    assert conditions["Established"]["status"] == "True"
    assert conditions.get("NonStructuralSchema", {"status": "False"})["status"] == "False"
    assert definition["status"]["acceptedNames"]["shortNames"] == [model.names.short]
    assert definition["status"]["acceptedNames"]["categories"] == ["tapehouse"]


@pytest.mark.parametrize("model", MODELS)
def test_the_example_is_kept_whole(cluster: ApiServer, model: type[Resource]) -> None:
    """Also as the file it is: kubectl reads YAML in its own way."""
    _check_kept_whole(cluster, model, path_of("full", model))


def path_of(folder: str, model: type[Resource]) -> Path:
    """A file with one resource of a kind: `full` uses nearly every field, `examples` is shipped."""
    parent = ROOT / "crds" if folder == "examples" else Path(__file__).parent
    return parent / folder / f"{model.__name__.lower()}.yaml"


@pytest.mark.parametrize("model", MODELS)
def test_the_shipped_example_passes_a_dry_run_and_is_kept_whole(
    cluster: ApiServer, model: type[Resource]
) -> None:
    path = path_of("examples", model)
    assert "dry run" in kubectl(cluster, "apply", "--dry-run=server", "-f", str(path))
    _check_kept_whole(cluster, model, path)


def _check_kept_whole(cluster: ApiServer, model: type[Resource], path: Path) -> None:
    strict = ("apply", "--server-side", "--validate=strict")
    assert "serverside-applied" in kubectl(cluster, *strict, "-f", str(path))
    body = yaml.safe_load(path.read_text())
    live = get(cluster, model.names.short, body["metadata"]["name"])
    assert revisioned(parse(model, live).spec) == revisioned(parse(model, body).spec)
    assert _lost(body["spec"], live["spec"], "spec") == []


def _lost(given: Any, kept: Any, path: str) -> list[str]:
    """What was given and is not there; what the server added does not matter."""
    if isinstance(given, dict):
        return [
            lost
            for name, value in given.items()
            for lost in (
                _lost(value, kept[name], f"{path}.{name}") if name in kept else [f"{path}.{name}"]
            )
        ]
    if isinstance(given, list) and len(given) == len(kept):
        pairs = enumerate(zip(given, kept, strict=True))
        return [lost for n, (a, b) in pairs for lost in _lost(a, b, f"{path}[{n}]")]
    return [] if given == kept else [path]


@pytest.mark.parametrize("model", MODELS)
def test_a_whole_status_is_kept(cluster: ApiServer, model: type[Resource]) -> None:
    body = example(model.__name__)
    body["metadata"]["name"] = "with-status"
    apply(cluster, body)
    status = _filled(schema_of(model.status_model))
    patch = json.dumps({"status": status})
    options = ("--subresource=status", "--type=merge", "-p", patch)
    said = kubectl(cluster, "patch", model.names.short, "with-status", *options)
    assert "patched" in said
    assert get(cluster, model.names.short, "with-status")["status"] == status


def test_a_status_is_kept_as_written(cluster: ApiServer) -> None:
    """What the server added would look like a change at every reconcile."""
    body = example("Dashboard")
    body["metadata"]["name"] = "with-little-status"
    apply(cluster, body)
    ready = {"type": "Ready", "status": "True", "reason": "Ready"}
    status = {"conditions": [ready], "children": [{"kind": "Job", "name": "a", "ready": True}]}
    options = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    kubectl(cluster, "patch", "dash", "with-little-status", *options)
    assert get(cluster, "dash", "with-little-status")["status"] == status


def _filled(node: dict[str, Any]) -> Any:
    """A value for every field there is."""
    if "enum" in node:
        return node["enum"][0]
    match node["type"]:
        case "object" if "properties" in node:
            return {name: _filled(child) for name, child in node["properties"].items()}
        case "object":
            return {"a": _filled(node["additionalProperties"])}
        case "array":
            return [_filled(node["items"])]
        case "string":
            return "2026-01-01T00:00:00Z" if "format" in node else "Ready"
        case "boolean":
            return True
    return 1


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_bad_resource_is_refused_and_the_field_named(cluster: ApiServer, bad: Bad) -> None:
    said = apply(cluster, bad.body, "--dry-run=server")
    assert "serverside-applied" not in said
    assert (bad.says or bad.path.rsplit(".", 1)[-1]) in said


@pytest.mark.parametrize("bad", BAD_CHANGES, ids=str)
def test_a_bad_change_is_refused(cluster: ApiServer, bad: BadChange) -> None:
    before = changed(example(bad.kind), bad.before)
    before["metadata"]["name"] = "changing"
    apply(cluster, before)
    try:
        said = apply(cluster, changed(before, bad.after), "--dry-run=server")
        assert "serverside-applied" not in said
        assert bad.path.replace("[", ".").replace("]", "").split(".")[-1] in said
        if bad.agreed:
            agreed = changed(before, {**bad.after, **bad.agreed})
            assert "serverside-applied" in apply(cluster, agreed, "--dry-run=server")
    finally:
        kubectl(cluster, "delete", bad.kind, "changing")


@pytest.mark.parametrize(("kind", "changes"), GOOD_CHANGES)
def test_a_good_change_is_accepted(
    cluster: ApiServer, kind: str, changes: dict[str, object]
) -> None:
    before = example(kind)
    before["metadata"]["name"] = "changing"
    apply(cluster, before)
    try:
        assert "serverside-applied" in apply(cluster, changed(before, changes), "--dry-run=server")
    finally:
        kubectl(cluster, "delete", kind, "changing")


def test_a_refused_change_tells_both_values(cluster: ApiServer) -> None:
    before = example("TradeFeed")
    before["metadata"]["name"] = "telling"
    apply(cluster, before)
    said = apply(cluster, changed(before, {"spec.topics.0.name": "raw.new"}), "--dry-run=server")
    assert "spec.topics[0].name" in said
    assert "a topic's name is immutable" in said
    assert "found raw.new, before raw.binance-trades" in said


def test_explain_teaches(cluster: ApiServer) -> None:
    said = " ".join(kubectl(cluster, "explain", "tradefeed.spec.source").split())
    assert "exactly one of" in said
    assert "A seeded exchange" in said
    said = " ".join(kubectl(cluster, "explain", "sj.spec.checkpoint.interval").split())
    assert "Default: `checkpointInterval` of the environment" in said


def test_columns_tell_what_one_asks_for(cluster: ApiServer) -> None:
    body = example("LakehouseTable")
    body["metadata"]["name"] = "columns"
    apply(cluster, body)
    ready = {"type": "Ready", "status": "True", "reason": "Ready"}
    status = {"phase": "Ready", "revision": 3, "hash": "abc", "conditions": [ready]}
    options = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    kubectl(cluster, "patch", "lt", "columns", *options)
    head, row = kubectl(cluster, "get", "lt", "columns", "-o", "wide").strip().splitlines()
    assert head.split() == [
        *("NAME", "READY", "PHASE", "REVISION", "TABLE", "PRODUCER", "AGE", "HASH", "MESSAGE")
    ]
    assert row.split()[:5] == ["columns", "True", "Ready", "3", "silver.trades"]
    waited = kubectl(cluster, "wait", "--for=condition=Ready", "lt/columns", "--timeout=5s")
    assert "condition met" in waited


def test_every_kind_is_told_by_get_describe_and_wait(cluster: ApiServer) -> None:
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": "all is well"}
    status = {"phase": "Ready", "revision": 1, "summary": "said by it", "conditions": [ready]}
    for kind in BY_KIND:
        body = example(kind)
        body["metadata"]["name"] = "told"
        apply(cluster, body)
        options = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
        kubectl(cluster, "patch", kind, "told", *options)
        described = kubectl(cluster, "describe", kind, "told")
        assert "all is well" in described
        assert "Phase:" in described
    listed = kubectl(cluster, "get", "tapehouse", "-o", "wide")
    for model in MODELS:
        name = f"{model.__name__.lower()}.tapehouse.dev/told "
        (row,) = (r for r in listed.splitlines() if r.startswith(name))
        assert row.split()[1:4] == ["True", "Ready", "1"]
        assert row.endswith("said by it")
    names = [f"{kind}/told" for kind in BY_KIND]
    waited = kubectl(cluster, "wait", "--for=condition=Ready", *names, "--timeout=5s")
    assert waited.count("condition met") == len(BY_KIND)
    kubectl(cluster, "delete", *names, "--wait=false")


def test_the_environments_are_accepted(cluster: ApiServer) -> None:
    """Every resource of ours in the repository, as kubectl reads it."""
    paths = [
        path
        for path in sorted((ROOT / "environments").rglob("*.yaml"))
        if any(f"\nkind: {kind}\n" in path.read_text() for kind in BY_KIND)
    ]
    assert paths
    empty = "environments"
    cluster.kubectl("create", "namespace", empty)
    options = ("apply", "-n", empty, "--server-side", "--validate=strict", "--dry-run=server")
    for path in paths:
        said = cluster.kubectl(*options, "-f", str(path), check=False)
        assert "serverside-applied" in said, (path, said)
