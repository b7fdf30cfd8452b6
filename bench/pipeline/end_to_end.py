"""The whole path on this machine: how long a trade takes, and how many a second arrive.

    .venv/bin/python -m bench.pipeline.end_to_end latency [--checkpoint 1s] [--seconds 60]
    .venv/bin/python -m bench.pipeline.end_to_end throughput [--rate 20000] [--seconds 60]

A platform of its own is started: broker, catalog, publisher, operator, the simulated exchange and
the jobs, without transforms and without the page. A trade's timestamp is the moment in which the
exchange sends it, so that times count from the socket:

`main`      until a reader of `bronze.trades` sees it (a look every 50 ms; every row counts)
`topic`     until a consumer has it from `enriched.trades`, the way that alerts take
`alert`     the same of `alerts.price-movement`, of those there were

`throughput` sends so many trades a second for so long, and counts what is on `main` in the end:
nothing may be missing and nothing twice. The exchange sends other events besides, a few for each
trade; the rate said is that of trades.
"""

import argparse
import statistics
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from confluent_kafka import Consumer
from pyiceberg.table import Table
from tapehouse_tape import times

from tests.local.platform import Platform, eventually, running

TOPICS = {
    "enriched.trades": ("topic", "timestamp"),
    "alerts.price-movement": ("alert", "triggered_at"),
}
LOOK = 0.05
WARM = 20.0
"""Seconds that are not counted: machines need to get warm."""


@contextmanager
def platform(
    net: str, checkpoint: str, simulator: dict[str, Any], jobs: Sequence[str]
) -> Iterator[Platform]:
    """A platform of the benchmark's own, ready."""

    def edit(body: dict[str, Any]) -> None:
        if body["metadata"]["name"] == "tapehouse-platform":
            body["data"]["checkpointInterval"] = checkpoint
        if body["kind"] == "TradeFeed":
            body["spec"]["source"]["simulator"] |= simulator

    with tempfile.TemporaryDirectory(prefix="bench-path-") as directory:
        home = Path(directory)
        with running(home, net, edit, keep=partial(needed, jobs)) as ready:
            yield ready


def needed(jobs: Sequence[str], body: dict[str, Any]) -> bool:
    """Not transforms, other jobs and what they write, the page."""
    spec, name = body.get("spec") or {}, body["metadata"]["name"]
    if body["kind"] == "LakehouseTable":
        stream = spec.get("stream")
        return bool(stream and stream["job"] in jobs) or "rows" in spec
    if body["kind"] == "StreamJob":
        return name in jobs
    return body["kind"] in ("Kafka", "KafkaNodePool") or name != "query"


class Topics(threading.Thread):
    """Notes how old records are as they come."""

    def __init__(self, kafka: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.ages: dict[str, list[float]] = defaultdict(list)
        self.stopping = threading.Event()
        group = f"bench-{uuid.uuid4()}"
        self._consumer = Consumer({**kafka, "group.id": group, "auto.offset.reset": "latest"})
        self._consumer.subscribe(list(TOPICS))

    def run(self) -> None:
        while not self.stopping.is_set():
            for message in self._consumer.consume(1000, 0.01):
                now = time.time()
                if not message.error():
                    name, field = TOPICS[message.topic()]
                    said = orjson.loads(message.value())[field]
                    self.ages[name].append(now - times.to_micros(said) / 1e6)
        self._consumer.close()


def visible(table: Table, seconds: float) -> list[float]:
    """How old each trade is when a reader first can see it."""
    ages: list[float] = []
    seen = table.refresh().current_snapshot()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(LOOK)
        now = datetime.now(UTC).timestamp()
        newest = table.refresh().current_snapshot()
        if newest is None or newest == seen:
            continue
        for path in _new_files(table, seen.snapshot_id if seen else None):
            with table.io.new_input(path).open() as file:
                sent = _timestamps(file)
            ages += [now - at for at in sent]
        seen = newest
    return ages


def _new_files(table: Table, since: int | None) -> list[str]:
    found = []
    at = table.current_snapshot()
    while at is not None and at.snapshot_id != since:
        for manifest in at.manifests(table.io):
            if manifest.added_snapshot_id == at.snapshot_id:
                entries = manifest.fetch_manifest_entry(table.io)
                found += [e.data_file.file_path for e in entries if e.snapshot_id == at.snapshot_id]
        at = table.snapshot_by_id(at.parent_snapshot_id) if at.parent_snapshot_id else None
    return found


def _timestamps(file: Any) -> list[float]:
    import pyarrow.parquet as pq

    column = pq.read_table(file, columns=["timestamp"])["timestamp"]
    return [value / 1e6 for value in column.cast("int64").to_pylist()]


def report(name: str, ages: list[float]) -> None:
    if len(ages) < 2:
        print(f"{name:8} {len(ages)} seen")
        return
    cuts = statistics.quantiles(ages, n=100)
    most = max(ages)
    print(f"{name:8} {len(ages):8,}  p50 {cuts[49]:.3f} s  p99 {cuts[98]:.3f} s  most {most:.3f} s")


def latency(net: str, checkpoint: str, seconds: float) -> None:
    simulator = {"tradesPerSecond": 200}
    with platform(net, checkpoint, simulator, ("land", "refine")) as ready:
        table = ready.catalog.load_table("bronze.trades")
        eventually(lambda: table.refresh().current_snapshot(), 120)
        time.sleep(WARM)
        topics = Topics(ready.info["kafka"])
        topics.start()
        ages = visible(table, seconds)
        topics.stopping.set()
        topics.join()
    print(f"200 trades/s, a checkpoint every {checkpoint}, {seconds:.0f} s")
    report("main", ages)
    for name in ("topic", "alert"):
        report(name, topics.ages[name])


def throughput(net: str, checkpoint: str, rate: int, seconds: float) -> None:
    count = round(rate * seconds)
    simulator = {"tradesPerSecond": rate, "limit": count, "symbols": [f"S{n}" for n in range(20)]}
    with platform(net, checkpoint, simulator, ("land",)) as ready:
        table = ready.catalog.load_table("bronze.trades")

        def landed() -> int:
            snapshot = table.refresh().current_snapshot()
            return int(snapshot.summary["total-records"]) if snapshot and snapshot.summary else 0

        eventually(landed, 120)
        arrivals = [(time.monotonic(), landed())]
        while arrivals[-1][1] < count:
            time.sleep(1)
            arrivals.append((time.monotonic(), landed()))
            assert arrivals[-1][0] - arrivals[0][0] < 10 * seconds, arrivals[-1]
        ids = table.scan(selected_fields=("trade_id",)).to_arrow()["trade_id"]
    spent = arrivals[-1][0] - arrivals[0][0]
    rows = arrivals[-1][1] - arrivals[0][1]
    print(f"{rate:,} trades/s asked for {seconds:.0f} s: {len(ids):,} rows of {count:,} on main")
    print(f"different trades: {len(set(ids.to_pylist())):,}; {rows / spent:,.0f} a second landed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("latency", "throughput"))
    parser.add_argument("--checkpoint", default="1s")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--net", default="87", help="second number of the loopback addresses")
    options = parser.parse_args()
    if options.what == "latency":
        latency(options.net, options.checkpoint, options.seconds)
    else:
        throughput(options.net, options.checkpoint, options.rate, options.seconds)


if __name__ == "__main__":
    main()
