"""`environments/local` under the whole operator, with the vendors' parts played."""

import json
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import yaml
from tapehouse_cli.resources.graph import build_graph
from tapehouse_cli.resources.snapshot import Snapshot
from tapehouse_operator.kinds import KINDS as ENGINE
from tapehouse_operator.kinds.contract import Key

from tests.operator.engine.virtual import run_virtual
from tests.operator.kinds.cluster import NS, Cluster, cluster
from tests.operator.kinds.test_environments import ENVIRONMENTS, documents

FLINK = ("flink.apache.org/v1beta1", "FlinkDeployment", "land")
CONFIG = ("v1", "ConfigMap")
KINDS = ("ConfigMap", "Kafka", "TradeFeed", "StreamJob", "LakehouseTable")
LOCAL = [d for d in documents(ENVIRONMENTS / "local") if d["kind"] in KINDS]
TRADES = next(d for d in LOCAL if d["metadata"]["name"] == "bronze-trades")
LAND = next(d for d in LOCAL if d["metadata"]["name"] == "land")
Scene = Callable[[Cluster], Coroutine[Any, Any, None]]


def play(scene: Scene, bodies: list[dict[str, Any]] = LOCAL) -> None:
    """Let `scene` go on where everything applied has come to rest."""

    async def main() -> None:
        async with cluster(bodies) as c:
            await c.settle()
            await scene(c)

    run_virtual(main())


@pytest.mark.parametrize("seed", range(5))
def test_everything_becomes_ready_in_whatever_order_it_is_applied(seed: int) -> None:
    shuffled = random.Random(seed).sample(LOCAL, len(LOCAL))

    async def scene(c: Cluster) -> None:
        assert c.unready() == {}
        before = len(c.kube.writes)
        await c.settle(quiet_for=60)
        assert len(c.kube.writes) == before

    play(scene, shuffled)


def test_the_job_lands_seven_tables_on_its_first_branch() -> None:
    async def scene(c: Cluster) -> None:
        job = json.loads(c.get(*CONFIG, "land-00001")["data"]["job.json"])
        assert (job["branch"], job["forkFrom"]) == ("rev-00001", None)
        assert len(job["inserts"]) == 7 + 1, "and the dead letters"
        bronze = {name for name in c.tables.states if name.startswith("bronze.")}
        assert set(job["outputs"]) == bronze
        assert len(bronze) == 7
        assert not [r for r in c.kube.objects if r.kind == "Pod"]

    play(scene)


def test_a_changed_rate_makes_a_revision_and_leaves_the_job_alone() -> None:
    async def scene(c: Cluster) -> None:
        flink = c.get(*FLINK)["metadata"]["generation"]
        source = {"simulator": {"symbols": ["AAPL"], "tradesPerSecond": 7, "seed": 7}}
        c.patch("TradeFeed", "market", source=source)
        await c.settle()

        feed = json.loads(c.get(*CONFIG, "market-feed")["data"]["feed.json"])
        assert feed["source"]["tradesPerSecond"] == 7
        assert c.get(*FLINK)["metadata"]["generation"] == flink
        assert c.unready() == {}

    play(scene)


def test_a_new_column_is_in_the_table_before_the_job_writes_it() -> None:
    async def scene(c: Cluster) -> None:
        column = {"name": "notional", "type": "double"}
        c.patch("LakehouseTable", "bronze-trades", columns=[*TRADES["spec"]["columns"], column])
        sql = LAND["spec"]["sql"].replace(
            "INSERT INTO bronze.trades (", "INSERT INTO bronze.trades (notional, ", 1
        )
        sql = sql.replace("SELECT\n", "SELECT price * quantity,\n", 1)
        c.patch("StreamJob", "land", sql=sql)
        await c.settle()

        assert c.unready() == {}
        assert c.tables.states["bronze.trades"].columns[-1].name == "notional"
        job = json.loads(c.get(*CONFIG, "land-00002")["data"]["job.json"])
        assert (job["branch"], job["forkFrom"]) == ("rev-00002", "rev-00001")
        assert "`notional`" in job["inserts"][0]
        publish = json.loads(c.get(*CONFIG, "land-publish")["data"]["publish.json"])
        assert publish["branch"] == "rev-00002"

    play(scene)


FOLLOW = yaml.safe_load("""
apiVersion: tapehouse.dev/v1alpha1
kind: StreamJob
metadata: {name: follow}
spec:
  inputs: [{as: alerts, topic: alerts.price-movement}]
  outputs: [{topic: alerts.loud, key: [symbol], columns: [{name: symbol, type: string}]}]
  sql: INSERT INTO `alerts.loud` (symbol) SELECT symbol FROM alerts WHERE severity = 'CRITICAL'
""")


def test_a_job_reads_what_another_writes_and_goes_on_when_that_one_has_less() -> None:
    async def scene(c: Cluster) -> None:
        assert c.unready() == {}
        program = c.get(*CONFIG, "follow-00001")["data"]["job.json"]
        assert "`severity` STRING" in program
        graph = await build_graph(await Snapshot(c.kube, ENGINE, NS).load())  # type: ignore[arg-type]
        topic = Key("KafkaTopic", NS, "alerts.price-movement")
        assert graph.below[topic] == (Key("StreamJob", NS, "follow"),)

        spec = next(d for d in LOCAL if d["metadata"]["name"] == "refine")["spec"]
        outputs = [
            {**output, "columns": [x for x in output["columns"] if x["name"] != "severity"]}
            if output.get("topic") == topic.name
            else output
            for output in spec["outputs"]
        ]
        sql = spec["sql"].replace("CAST(severity AS STRING), ", "").replace("severity, ", "")
        c.patch("StreamJob", "refine", outputs=outputs, sql=sql)
        await c.settle()
        assert c.get(*CONFIG, "follow-00001")["data"]["job.json"] == program

    play(scene, [FOLLOW, *LOCAL])


def test_another_partition_is_in_the_table_before_the_job_starts_again() -> None:
    async def scene(c: Cluster) -> None:
        before = c.get(*FLINK)["metadata"]["generation"]
        wanted = ["day(timestamp)", "bucket(4, symbol)"]
        c.patch("LakehouseTable", "bronze-trades", partition=wanted)
        await c.settle()
        assert c.unready() == {}
        assert list(c.tables.states["bronze.trades"].partition) == wanted
        job = json.loads(c.get(*CONFIG, "land-00001")["data"]["job.json"])
        assert job["partitions"]["bronze.trades"] == wanted
        assert c.get(*FLINK)["metadata"]["generation"] == before + 1

    play(scene)


REFUSALS: dict[str, tuple[str, str, dict[str, Any], str, str]] = {
    "unknown field": (
        "TradeFeed",
        "market",
        {"sauce": {}},
        "UnknownField",
        "spec.sauce",
    ),
    "impossible type change": (
        "LakehouseTable",
        "bronze-trades",
        {
            "columns": [
                {**c, "type": "long"} if c["name"] == "price" else c
                for c in TRADES["spec"]["columns"]
            ]
        },
        "IncompatibleChange",
        "spec.columns[4].type",
    ),
    "SQL that does not parse": (
        "StreamJob",
        "land",
        {"sql": "INSERT INTO bronze.trades SELEKT 1"},
        "InvalidSql",
        "spec.sql",
    ),
    "SQL that Flink cannot plan": (
        "StreamJob",
        "land",
        {"sql": LAND["spec"]["sql"].replace("FROM trades", "FROM NO_SUCH_FUNCTION(trades)")},
        "InvalidSql",
        "spec.sql",
    ),
    "missing feed": (
        "StreamJob",
        "land",
        {"inputs": [{**i, "feed": "markt"} for i in LAND["spec"]["inputs"]]},
        "FeedNotFound",
        "spec.inputs[0].feed",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_broken_spec_is_refused_while_the_old_one_keeps_running(case: str) -> None:
    kind, name, spec, reason, path = REFUSALS[case]

    async def scene(c: Cluster) -> None:
        before = {
            ref: yaml.safe_dump(body.get("spec") or body.get("data"))
            for ref, body in c.kube.objects.items()
            if ref.api_version != "tapehouse.dev/v1alpha1" and ref.kind != "Pod"
        }
        c.patch(kind, name, **spec)
        await c.settle()

        status, why, message = c.condition(kind, name, "Accepted")
        assert (status, why) == ("False", reason)
        assert message.startswith(f"{path}: ")
        for ref, text in before.items():
            body = c.kube.objects[ref]
            assert yaml.safe_dump(body.get("spec") or body.get("data")) == text, ref

    play(scene)


def test_a_feed_that_comes_back_is_found_again() -> None:
    market = next(d for d in LOCAL if d["kind"] == "TradeFeed")

    async def scene(c: Cluster) -> None:
        topics = {r.name for r in c.kube.objects if r.kind == "KafkaTopic"}
        c.remove("TradeFeed", "market")
        await c.settle()
        assert c.condition("StreamJob", "land", "Accepted")[1] == "FeedNotFound"
        assert {r.name for r in c.kube.objects if r.kind == "KafkaTopic"} == topics

        c.apply([market])
        await c.settle()
        assert c.unready() == {}

    play(scene)


def test_a_job_made_anew_goes_on_after_the_branches_that_its_tables_have() -> None:
    """Its history went with it; `rev-00001` is still there, with the rows of then."""
    said = {"revision": 3, "branch": "rev-00003", "ok": True, "reason": "Published"}
    told = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "bronze-trades-published"},
        "data": {"published.json": json.dumps(said)},
    }

    async def scene(c: Cluster) -> None:
        assert c.get(*FLINK)["metadata"]["labels"]["tapehouse.dev/revision"] == "1"
        c.apply([told])
        c.remove("StreamJob", "land")
        await c.settle()
        c.apply([LAND])
        await c.settle()
        status, reason, message = c.condition("StreamJob", "land", "Accepted")
        assert (status, reason) == ("False", "AcknowledgementRequired")
        assert "up to revision 3" in message
        assert not [r for r in c.kube.objects if r.kind == FLINK[1] and r.name == "land"]

        c.patch("StreamJob", "land", restoreFrom="file:/state/land/savepoints/savepoint-1")
        await c.settle()
        assert c.unready() == {}
        job = json.loads(c.get(*CONFIG, "land-00004")["data"]["job.json"])
        assert (job["branch"], job["forkFrom"]) == ("rev-00004", "rev-00003")
        status = c.get("tapehouse.dev/v1alpha1", "StreamJob", "land")["status"]
        assert (status["revision"], status["revisionHighWater"]) == (4, 4)

    play(scene)
