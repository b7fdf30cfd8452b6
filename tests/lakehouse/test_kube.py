"""Intents read from ConfigMaps and results written to them, against a small fake API."""

import json
from types import SimpleNamespace

import pytest
from kubernetes import client
from tapehouse_lakehouse.kube import ConfigMapResults, read_world
from tapehouse_lakehouse.model import Producer, Published, TableSpec

TABLE_JSON = {
    "table": "bronze-trades",
    "identifier": "bronze.trades",
    "namespace": "n",
    "key": [],
    "producer": {"type": "stream", "job": "land"},
    "publish": {"mode": "Direct", "suites": []},
    "scd": None,
    "maintenance": {
        "compact": {"targetFileSize": "128Mi", "minFiles": 8, "every": "10m"},
        "expire": {"keepLast": 20, "olderThan": "1h"},
        "orphans": {"olderThan": "1d"},
    },
    "columns": [{"name": "trade_id", "type": "string", "required": True, "classification": None}],
    "partition": ["day(timestamp)"],
    "sort": [],
}
INTENT_JSON = {
    "job": "land",
    "namespace": "n",
    "revision": 2,
    "branch": "rev-00002",
    "tables": ["bronze.trades"],
}
SPEC = TableSpec(
    table="bronze-trades", identifier="bronze.trades", namespace="n", producer=Producer(type="rows")
)


def config_map(name, role, key, body):
    metadata = SimpleNamespace(name=name, labels={"tapehouse.dev/role": role}, uid=f"uid-{name}")
    return SimpleNamespace(metadata=metadata, data={key: body})


class Api:
    """As much of the API server as results need."""

    def __init__(self):
        self.maps, self.calls = {}, []

    def list_namespaced_config_map(self, namespace, label_selector):
        assert label_selector == "tapehouse.dev/role=published"
        self.calls.append("list")
        items = [
            SimpleNamespace(metadata=SimpleNamespace(name=n), data=b["data"])
            for n, b in self.maps.items()
        ]
        return SimpleNamespace(items=items)

    def create_namespaced_config_map(self, namespace, body):
        self.calls.append("create")
        if body["metadata"]["name"] in self.maps:
            raise client.ApiException(status=409)
        self.maps[body["metadata"]["name"]] = body

    def replace_namespaced_config_map(self, name, namespace, body):
        self.calls.append("replace")
        if name not in self.maps:
            raise client.ApiException(status=404)
        self.maps[name] = body


def published(ok=True):
    return Published(
        identifier="bronze.trades", revision=1, branch="rev-00001", ok=ok, reason="R", message="m"
    )


def test_the_world_is_read_and_what_cannot_be_read_is_left_out(caplog):
    maps = {
        "a": config_map("a", "table", "table.json", json.dumps(TABLE_JSON)),
        "b": config_map("b", "publish", "publish.json", json.dumps(INTENT_JSON)),
        "c": config_map(
            "c", "publish", "publish.json", json.dumps({**INTENT_JSON, "revision": "x"})
        ),
        "d": config_map("d", "table", "other.json", "{}"),
    }
    world = read_world(maps)
    assert list(world.intents) == ["b"]
    assert world.intents["b"].branch == "rev-00002"
    assert world.uids == {"bronze.trades": "uid-a"}
    assert world.tables["bronze.trades"].maintenance.compact.min_files == 8
    assert "$.revision" in caplog.text


def test_results_are_written_once_per_transition_and_survive_a_restart():
    api = Api()
    results = ConfigMapResults(api, "n")
    for ok in (False, False, True, True):
        results.write(SPEC, "uid", published(ok))
    assert api.calls == ["list", "create", "replace"]
    ConfigMapResults(api, "n").write(SPEC, "uid", published())
    assert api.calls[3:] == ["list"]
    written = api.maps["bronze-trades-published"]
    assert json.loads(written["data"]["published.json"])["ok"] is True
    assert written["metadata"]["ownerReferences"][0]["name"] == "bronze-trades-table"


def test_a_result_deleted_by_someone_is_written_again():
    api = Api()
    results = ConfigMapResults(api, "n")
    results.write(SPEC, "uid", published(False))
    api.maps.clear()
    with pytest.raises(client.ApiException):
        results.write(SPEC, "uid", published())
    results.write(SPEC, "uid", published())
    assert "bronze-trades-published" in api.maps
