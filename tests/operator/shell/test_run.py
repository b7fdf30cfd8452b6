"""The operator process on a real API server."""

import json
import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from tapehouse_operator.shell.cli import main

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


class TestCommands:
    def run(self, operator: Operator, *args: str, status: int = 0) -> str:
        env = {"KUBECONFIG": str(operator.server.kubeconfig)}
        done = CliRunner().invoke(main, [*args, "-n", operator.namespace], env=env)
        assert done.exit_code == status, done.output
        return done.output

    def test_plan(self, operator: Operator, tmp_path) -> None:
        file = tmp_path / "feed.yaml"
        file.write_text(FEED)
        assert self.run(operator, "plan", "-f", str(file)) == "TradeFeed/market: none\n"
        file.write_text(FEED.replace("tradesPerSecond: 10", "tradesPerSecond: 30"))
        said = self.run(operator, "plan", "-f", str(file))
        assert "TradeFeed/market: restart" in said
        assert "spec: source.simulator.tradesPerSecond" in said
        assert "~ ConfigMap market-feed: data.feed.json" in said
        file.write_text(FEED.replace("tradesPerSecond: 10", "tradesPerSecnd: 30"))
        said = self.run(operator, "plan", "-f", str(file), status=1)
        assert "did you mean tradesPerSecond?" in said

    def test_suspend_resume_history_and_rollback(self, operator: Operator) -> None:
        self.run(operator, "suspend", "tf/market")

        def replicas() -> int:
            return int(operator.get("deployment", "market-feed")["spec"]["replicas"])

        wait_until(lambda: replicas() == 0, "the workload to stop")
        assert operator.condition("tradefeed", "market", "Ready")["reason"] == "Suspended"
        self.run(operator, "resume", "tf/market")
        wait_until(lambda: replicas() == 1, "the workload to go on")
        number = operator.get("tradefeed", "market")["status"]["revision"]
        self.run(operator, "rollback", "tradefeed/market", str(number))
        assert f"* {number:>5}" in self.run(operator, "history", "tf/market")
        wait_until(lambda: accepted(operator), "the feed to be accepted")

    def test_why_and_graph(self, operator: Operator) -> None:
        assert "TradeFeed/market  TopicsNotReady" in self.run(operator, "graph")
        assert "KafkaTopic raw.trades" in self.run(operator, "why", "tf/market")
        assert "there is no TradeFeed nobody" in self.run(operator, "why", "tf/nobody", status=1)


def test_every_line_of_the_log_is_json_and_none_is_an_error(operator: Operator) -> None:
    for line in operator.log():
        assert json.loads(line)["level"] not in ("ERROR", "CRITICAL"), line
