"""How many files a table has after thousands of commits, its upkeep being on.

    .venv/bin/python -m bench.pipeline.files [--commits 2000] [--every 120]

Commits as Flink's sink makes them, on a job's branch, which `main` follows; every so many of them
(120: ten minutes of a commit every 5 s) the product's own upkeep merges, expires and sweeps, with
`environments/base`'s settings but for ages: here a day passes in minutes, so nothing is too young.
Reports the files in the table's directory before and after: data files named by `main`, and all.
It fails if the later half ever has more than a quarter more files than the first had at most.
"""

import argparse
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from tapehouse_lakehouse.catalog import Lake, connect
from tapehouse_lakehouse.maintenance import files, tasks
from tapehouse_lakehouse.model import Compact, Expire, Orphans, Producer, TableSpec

from tests.lakehouse import flink
from tests.lakehouse.conftest import CatalogServer

NAME, BRANCH = "bronze.trades", "rev-00001"
ROWS = 200
SPEC = TableSpec(
    table="bronze-trades",
    identifier=NAME,
    namespace="n",
    producer=Producer(type="stream", job="land"),
)
AT_ONCE = "0s"


def commit(lake: Lake, number: int) -> None:
    ids = range(number * ROWS, (number + 1) * ROWS)
    rows = pa.table({"id": ids, "symbol": [f"S{i % 50}" for i in ids]}, schema=flink.SCHEMA)
    flink.commit(lake, NAME, BRANCH, number + 1, rows)


def follow(lake: Lake) -> None:
    """Move `main` to the branch, as the publisher does."""
    refs = flink.load(lake, NAME).refs()
    main = refs["main"].snapshot_id if "main" in refs else None
    flink.set_ref(lake, NAME, "main", refs[BRANCH].snapshot_id, main)


def upkeep(lake: Lake) -> None:
    tasks.compact(lake, SPEC, Compact(), BRANCH)
    follow(lake)
    tasks.expire(lake, SPEC, Expire(older_than=AT_ONCE))
    tasks.sweep(lake, SPEC, Orphans(older_than=AT_ONCE))


def count(lake: Lake) -> tuple[int, int]:
    """Data files of `main`, and files in the table's directory."""
    table = flink.load(lake, NAME)
    return len(list(table.scan().plan_files())), len(files.present(table))


def measure(lake: Lake, commits: int, every: int) -> list[int]:
    """The number of files before each upkeep, which is when there are most."""
    flink.create(lake, NAME)
    most = []
    print("| commits | files before | after | data files before | after | upkeep, CPU-s |")
    print("|---|---|---|---|---|---|")
    for number in range(commits):
        commit(lake, number)
        if (number + 1) % every and number + 1 < commits:
            continue
        follow(lake)
        data, present = count(lake)
        most.append(present)
        began = time.process_time()
        upkeep(lake)
        spent = time.process_time() - began
        merged, left = count(lake)
        print(
            f"| {number + 1:,} | {present} | {left} | {data} | {merged} | {spent:.2f} |", flush=True
        )
    rows = flink.load(lake, NAME).scan().to_arrow()
    assert len(rows) == len(set(rows["id"].to_pylist())) == commits * ROWS, "lost or doubled"
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commits", type=int, default=2000)
    parser.add_argument("--every", type=int, default=120, help="commits from upkeep to upkeep")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with TemporaryDirectory(prefix="bench-files-") as home:
        server = CatalogServer(Path(home))
        server.start()
        try:
            most = measure(Lake(connect(server.uri)), options.commits, options.every)
        finally:
            server.stop()
    half = len(most) // 2
    assert max(most[half:]) <= 1.25 * max(most[:half]), most


if __name__ == "__main__":
    main()
