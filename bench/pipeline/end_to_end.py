"""The whole path on this machine: how long a trade takes, and how many a second arrive.

    .venv/bin/python -m bench.pipeline.end_to_end latency [--checkpoint 5s] [--warm 180]
    .venv/bin/python -m bench.pipeline.end_to_end throughput [--rate 20000] [--seconds 60]

A platform of its own is started: broker, catalog, publisher, operator, bridge and jobs, without
transforms and without the page. A trade's timestamp is the moment in which the exchange sends it,
so that times count from the socket:

`raw`       until a consumer has it from `raw.trades`: the bridge and Kafka
`enriched`  until a consumer has it from `enriched.trades`: one shuffle of Flink besides
`alert`     until a consumer has the alert it raises, from `alerts.price-movement`: two shuffles
`main`      until a reader of `bronze.trades` sees it (a look every 50 ms; every row counts)

`throughput` sends RATE trades a second (0: as many as are taken) until there are RATE * SECONDS of
them (0: 20,000 * SECONDS), and waits for all of them on `main`: nothing may be missing and nothing
twice. It reports the CPU time of each part of the path, once warm, and how many trades a second two
processors carry if nothing else needs them.
"""

import argparse
import signal
import statistics
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import orjson
import pyarrow.compute as pc
import pyarrow.parquet as pq
from confluent_kafka import Consumer
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.table import Table
from tapehouse_lakehouse.age import added
from tapehouse_lakehouse.catalog import Lake
from tapehouse_tape import times

from bench.pipeline.path import TABLE, TOPIC, path
from tests.local.platform import eventually

TOPICS = {
    TOPIC: ("raw", "timestamp"),
    "enriched.trades": ("enriched", "timestamp"),
    "alerts.price-movement": ("alert", "triggered_at"),
}
LOOK = 0.05
BEHIND = 10.0
"""Seconds that jobs may be behind when they begin to be warm."""
WARM = 180.0
"""Seconds from then that are not counted: so long JVMs compile what they run."""
CALM = 200
"""Trades a second while times are taken."""
USUAL = 20_000
PATIENCE = 8
"""Times the length of a run after which it has failed."""


class Topics(threading.Thread):
    """Notes how old records are as they come."""

    def __init__(self, kafka: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.ages: dict[str, list[float]] = defaultdict(list)
        self.stopping = threading.Event()
        group = {"group.id": f"bench-{uuid.uuid4()}", "auto.offset.reset": "latest"}
        self._consumer = Consumer({**kafka, **group, "fetch.wait.max.ms": 10})
        self._consumer.subscribe(list(TOPICS))

    def run(self) -> None:
        while not self.stopping.is_set():
            message = self._consumer.poll(0.1)
            if message is not None and not message.error():
                now = time.time()
                name, field = TOPICS[str(message.topic())]
                said = orjson.loads(message.value() or b"")[field]
                self.ages[name].append(now - times.to_micros(said) / 1e6)
        self._consumer.close()


def visible(catalog: RestCatalog, name: str, seconds: float) -> list[float]:
    """How old each trade is when a reader first can see it.

    Only where `main` points is asked meanwhile, which costs next to nothing; what came with each
    snapshot is read afterwards.
    """
    lake = Lake(catalog)
    first = last = _published(lake, name)
    seen: list[tuple[int, float]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(LOOK)
        if (newest := _published(lake, name)) != last:
            seen.append((newest, time.time()))
            last = newest
    table = catalog.load_table(name)
    ages: list[float] = []
    for snapshot, at in seen:
        for file in _new_files(table, snapshot, first):
            ages += [at - timestamp for timestamp in _timestamps(table, file)]
        first = snapshot
    return ages


def _published(lake: Lake, name: str) -> int:
    view = lake.look(name)
    return (view.main if view else None) or 0


def _new_files(table: Table, until: int, since: int) -> list[str]:
    found = []
    at = table.snapshot_by_id(until)
    while at is not None and at.snapshot_id != since:
        found += [file.file_path for file in added(table, at.snapshot_id)]
        at = table.snapshot_by_id(at.parent_snapshot_id) if at.parent_snapshot_id else None
    return found


def _timestamps(table: Table, path: str) -> list[float]:
    with table.io.new_input(path).open() as file:
        column = pq.read_table(file, columns=["timestamp"])["timestamp"]
    return [value / 1e6 for value in column.cast("int64").to_pylist()]


def latency(net: str, checkpoint: str, seconds: float, warm: float) -> None:
    with path(net, checkpoint, ("land", "refine"), CALM, 10**9) as load:
        table = load.platform.catalog.load_table(TABLE)
        load.go()
        began = time.monotonic()
        # Jobs that have just started are behind for as long as they compile.
        eventually(lambda: _rows(table) > CALM * (time.monotonic() - began - BEHIND) > 0, 240)
        time.sleep(warm)
        topics = Topics(load.platform.info["kafka"])
        topics.start()
        before = load.cpu()
        ages = visible(load.platform.catalog, TABLE, seconds)
        used = _since(before, load.cpu())
        topics.stopping.set()
        topics.join()
    print(f"{CALM} trades/s, a checkpoint every {checkpoint}, {seconds:.0f} s")
    print("| | | p50 | p99 | most |\n|---|---|---|---|---|")
    for name, _ in TOPICS.values():
        report(name, topics.ages[name])
    report("main", ages)
    busy = sorted(used.items(), key=itemgetter(1), reverse=True)
    parts = ", ".join(f"{name} {spent / seconds:.2f}" for name, spent in busy)
    print(f"\nprocessors busy: {sum(used.values()) / seconds:.2f} ({parts})")


def report(name: str, ages: list[float]) -> None:
    if len(ages) < 2:
        print(f"| {name} | {len(ages)} | | | |")
        return
    cuts = statistics.quantiles(ages, n=100)
    cells = (f"{1000 * value:,.0f} ms" for value in (cuts[49], cuts[98], max(ages)))
    print(f"| {name} | {len(ages):,} | {' | '.join(cells)} |")


def throughput(net: str, checkpoint: str, rate: int, seconds: float, jobs: Sequence[str]) -> None:
    count = round((rate or USUAL) * seconds)
    with path(net, checkpoint, jobs, rate, count) as load:
        table = load.platform.catalog.load_table(TABLE)
        load.go()
        began = time.monotonic()
        warm = _arrived(table, count // 3, began, PATIENCE * seconds)
        before = load.cpu()
        last = _arrived(table, count, began, PATIENCE * seconds)
        used = _since(before, load.cpu())
        ids = table.refresh().scan(selected_fields=("trade_id",)).to_arrow()["trade_id"]
        print(f"\nexchange: {load.sent()}; all on main {last[0]:.1f} s after the first was sent")
    different = pc.count_distinct(ids).as_py()
    print(f"sent {count:,}, on main {len(ids):,}, of them different {different:,}")
    spent, landed = last[0] - warm[0], last[1] - warm[1]
    print(f"after the first third, which warms machines up: {landed / spent:,.0f} a second landed")
    costs(used, landed, spent)
    assert len(ids) == different == count, "lost or doubled"


def _arrived(table: Table, count: int, began: float, patience: float) -> tuple[float, int]:
    """Wait for so many trades on `main`: after how many seconds there were how many."""
    said = time.monotonic()
    while True:
        rows, now = _rows(table), time.monotonic()
        if now - said > 5:
            said = now
            print(f"{now - began:6.1f} s {rows:12,} on main", flush=True)
        if rows >= count:
            return now - began, rows
        assert now < began + patience, f"{rows:,} of {count:,} on main after {patience:.0f} s"
        time.sleep(0.5)


def _rows(table: Table) -> int:
    """How many there are on `main` now."""
    snapshot = table.refresh().current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return 0
    return int(snapshot.summary["total-records"] or 0)


def _since(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}


def costs(used: dict[str, float], count: int, spent: float) -> None:
    """Which part used how much, and what two processors carry."""
    print("\n| part | CPU-seconds | per million trades |\n|---|---|---|")
    for name, seconds in sorted(used.items(), key=itemgetter(1), reverse=True):
        print(f"| {name} | {seconds:.1f} | {1e6 * seconds / count:.1f} |")
    total = sum(used.values())
    print(f"| all | {total:.1f} | {1e6 * total / count:.1f} |")
    print(
        f"\n{total / spent:.2f} processors were busy; two carry {2 * count / total:,.0f} trades/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("latency", "throughput"))
    parser.add_argument("--checkpoint", default="5s")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--warm", type=float, default=WARM, help="of latency: seconds not counted")
    parser.add_argument("--rate", type=int, default=USUAL)
    parser.add_argument("--jobs", nargs="+", default=["land"], help="of throughput: land, refine")
    parser.add_argument("--net", default="87", help="second number of the loopback addresses")
    options = parser.parse_args()
    # Interrupting this script stops the platform too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if options.what == "latency":
        latency(options.net, options.checkpoint, options.seconds, options.warm)
    else:
        throughput(options.net, options.checkpoint, options.rate, options.seconds, options.jobs)


if __name__ == "__main__":
    main()
