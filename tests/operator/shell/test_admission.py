"""Admission by a real API server: a refusal, a warning, a dry run, and an operator that is dead."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operator.shell.running import FEED, Operator, running_operator, wait_until
from tests.support.controlplane import ApiServer

pytestmark = pytest.mark.api
PORT = 9443
CONFIGURATION = "tapehouse-operator-admission-shell-admission"
OPTIONS = ("--no-leader-election", f"--admission-port={PORT}")
JOB = """
apiVersion: tapehouse.dev/v1alpha1
kind: StreamJob
metadata: {name: copy}
spec:
  inputs: [{feed: later, event: TradeExecuted, as: ticks}]
  outputs: [{table: trades}]
  sql: INSERT INTO bronze.trades (symbol) SELECT symbol FROM ticks;
"""


@pytest.fixture(scope="module")
def operator(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    directory = tmp_path_factory.mktemp("admission")
    with running_operator(apiserver, directory, "shell-admission", *OPTIONS) as running:
        wait_until(lambda: registered(running), "the webhook configuration")
        wait_until(lambda: "denied the request" in refused(running), "the first refusal")
        yield running
    apiserver.kubectl("delete", "validatingwebhookconfiguration", CONFIGURATION)


def registered(operator: Operator) -> bool:
    return CONFIGURATION in operator.kubectl("get", "validatingwebhookconfigurations", "-o", "name")


def refused(operator: Operator) -> str:
    """What `kubectl apply` says to a preset that does not exist."""
    wrong = FEED.replace("name: market", "name: wrong").replace("market/v1", "market/v9")
    return operator.kubectl("apply", "--dry-run=server", "-f", "-", stdin=wrong, check=False)


def test_a_refusal_names_field_value_and_remedy(operator: Operator) -> None:
    wrong = FEED.replace("name: market", "name: wrong").replace("market/v1", "market/v9")
    said = operator.kubectl("apply", "-f", "-", stdin=wrong, check=False)
    assert "denied the request: spec.preset: 'market/v9': the shipped presets are" in said
    assert "wrong" not in operator.kubectl("get", "tradefeeds", "-o", "name")


def test_a_dry_run_gets_the_same_answer_and_leaves_nothing(operator: Operator) -> None:
    assert "denied the request: spec.preset: 'market/v9'" in refused(operator)
    right = FEED.replace("name: market", "name: right")
    said = operator.kubectl("apply", "--dry-run=server", "-f", "-", stdin=right)
    assert "created (server dry run)" in said
    assert "right" not in operator.kubectl("get", "tradefeeds", "-o", "name")


def test_a_missing_reference_warns_and_is_reconciled_when_it_comes(operator: Operator) -> None:
    said = operator.kubectl("apply", "-f", "-", stdin=JOB)
    assert "Warning: " in said
    assert "created" in said
    wait_until(lambda: operator.condition("streamjob", "copy", "Accepted"), "a status")
    before = operator.condition("streamjob", "copy", "Accepted")["message"]
    assert "no TradeFeed later" in before
    feed = FEED.replace("name: market", "name: later")
    operator.kubectl("apply", "-f", "-", stdin=feed)
    wait_until(
        lambda: operator.condition("streamjob", "copy", "Accepted")["message"] != before,
        "the job to see its feed",
    )


def test_a_change_of_metadata_asks_nothing(operator: Operator) -> None:
    operator.kubectl("apply", "-f", "-", stdin=FEED)
    said = operator.kubectl("annotate", "tradefeed", "market", "note=mine", "--overwrite")
    assert "Warning" not in said


def test_a_dead_operator_stops_no_request(operator: Operator) -> None:
    assert operator.stop() == 0
    try:
        started = time.monotonic()
        said = operator.kubectl(
            "apply", "-f", "-", stdin=FEED.replace("tradesPerSecond: 10", "tradesPerSecond: 11")
        )
        assert "tradefeed" in said
        assert time.monotonic() - started < 10
        assert "created" in operator.kubectl(
            "apply", "-f", "-", stdin=FEED.replace("name: market", "name: free")
        )
        operator.kubectl("delete", "tradefeed", "free")
    finally:
        operator.start(*OPTIONS)
    wait_until(lambda: "denied the request" in refused(operator), "admission after a restart")


def test_the_configuration_leaves_with_its_owner_and_the_secret_is_filled(
    operator: Operator,
) -> None:
    found = json.loads(
        operator.kubectl("get", "validatingwebhookconfiguration", CONFIGURATION, "-o", "json")
    )
    assert [o["kind"] for o in found["metadata"]["ownerReferences"]] == ["ClusterRole"]
    (webhook,) = found["webhooks"]
    assert webhook["failurePolicy"] == "Ignore"
    assert 2 <= webhook["timeoutSeconds"] <= 5
    data = operator.get("secret", "tapehouse-operator-admission")["data"]
    assert sorted(data) == ["ca.crt", "ca.key", "tls.crt", "tls.key"]


def test_no_line_of_the_log_is_an_error(operator: Operator) -> None:
    for line in Path(operator.directory / "operator.log").read_text().splitlines():
        assert json.loads(line)["level"] not in ("ERROR", "CRITICAL"), line
