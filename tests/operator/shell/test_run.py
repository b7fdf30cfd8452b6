"""The operator process on a real API server."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tapehouse_cli.main import main

from tests.operator.shell.running import FEED, Operator, running_operator, wait_until
from tests.support.controlplane import ApiServer

pytestmark = pytest.mark.api
TOPIC = "raw.trades"


@pytest.fixture(scope="module")
def operator(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with running_operator(apiserver, tmp_path_factory.mktemp("operator"), "shell-run") as running:
        running.kubectl("apply", "-f", "-", stdin=FEED)
        wait_until(lambda: accepted(running), "the feed to be accepted")
        yield running


@pytest.fixture(autouse=True)
def as_declared(operator: Operator) -> None:
    """Every test starts from the same feed."""
    operator.kubectl("apply", "-f", "-", stdin=FEED)
    wait_until(lambda: accepted(operator), "the feed to be accepted")


def accepted(operator: Operator) -> bool:
    feed = operator.get("tradefeed", "market")
    seen = feed.get("status", {}).get("observedGeneration") == feed["metadata"]["generation"]
    return seen and operator.condition("tradefeed", "market", "Accepted")["status"] == "True"


def test_at_rest_it_asks_nothing_and_a_restart_writes_nothing(operator: Operator) -> None:
    time.sleep(3)
    before = operator.requests()
    time.sleep(5)
    assert operator.requests() == before
    assert operator.stop() == 0
    operator.start("--no-leader-election")
    time.sleep(5)
    assert operator.writes() == 0


def test_drift_in_a_vendors_object_is_undone_and_foreign_fields_stay(operator: Operator) -> None:
    patch = {"metadata": {"annotations": {"note": "mine"}}, "spec": {"config": {"retention.ms": 1}}}
    operator.kubectl("patch", "kafkatopic", TOPIC, "--type=merge", "-p", json.dumps(patch))

    def retention() -> int:
        return int(operator.get("kafkatopic", TOPIC)["spec"]["config"]["retention.ms"])

    wait_until(lambda: retention() == 7 * 24 * 3600 * 1000, "enforcement")
    assert operator.get("kafkatopic", TOPIC)["metadata"]["annotations"]["note"] == "mine"


def test_a_deleted_child_comes_back(operator: Operator) -> None:
    uid = operator.get("deployment", "market-feed")["metadata"]["uid"]
    operator.kubectl("delete", "deployment", "market-feed")
    names = ("get", "deployment", "market-feed", "--ignore-not-found", "-o", "name")
    wait_until(lambda: operator.kubectl(*names).strip(), "the deployment")
    assert operator.get("deployment", "market-feed")["metadata"]["uid"] != uid


def test_a_change_reaches_the_children_as_one_revision(operator: Operator) -> None:
    number = operator.get("tradefeed", "market")["status"]["revision"]
    faster = FEED.replace("tradesPerSecond: 10", "tradesPerSecond: 20")
    operator.kubectl("apply", "-f", "-", stdin=faster)

    def done() -> bool:
        return bool(operator.get("tradefeed", "market")["status"]["revision"] == number + 1)

    wait_until(done, "the next revision")
    data = operator.get("configmap", "market-feed")["data"]["feed.json"]
    assert json.loads(data)["source"]["tradesPerSecond"] == 20
    name = f"tradefeed.market-{number + 1:05d}"
    assert operator.get("controllerrevision", name)["revision"] == number + 1


def test_a_rotated_secret_restarts_the_feed(operator: Operator) -> None:
    def annotations() -> dict[str, str]:
        deployment = operator.get("deployment", "market-feed")
        found: dict[str, str] = deployment["spec"]["template"]["metadata"]["annotations"]
        return found

    secret = ("secret", "generic", "market-feed")
    operator.kubectl("create", *secret, "--from-literal=password=one")
    seen = "tapehouse.dev/secrets-seen"
    told = lambda: operator.get("deployment", "market-feed")["metadata"]["annotations"]  # noqa: E731
    wait_until(lambda: seen in told(), "the Secret to be seen")
    before = annotations()
    operator.kubectl("label", "secret", "market-feed", "touched=yes")
    patch = json.dumps({"stringData": {"password": "two"}})
    operator.kubectl("patch", "secret", "market-feed", "--type=merge", "-p", patch)
    wait_until(lambda: annotations() != before, "the Pods' template to change")
    assert annotations().keys() - before.keys() == {"tapehouse.dev/secrets-rotated"}
    operator.kubectl("delete", "secret", "market-feed")


class TestCommands:
    def run(self, operator: Operator, *args: str, status: int = 0) -> str:
        env = {"KUBECONFIG": str(operator.server.kubeconfig)}
        done = CliRunner().invoke(main, [*args, "-n", operator.namespace], env=env)
        assert done.exit_code == status, done.output
        return done.output

    def test_plan(self, operator: Operator, tmp_path: Path) -> None:
        file = tmp_path / "feed.yaml"
        file.write_text(FEED)
        said = self.run(operator, "plan", "-f", str(file), "--detailed-exitcode")
        assert said == "Plan: 1 none\n"
        file.write_text(FEED.replace("tradesPerSecond: 10", "tradesPerSecond: 30"))
        said = self.run(operator, "plan", "-f", str(file), "--detailed-exitcode", status=2)
        assert "TradeFeed/market: restart (revision" in said
        assert "spec.source.simulator.tradesPerSecond: 10 → 30" in said
        assert "  ~ ConfigMap market-feed\n" in said
        assert re.search(r"data\.feed\.json: source\.tradesPerSecond: 10(\.0)? → 30", said)
        planned = self.plan(operator, tmp_path)
        operator.kubectl("apply", "-f", str(file))
        wait_until(lambda: accepted(operator), "the feed to be accepted")
        changed = {c["name"] for c in planned["children"]}
        assert changed == {"market-feed"}
        assert (
            operator.get("tradefeed", "market")["status"]["revision"] == planned["revision"]["to"]
        )
        assert self.plan(operator, tmp_path)["change"] == "none"

    def plan(self, operator: Operator, path: Path) -> dict[str, Any]:
        (one,) = json.loads(self.run(operator, "plan", "-f", str(path), "--json"))
        assert isinstance(one, dict)
        return one

    def test_what_would_be_refused(self, operator: Operator, tmp_path: Path) -> None:
        file = tmp_path / "feed.yaml"
        file.write_text(FEED.replace("tradesPerSecond: 10", "tradesPerSecnd: 30"))
        said = self.run(operator, "plan", "-f", str(file), status=1)
        assert "did you mean tradesPerSecond?" in said
        file.write_text(FEED.replace("market/v1", "market/v9"))
        said = self.run(operator, "plan", "-f", str(file), status=1)
        assert "the shipped presets are" in said

    def test_suspend_resume_history_and_rollback(self, operator: Operator) -> None:
        self.run(operator, "suspend", "tf/market")

        def replicas() -> int:
            return int(operator.get("deployment", "market-feed")["spec"]["replicas"])

        wait_until(lambda: replicas() == 0, "the workload to stop")
        assert operator.condition("tradefeed", "market", "Ready")["reason"] == "Suspended"
        self.run(operator, "resume", "tf/market")
        wait_until(lambda: replicas() == 1, "the workload to go on")
        number = operator.get("tradefeed", "market")["status"]["revision"]
        said = self.run(operator, "rollback", "tradefeed/market", str(number), status=1)
        assert f"has the spec of revision {number} already" in said
        assert f"* {number:>5}" in self.run(operator, "history", "tf/market")
        assert "was not suspended already" in self.run(operator, "resume", "tf/market")
        wait_until(lambda: accepted(operator), "the feed to be accepted")

    def test_why_and_graph(self, operator: Operator, tmp_path: Path) -> None:
        assert "TradeFeed/market  TopicsNotReady" in self.run(operator, "graph")
        self.run(operator, "graph", "-o", str(tmp_path / "g.svg"))
        assert (tmp_path / "g.svg").read_text().startswith("<svg ")
        assert "KafkaTopic raw.trades" in self.run(operator, "why", "tf/market")
        assert "there is no TradeFeed nobody" in self.run(operator, "why", "tf/nobody", status=1)


class TestKubectl:
    """What a user of nothing else sees."""

    def test_the_plugin(self, operator: Operator) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "KUBECONFIG": str(operator.server.kubeconfig)}
        command = [operator.server.kubectl_program, "tapehouse", "history", "tf/market"]
        done = subprocess.run(
            [*command, "-n", operator.namespace],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert "     1  " in done.stdout

    def test_events(self, operator: Operator) -> None:
        operator.kubectl(
            "patch", "tf", "market", "--type=merge", "-p", '{"spec":{"preset":"x/v1"}}'
        )

        def events() -> str:
            return operator.kubectl("events", "--for", "tradefeed/market")

        wait_until(lambda: "UnknownPreset" in events(), "the refusal to be told")
        said = events()
        assert "RevisionCreated" in said
        (refusal,) = (line for line in said.splitlines() if "UnknownPreset" in line)
        assert "Warning" in refusal
        assert "the shipped presets are" in refusal
        assert "UnknownPreset" in operator.kubectl("describe", "tf", "market")


def test_every_line_of_the_log_is_json_and_none_is_an_error(operator: Operator) -> None:
    for line in operator.log():
        assert json.loads(line)["level"] not in ("ERROR", "CRITICAL"), line
