"""`tapehouse-lakehouse publish` as a process, between a real API server and a real catalog."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid

import pytest

from tests.lakehouse import flink
from tests.lakehouse.conftest import HOST, CatalogServer
from tests.support.controlplane import ApiServer

pytestmark = pytest.mark.local
POD_IP = HOST.rsplit(".", 1)[0] + ".253"


def config_map(name, role, key, body):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"tapehouse.dev/role": role}},
        "data": {key: json.dumps(body)},
    }


def eventually(what, timeout=60):
    deadline = time.monotonic() + timeout
    while True:
        try:
            return what()
        except (AssertionError, OSError, KeyError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@pytest.fixture
def process(apiserver: ApiServer, server: CatalogServer, lake):
    namespace = f"lake-{uuid.uuid4().hex[:8]}"
    apiserver.kubectl("create", "namespace", namespace)
    env = {
        **os.environ,
        "KUBECONFIG": str(apiserver.kubeconfig),
        "CATALOG_URI": server.uri,
        "CATALOG_PREFIX": lake._prefix,
        "NAMESPACE": namespace,
        "POD_IP": POD_IP,
    }
    command = [sys.executable, "-c", "from tapehouse_lakehouse.cli import main; main(['publish'])"]
    running = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    running.namespace = namespace
    yield running
    if running.poll() is None:
        running.kill()
    running.communicate()
    apiserver.kubectl("delete", "namespace", namespace, "--wait=false")


def get(path):
    with urllib.request.urlopen(f"http://{POD_IP}:9102{path}", timeout=5) as answer:
        return answer.read().decode()


def test_publishes_reports_and_stops(process, apiserver, lake):
    flink.create(lake, "bronze.trades")
    namespace = process.namespace

    def apply(body):
        apiserver.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(body))

    def result():
        text = apiserver.kubectl(
            "get", "configmap", "bronze-trades-published", "-n", namespace, "-o", "json"
        )
        return json.loads(json.loads(text)["data"]["published.json"])

    assert eventually(lambda: get("/readyz")) == "ok"
    table = {
        "table": "bronze-trades",
        "identifier": "bronze.trades",
        "namespace": namespace,
        "producer": {"type": "stream", "job": "land"},
    }
    intent = {"job": "land", "namespace": namespace, "tables": ["bronze.trades"]}
    intent |= {"revision": 1, "branch": "rev-00001"}
    apply(config_map("bronze-trades-table", "table", "table.json", table))
    apply(config_map("land-publish", "publish", "publish.json", intent))
    assert eventually(result)["reason"] == "AwaitingCheckpoint"
    flink.commit(lake, "bronze.trades", "rev-00001", 1)

    def published():
        assert flink.rows(lake, "bronze.trades") == [1]
        assert result()["ok"] is True

    eventually(published)
    assert 'tapehouse_table_rows{table="bronze.trades"} 1.0' in get("/metrics")
    process.send_signal(signal.SIGTERM)
    _, logged = process.communicate(timeout=30)
    assert process.returncode == 0
    lines = [json.loads(line) for line in logged.splitlines()]
    assert lines[-1]["message"] == "stopped"
    assert not [line for line in lines if line["level"] in ("WARNING", "ERROR")]
