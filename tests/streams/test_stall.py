"""The silent stall: a job that begins again without state, under an id the tables have seen.

Iceberg's sink takes its checkpoints for committed and drops them (apache/iceberg #18098): the job
runs, its checkpoints complete, and rows are lost. It must be noticed, and mended without a loss.
"""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic
from tapehouse_lakehouse.catalog import Lake
from tapehouse_lakehouse.checkpoints import completed
from tapehouse_lakehouse.kube import World
from tapehouse_lakehouse.metrics import Metrics
from tapehouse_lakehouse.model import Producer as Filled
from tapehouse_lakehouse.model import Published, PublishIntent, TableSpec
from tapehouse_lakehouse.publisher import Publisher
from tapehouse_laptop import jars, toolchain
from tapehouse_operator.emit.ddl import Clock, Input, input_ddl
from tapehouse_operator.emit.events import Event, Field
from tapehouse_operator.emit.job import Program
from tapehouse_operator.emit.sql import inserts

from tests.feed.broker import Broker
from tests.streams.platform import TABLE_PROPERTIES, TRADES, CatalogServer, catalog_server
from tests.support.controlplane import free_net

pytestmark = [pytest.mark.e2e, pytest.mark.local]

TABLE, TOPIC, BRANCH = "bronze.trades", "trades", "rev-00001"
BATCH = 100
INTERVAL = 1.0
COMMITTED = 20
"""Checkpoints of the first attempt: as many of the second are dropped."""
WITHIN = 4
"""Checkpoints until it is reported: three intervals, and one that may complete meanwhile."""
ATTEMPT = Path(__file__).with_name("attempt.py")
EVENT = Event(
    "Trade",
    TOPIC,
    "symbol",
    None,
    (
        Field("trade_id", "long", required=True),
        Field("symbol", "string", required=True),
        Field("price", "double"),
    ),
)
SQL = """INSERT INTO bronze.trades (trade_id, symbol, price, kafka_partition, kafka_offset)
SELECT trade_id, symbol, price, kafka_partition, kafka_offset FROM trades;"""


@dataclass
class Scene:
    root: Path
    broker: Broker
    catalog: CatalogServer

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    def produce(self, batch: int) -> None:
        producer = Producer({"bootstrap.servers": self.broker.bootstrap})
        for number in range(batch * BATCH, (batch + 1) * BATCH):
            trade = {"trade_id": number, "symbol": "A", "price": number / 8}
            producer.produce(TOPIC, json.dumps(trade))
        assert producer.flush(30) == 0

    def document(self) -> dict[str, Any]:
        table = Input("trades", TOPIC, (EVENT,), filtered=False, known=("Trade",))
        clock = Clock(timedelta(0), None, timedelta(minutes=1))
        kafka = {"bootstrap.servers": self.broker.bootstrap}
        ddl = input_ddl(table, clock, kafka, "stall")
        found = inserts(SQL)
        program = Program("stall", "n", self.catalog.uri, "", ddl, found)
        return program.document(1, None)

    @contextmanager
    def attempt(self, job_id: str, restore: str = "") -> Iterator[None]:
        """The job runs, and is killed in the end."""
        options = {
            "execution.target": "local",
            "$internal.pipeline.job-id": job_id,
            "parallelism.default": "1",
            "execution.checkpointing.interval": f"{INTERVAL:.0f} s",
            "execution.checkpointing.dir": self.checkpoints.as_uri(),
            "execution.checkpointing.num-retained": "5",
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
            **({"execution.state-recovery.path": restore} if restore else {}),
        }
        (self.root / "job.json").write_text(json.dumps(self.document()))
        (self.root / "options.json").write_text(json.dumps(options))
        python = toolchain.streams_environment() / "bin/python"
        with (self.root / "attempt.log").open("ab") as log:
            process = subprocess.Popen(
                [python, "-P", ATTEMPT, self.root / "job.json", self.root / "options.json"],
                env={**os.environ, "TAPEHOUSE_ROOT": str(self.root), "TMPDIR": str(self.root)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield
        finally:
            os.killpg(process.pid, 9)
            process.wait()

    def ids(self, reference: str) -> list[int]:
        table = self.catalog.load().load_table(TABLE)
        found = table.refs().get(reference)
        if found is None:
            return []
        return sorted(table.scan(snapshot_id=found.snapshot_id).to_arrow()["trade_id"].to_pylist())

    def wait(self, check: Callable[[], object], seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not check():
            log = (self.root / "attempt.log").read_text(errors="replace")
            assert time.monotonic() < end, log[-4000:]
            time.sleep(0.1)


class Recorder:
    """What the publisher says."""

    def __init__(self) -> None:
        self.latest: Published | None = None

    def write(self, spec: TableSpec, uid: str, result: Published) -> None:
        self.latest = result


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    net = free_net()
    (tmp_path / "opt/flink").mkdir(parents=True)
    (tmp_path / "opt/flink/lib").symlink_to(jars.flink())
    broker = Broker(tmp_path, net.address(0, 20))
    broker.start()
    try:
        broker.create(NewTopic(TOPIC, 1, 1))
        with catalog_server(tmp_path, net.address(0, 10)) as catalog:
            loaded = catalog.load()
            loaded.create_namespace("bronze")
            loaded.create_table(TABLE, TRADES, properties=TABLE_PROPERTIES)
            yield Scene(tmp_path, broker, catalog)
    finally:
        broker.stop()


def world(scene: Scene) -> World:
    made = World()
    made.intents = {
        "stall-publish": PublishIntent(
            job="stall",
            namespace="n",
            revision=1,
            branch=BRANCH,
            tables=(TABLE,),
            checkpoints=scene.checkpoints.as_uri(),
            interval=INTERVAL,
        )
    }
    filled = Filled(type="stream")
    made.tables = {
        TABLE: TableSpec(table="trades", identifier=TABLE, namespace="n", producer=filled)
    }
    made.uids = {TABLE: "uid"}
    return made


def test_a_silent_stall_is_told_and_repaired_without_a_loss(scene: Scene) -> None:
    results, around = Recorder(), world(scene)
    publisher = Publisher(Lake(scene.catalog.load()), results, Metrics())  # type: ignore[arg-type]

    def reason() -> str:
        publisher.step(around, time.monotonic())
        return results.latest.reason if results.latest else ""

    def completed_since(moment: float) -> int:
        found = completed(scene.checkpoints.as_uri())
        return sum(each.at_ms > 1000 * moment for each in found)

    def highest() -> int:
        return max((each.number for each in completed(scene.checkpoints.as_uri())), default=0)

    first, later = uuid.uuid4().hex, uuid.uuid4().hex
    scene.produce(0)
    with scene.attempt(first):
        scene.wait(lambda: reason() == "Published" and highest() >= COMMITTED)
    scene.wait(lambda: reason() == "Published" and len(scene.ids("main")) == BATCH)

    scene.produce(1)
    began = time.time()
    with scene.attempt(first):
        scene.wait(lambda: reason() == "CommitStalled")
        assert completed_since(began) <= WITHIN
        assert scene.ids(BRANCH) == list(range(BATCH)), "and what it read is nowhere"

    assert results.latest
    assert results.latest.restore
    scene.produce(2)
    with scene.attempt(later, results.latest.restore):
        scene.wait(lambda: len(scene.ids(BRANCH)) >= 3 * BATCH)
        scene.wait(lambda: reason() == "Published" and len(scene.ids("main")) >= 3 * BATCH)
    assert scene.ids("main") == list(range(3 * BATCH))
