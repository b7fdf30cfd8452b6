"""Looking back and stepping in."""

import json
from typing import Any

import pytest
from tapehouse_cli.resources.snapshot import Snapshot
from tapehouse_cli.resources.verbs import find_key, history, rollback, set_suspended
from tapehouse_operator.kinds import KINDS
from tapehouse_operator.kinds.contract import Key

from tests.cli.resources.test_plan import DryKube
from tests.operator.engine.virtual import run_virtual
from tests.operator.kinds.cluster import NS, Cluster, cluster
from tests.operator.kinds.test_contracts import everything
from tests.operator.sweep.stories import RESOURCES

JOB, FEED = Key("StreamJob", NS, "job"), Key("TradeFeed", NS, "feed")


async def seen(c: Cluster) -> Snapshot:
    kube: Any = DryKube(c.kube)
    kube.merge = c.kube.merge
    return await Snapshot(kube, KINDS, NS).load()


def play(scene: Any) -> None:
    async def main() -> None:
        async with cluster(everything()) as c:
            await c.settle()
            await scene(c)

    run_virtual(main())


def test_going_back_is_a_new_revision_with_the_old_spec() -> None:
    async def scene(c: Cluster) -> None:
        for rate in (2, 3):
            source = {"simulator": {"symbols": ["A"], "tradesPerSecond": rate, "seed": 1}}
            c.patch("TradeFeed", "feed", source=source)
            await c.settle()
        with pytest.raises(ValueError, match=r"revision 9 of TradeFeed feed is not kept; kept: 1"):
            await rollback(await seen(c), FEED, 9)
        with pytest.raises(ValueError, match=r"feed has the spec of revision 3 already"):
            await rollback(await seen(c), FEED, 3)
        await rollback(await seen(c), FEED, 1)
        await c.settle()
        rows = await history(await seen(c), FEED)
        assert [(r.revision.number, r.is_current) for r in rows][-1] == (4, True)
        assert rows[-1].revision.digest == rows[0].revision.digest
        assert [r.changed for r in rows[1:]] == [("source.simulator.tradesPerSecond",)] * 3
        assert c.unready() == {}

    play(scene)


def test_a_job_goes_back_to_the_sql_it_had_though_that_was_elsewhere() -> None:
    async def scene(c: Cluster) -> None:
        job = next(b for b in everything() if b["metadata"]["name"] == "sql")
        text = job["data"]["job"].replace("id, price FROM", "id, price * 2 FROM")
        c.apply([{**job, "data": {"job": text}}])
        await c.settle()
        await rollback(await seen(c), JOB, 1)
        await c.settle()
        spec = (await seen(c)).bodies[JOB]["spec"]
        assert "price * 2" not in spec["sql"]
        assert "sqlFrom" not in spec
        assert c.unready() == {}

    play(scene)


def test_only_what_runs_can_be_stopped() -> None:
    async def scene(c: Cluster) -> None:
        assert await set_suspended(await seen(c), JOB, True)
        assert not await set_suspended(await seen(c), JOB, True)
        await c.settle()
        flink = c.get("flink.apache.org/v1beta1", "FlinkDeployment", "job")
        assert flink["spec"]["job"]["state"] == "suspended"
        assert await set_suspended(await seen(c), Key("LakehouseTable", NS, "ticks"), True)
        await c.settle()
        told = json.loads(c.get("v1", "ConfigMap", "ticks-table")["data"]["table.json"])
        assert told["suspend"]
        c.apply([RESOURCES["QualitySuite"]])
        suite = Key("QualitySuite", NS, RESOURCES["QualitySuite"]["metadata"]["name"])
        with pytest.raises(ValueError, match="a QualitySuite runs nothing of its own"):
            await set_suspended(await seen(c), suite, True)
        with pytest.raises(
            ValueError, match=r"there is no StreamJob jib in namespace .*; did you mean job\?"
        ):
            await set_suspended(await seen(c), Key("StreamJob", NS, "jib"), True)

    play(scene)


def test_kinds_are_known_by_all_their_names() -> None:
    for word in ("streamjob", "StreamJob", "streamjobs", "sj"):
        assert find_key(KINDS, f"{word}/job", NS) == JOB
    with pytest.raises(ValueError, match="KIND/NAME is expected"):
        find_key(KINDS, "job", NS)
