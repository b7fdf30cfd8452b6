"""CPU of the publisher and of the catalog while N tables commit a checkpoint every few seconds.

python -m bench.lakehouse.publisher_cpu [tables] [seconds between checkpoints] [duration]
"""

import multiprocessing
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from tapehouse_lakehouse.catalog import Lake, connect
from tapehouse_lakehouse.kube import World
from tapehouse_lakehouse.metrics import Metrics
from tapehouse_lakehouse.model import PublishIntent
from tapehouse_lakehouse.publisher import Publisher, run

from tests.lakehouse import flink
from tests.lakehouse.conftest import CatalogServer

BRANCH = "rev-00001"


def write(uri: str, tables: tuple[str, ...], every: float, until: float) -> None:
    """Commit a checkpoint to every table, `every` seconds apart."""
    lake, checkpoint = Lake(connect(uri)), 0
    while time.time() < until:
        began, checkpoint = time.time(), checkpoint + 1
        for table in tables:
            flink.commit(lake, table, BRANCH, checkpoint)
        time.sleep(max(0.0, every - (time.time() - began)))


def intent(tables: tuple[str, ...]) -> World:
    world = World()
    world.intents = {
        "j": PublishIntent(job="j", namespace="n", revision=1, branch=BRANCH, tables=tables)
    }
    return world


def main(count: int = 7, every: float = 5.0, duration: float = 60.0) -> None:
    tables = tuple(f"bronze.t{i}" for i in range(count))
    with tempfile.TemporaryDirectory() as home:
        server = CatalogServer(Path(home))
        server.start()
        try:
            measure(server, tables, every, duration)
        finally:
            server.stop()


def measure(server: CatalogServer, tables: tuple[str, ...], every: float, duration: float) -> None:
    lake, metrics = Lake(connect(server.uri)), Metrics()
    for table in tables:
        flink.create(lake, table)
    until = time.time() + duration
    writer = multiprocessing.Process(target=write, args=(server.uri, tables, every, until))
    writer.start()
    stop, poke = threading.Event(), threading.Event()
    world = intent(tables)
    publisher = Publisher(lake, results=None, metrics=metrics)  # type: ignore[arg-type]
    thread = threading.Thread(target=run, args=(publisher, lambda: world, poke, stop))
    thread.start()
    cpu, lags = time.process_time(), []
    while time.time() < until:
        time.sleep(every / 2)
        lags.append(metrics.lag.labels(tables[0])._value.get())
    used = time.process_time() - cpu
    stop.set()
    poke.set()
    thread.join()
    writer.join()
    assert server._process is not None
    jvm = sum(psutil.Process(server._process.pid).cpu_times()[:2])
    print(f"{len(tables)} tables, a checkpoint every {every:g} s, {duration:g} s")
    print(f"publisher: {100 * used / duration:.1f} % of a core")
    print(f"catalog, with the writer's commits and start: {100 * jvm / duration:.1f} % of a core")
    print(f"commit to visible: mean {sum(lags) / len(lags):.2f} s, worst {max(lags):.2f} s")


if __name__ == "__main__":
    main(*(float(a) if "." in a else int(a) for a in sys.argv[1:]))
