"""What runs beside the publisher, stepped by hand on a real catalog."""

from datetime import timedelta

import pytest
from tapehouse_lakehouse.kube import World
from tapehouse_lakehouse.metrics import Metrics
from tapehouse_lakehouse.model import (
    Compact,
    Expire,
    Maintenance,
    Producer,
    PublishIntent,
    TableSpec,
)
from tapehouse_lakehouse.worker import Worker, live_branch

from tests.lakehouse import declared, flink, market
from tests.lakehouse.market import utc

pytestmark = pytest.mark.local


class Recorder:
    """Results as the operator would read them."""

    def __init__(self):
        self.all = []

    def write(self, spec, uid, result):
        self.all.append((result.identifier, result.ok, result.reason, result.message))


class Bench:
    """A worker on clocks of its own."""

    def __init__(self, lake, *specs):
        self.results, self.metrics, self.now = Recorder(), Metrics(), 0.0
        self.at = utc(2026, 1, 1)
        self.worker = Worker(lake, self.results, self.metrics, lambda: self.at)
        self.world = World()
        self.declare(*specs)

    def declare(self, *specs):
        self.world.tables = {s.identifier: s for s in specs}
        self.world.uids = {s.identifier: "uid" for s in specs}

    def pass_time(self, seconds):
        self.now += seconds
        self.at += timedelta(seconds=seconds)
        self.worker.step(self.world, self.now)

    def count(self, metric, name, table):
        return metric.labels(name, table)._value.get()


def test_a_transform_follows_its_inputs(lake):
    for name in ("silver-candle-parts", "silver-candle-minutes"):
        declared.create(lake, name)
    bench = Bench(lake, declared.spec("silver-candle-minutes"))
    parts = flink.load(lake, "silver.candle_parts")
    parts.append(market.parts(market.trades(1, utc(2026, 3, 2, 9), 50, timedelta(seconds=30))))
    bench.pass_time(1)
    first = flink.load(lake, "silver.candle_minutes").metadata.current_snapshot_id
    assert first is not None
    assert bench.results.all == [
        ("silver.candle_minutes", True, "Published", "readers see what the inputs say")
    ]
    bench.pass_time(600)
    assert flink.load(lake, "silver.candle_minutes").metadata.current_snapshot_id == first
    parts.refresh().append(
        market.parts(market.trades(2, utc(2026, 3, 2, 9), 5, timedelta(seconds=30)))
    )
    bench.pass_time(600)
    assert flink.load(lake, "silver.candle_minutes").metadata.current_snapshot_id != first
    assert bench.metrics.corrected.labels("silver.candle_minutes")._value.get() > 0
    assert len(bench.results.all) == 1


def test_a_scheduled_transform_waits_for_its_time(lake):
    for name in ("silver-trades", "gold-sector-daily"):
        declared.create(lake, name)
    spec = declared.spec("gold-sector-daily", schedule="*/5 * * * *", on_snapshot=False)
    bench = Bench(lake, spec)
    bench.pass_time(1)
    trades = market.trades(1, utc(2026, 3, 2, 9), 20, timedelta(seconds=30))
    flink.load(lake, "silver.trades").append(market.silver(trades))
    for _ in range(4):
        bench.pass_time(60)
        assert flink.load(lake, "gold.sector_daily").metadata.current_snapshot_id is None
    bench.pass_time(60)
    assert flink.load(lake, "gold.sector_daily").metadata.current_snapshot_id is not None


def test_a_failure_is_told_retried_and_forgotten(lake):
    declared.create(lake, "dim-exchange")
    bad = declared.spec("dim-exchange")
    bad = remade(bad, producer=Producer(type="rows", rows=({"nosuch": 1},)))
    bench = Bench(lake, bad)
    bench.pass_time(1)
    bench.pass_time(1)
    (table, ok, reason, message) = bench.results.all[-1]
    assert (table, ok, reason) == ("dim.dim_exchange", False, "TaskFailed")
    assert "no column nosuch" in message
    assert bench.count(bench.metrics.task_failures, "load", table) == 1, "it waits before retrying"
    bench.declare(remade(bad, producer=Producer(type="rows", rows=({"exchange": "XNAS"},))))
    bench.pass_time(1)
    assert bench.results.all[-1][1:3] == (True, "Published")
    assert flink.load(lake, table).scan().to_arrow()["exchange"].to_pylist() == ["XNAS"]


def remade(spec, **changes):
    return TableSpec(**{f: getattr(spec, f) for f in spec.__struct_fields__} | changes)


def test_nothing_is_done_to_a_suspended_table_until_it_goes_on(lake):
    declared.create(lake, "dim-exchange")
    rows = Producer(type="rows", rows=({"exchange": "XNAS"},))
    spec = remade(declared.spec("dim-exchange"), producer=rows)
    bench = Bench(lake, remade(spec, suspend=True))
    bench.pass_time(600)
    assert flink.load(lake, spec.identifier).metadata.current_snapshot_id is None
    assert bench.results.all == []
    bench.declare(spec)
    bench.pass_time(1)
    assert bench.results.all[-1][1:3] == (True, "Published")
    assert flink.load(lake, spec.identifier).scan().to_arrow().num_rows == 1


def test_upkeep_happens_on_the_live_branch(lake):
    flink.create(lake, "bronze.trades")
    spec = TableSpec(
        table="bronze-trades",
        identifier="bronze.trades",
        namespace="n",
        producer=Producer(type="stream", job="land"),
        maintenance=Maintenance(
            compact=Compact(min_files=2, every="10m"), expire=Expire(keep_last=1, older_than="1ms")
        ),
    )
    bench = Bench(lake, spec)
    assert live_branch(spec, bench.world) is None
    bench.pass_time(1)
    for checkpoint in (1, 2, 3):
        flink.commit(lake, "bronze.trades", "rev-00007", checkpoint)
    bench.pass_time(200)
    table = flink.load(lake, "bronze.trades")
    assert len(table.metadata.snapshots) == 1, "only expired: the branch is not known yet"
    intent = PublishIntent(
        job="land", namespace="n", revision=7, branch="rev-00007", tables=("bronze.trades",)
    )
    bench.world.intents = {"land-publish": intent}
    bench.pass_time(601)
    bench.pass_time(601)
    table = flink.load(lake, "bronze.trades")
    head = table.refs()["rev-00007"].snapshot_id
    assert len(list(table.scan(snapshot_id=head).plan_files())) == 1
    assert flink.rows(lake, "bronze.trades", "rev-00007") == [1, 2, 3]
    assert not bench.results.all
