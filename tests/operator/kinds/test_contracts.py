"""What others rely on: schemas, columns, texts that are kept elsewhere."""

import copy
import json
from typing import Any

from tests.operator.engine.virtual import run_virtual
from tests.operator.kinds.cluster import Cluster, cluster
from tests.operator.kinds.test_cluster import LOCAL

SETTINGS_AND_KAFKA = ("ConfigMap", "Kafka")
FIELDS = [
    {"name": "id", "type": "string", "required": True},
    {"name": "price", "type": "double"},
    {"name": "at", "type": "timestamptz"},
]
EVENT = {"name": "Tick", "fields": FIELDS, "key": "id", "eventTime": "at"}
SQL = "INSERT INTO raw.ticks (id, price) SELECT id, price FROM ticks;"


def resource(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    body = {"apiVersion": "tapehouse.dev/v1alpha1", "kind": kind, "metadata": {"name": name}}
    return {**body, "spec": spec}


def config(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def everything() -> list[dict[str, Any]]:
    base = [d for d in LOCAL if d["kind"] in SETTINGS_AND_KAFKA]
    columns = [{"name": "id", "type": "string"}, {"name": "price", "type": "double"}]
    source = {"simulator": {"symbols": ["A"], "tradesPerSecond": 1, "seed": 1}}
    return copy.deepcopy(
        [
            *base,
            resource("TradeFeed", "feed", source=source, events=[EVENT]),
            config("sql", job=SQL),
            resource(
                "StreamJob",
                "job",
                inputs=[{"as": "ticks", "feed": "feed", "event": "Tick"}],
                outputs=[{"table": "ticks"}],
                sqlFrom={"configMapKeyRef": {"name": "sql", "key": "job"}},
            ),
            resource(
                "LakehouseTable",
                "ticks",
                identifier="raw.ticks",
                columns=columns,
                stream={"job": "job"},
            ),
            resource(
                "LakehouseTable",
                "top",
                identifier="gold.top",
                columns=columns,
                transform={
                    "inputs": ["ticks"],
                    "sql": "SELECT id, price FROM raw.ticks ORDER BY price",
                },
            ),
        ]
    )


def play(scene: Any) -> None:
    async def main() -> None:
        async with cluster(everything()) as c:
            await c.settle()
            assert c.unready() == {}
            await scene(c)

    run_virtual(main())


def refused(c: Cluster, kind: str, name: str) -> tuple[str, str]:
    status, reason, message = c.condition(kind, name, "Accepted")
    assert status == "False"
    return reason, message


def test_an_event_that_breaks_its_promise_names_the_field_and_who_reads_it() -> None:
    async def scene(c: Cluster) -> None:
        event = copy.deepcopy(EVENT)
        event["fields"][1]["type"] = "string"  # type: ignore[index]
        c.patch("TradeFeed", "feed", events=[event])
        await c.settle()
        reason, message = refused(c, "TradeFeed", "feed")
        assert reason == "IncompatibleSchema"
        assert "field price of event Tick changes from double to string" in message
        c.patch("TradeFeed", "feed", events=[{**EVENT, "name": "Tock"}])
        await c.settle()
        reason, message = refused(c, "TradeFeed", "feed")
        assert "it is read by streamjob/job (spec.inputs[0])" in message
        topics = json.loads(c.get("v1", "ConfigMap", "feed-feed")["data"]["feed.json"])["events"]
        assert [e["name"] for e in topics] == ["Tick"]

    play(scene)


def test_what_is_read_stays_refused_when_the_operator_starts_again() -> None:
    """It does not know at once who reads what: it waits, and writes nothing meanwhile."""

    async def scene(c: Cluster) -> None:
        c.patch("TradeFeed", "feed", events=[{**EVENT, "name": "Tock"}])
        c.patch("LakehouseTable", "ticks", columns=[{"name": "id", "type": "string"}])
        await c.settle()
        before = refused(c, "TradeFeed", "feed"), refused(c, "LakehouseTable", "ticks")
        written = len(c.kube.writes)
        await c.restart()
        await c.settle()
        assert c.kube.writes[written:] == []
        assert before == (refused(c, "TradeFeed", "feed"), refused(c, "LakehouseTable", "ticks"))

    play(scene)


def test_a_weaker_promise_must_be_agreed_to() -> None:
    async def scene(c: Cluster) -> None:
        weak = {"compatibility": "NONE"}
        c.patch("TradeFeed", "feed", schema=weak)
        await c.settle()
        reason, message = refused(c, "TradeFeed", "feed")
        assert reason == "AcknowledgementRequired"
        assert "put WeakerCompatibility into spec.acknowledge" in message
        c.patch("TradeFeed", "feed", schema=weak, acknowledge=["WeakerCompatibility"])
        await c.settle()
        assert c.unready() == {}

    play(scene)


def test_what_may_never_change_is_refused_by_the_operator_too() -> None:
    async def scene(c: Cluster) -> None:
        c.patch("StreamJob", "job", maxParallelism=64)
        await c.settle()
        reason, message = refused(c, "StreamJob", "job")
        assert (reason, message.split(":")[0]) == ("Immutable", "spec.maxParallelism")
        c.patch("StreamJob", "job", maxParallelism=None)
        await c.settle()
        assert c.unready() == {}

    play(scene)


def test_a_column_that_somebody_reads_is_not_renamed_under_them() -> None:
    async def scene(c: Cluster) -> None:
        renamed = [
            {"name": "id", "type": "string"},
            {"name": "cost", "type": "double", "previousName": "price"},
        ]
        c.apply([config("sql", job=SQL.replace("(id, price)", "(id, cost)"))])
        c.patch("LakehouseTable", "ticks", columns=renamed)
        await c.settle()
        reason, message = refused(c, "LakehouseTable", "ticks")
        assert reason == "IncompatibleChange"
        assert "column price is read by lakehousetable/top (spec.transform.sql)" in message

        sql = "SELECT id, cost FROM raw.ticks ORDER BY cost"
        c.patch("LakehouseTable", "top", transform={"inputs": ["ticks"], "sql": sql})
        await c.settle()
        assert c.unready() == {}
        assert [x.name for x in c.tables.states["raw.ticks"].columns] == ["id", "cost"]

    play(scene)


def test_sql_that_changes_in_its_configmap_is_a_revision() -> None:
    async def scene(c: Cluster) -> None:
        c.apply([config("sql", job=SQL.replace("id, price FROM", "id, price * 2 FROM"))])
        await c.settle()
        assert c.get("tapehouse.dev/v1alpha1", "StreamJob", "job")["status"]["revision"] == 2
        program = json.loads(c.get("v1", "ConfigMap", "job-00002")["data"]["job.json"])
        assert "price * 2" in program["inserts"][0]
        record = c.get("apps/v1", "ControllerRevision", "streamjob.job-00001")
        assert record["data"]["spec"]["sql"] == SQL
        assert c.unready() == {}

    play(scene)


def test_sql_that_is_spoilt_in_its_configmap_leaves_the_old_running() -> None:
    async def scene(c: Cluster) -> None:
        before = copy.deepcopy(c.get("v1", "ConfigMap", "job-00001"))
        for bad in (config("sql", job="INSERT INTO raw.ticks SELEKT"), config("sql", other="x")):
            c.kube.edit(_sql(c), {"data": {"job": None, "other": None, **bad["data"]}})
            await c.settle()
            assert refused(c, "StreamJob", "job")[1].startswith("spec.sqlFrom")
            assert c.get("v1", "ConfigMap", "job-00001") == before
            assert c.condition("StreamJob", "job", "Running")[0] == "True"

    play(scene)


def _sql(c: Cluster) -> Any:
    return next(ref for ref in c.kube.objects if (ref.kind, ref.name) == ("ConfigMap", "sql"))
