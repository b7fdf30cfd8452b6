"""Upkeep on a real catalog, while a job commits."""

import os
import threading
import time
from pathlib import Path
from urllib.parse import urlparse

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.table.snapshots import Operation
from pyiceberg.transforms import IdentityTransform
from tapehouse_lakehouse import rewrite
from tapehouse_lakehouse.maintenance import tasks
from tapehouse_lakehouse.model import Compact, Expire, Orphans, Producer, TableSpec

from tests.lakehouse import flink

pytestmark = pytest.mark.local
NAME = "bronze.trades"
BRANCH = "rev-00001"
SPEC = TableSpec(
    table="bronze-trades",
    identifier=NAME,
    namespace="n",
    producer=Producer(type="stream", job="land"),
    sort=("symbol", "id desc"),
)
SMALL = Compact(min_files=4)


@pytest.fixture
def table(lake):
    return flink.create(lake, NAME)


def files(lake, branch=BRANCH):
    table = flink.load(lake, NAME)
    snapshot = table.refs()[branch].snapshot_id
    return [t.file.file_path for t in table.scan(snapshot_id=snapshot).plan_files()]


def local(path):
    return Path(urlparse(path).path)


def head(lake, branch=BRANCH):
    return flink.load(lake, NAME).metadata.snapshot_by_name(branch)


def test_small_files_become_one_and_the_checkpoint_stays_findable(lake, table):
    for checkpoint in range(1, 7):
        flink.commit(lake, NAME, BRANCH, checkpoint)
    done = tasks.compact(lake, SPEC, SMALL, BRANCH)
    assert (done.before, done.after, len(files(lake))) == (6, 1, 1)
    assert flink.rows(lake, NAME, BRANCH) == [1, 2, 3, 4, 5, 6]
    said = head(lake).summary
    assert said.operation is Operation.REPLACE
    assert said.additional_properties["flink.max-committed-checkpoint-id"] == "6"
    assert said.additional_properties["flink.job-id"] == "job"
    assert said.additional_properties["total-records"] == "6"
    written = flink.load(lake, NAME).scan(snapshot_id=head(lake).snapshot_id).to_arrow()
    assert written["id"].to_pylist() == [6, 5, 4, 3, 2, 1], "sorted as declared"
    assert tasks.compact(lake, SPEC, SMALL, BRANCH).after == 1
    flink.commit(lake, NAME, BRANCH, 7)
    assert flink.rows(lake, NAME, BRANCH) == [1, 2, 3, 4, 5, 6, 7]


def test_partitions_keep_to_themselves(lake, table):
    with table.update_spec() as update:
        update.add_field("symbol", IdentityTransform())
    for checkpoint in range(1, 6):
        data = pa.table(
            {"id": [checkpoint, -checkpoint], "symbol": ["A", "B"]}, schema=flink.SCHEMA
        )
        flink.commit(lake, NAME, BRANCH, checkpoint, data)
    tasks.compact(lake, SPEC, SMALL, BRANCH)
    assert len(files(lake)) == 2
    assert flink.rows(lake, NAME, BRANCH) == [-5, -4, -3, -2, -1, 1, 2, 3, 4, 5]


def test_files_of_an_older_layout_take_todays(lake, table):
    data = pa.table({"id": [1, 2], "symbol": ["A", "B"]}, schema=flink.SCHEMA)
    for checkpoint in range(1, 5):
        flink.commit(lake, NAME, BRANCH, checkpoint, data)
    with flink.load(lake, NAME).update_spec() as update:
        update.add_field("symbol", IdentityTransform())
    flink.commit(lake, NAME, BRANCH, 5, data)
    assert flink.rows(lake, NAME, BRANCH) == [1] * 5 + [2] * 5, "old and new are read together"
    tasks.compact(lake, SPEC, SMALL, BRANCH)
    assert flink.rows(lake, NAME, BRANCH) == [1] * 5 + [2] * 5
    evolved = flink.load(lake, NAME)
    scan = evolved.scan(snapshot_id=evolved.refs()[BRANCH].snapshot_id)
    found = sorted((t.file.spec_id, t.file.partition[0]) for t in scan.plan_files())
    assert found == [(1, "A"), (1, "A"), (1, "B"), (1, "B")]


def test_a_commit_between_planning_and_committing_is_not_lost(lake, table):
    for checkpoint in range(1, 5):
        flink.commit(lake, NAME, BRANCH, checkpoint)
    stale = flink.load(lake, NAME)
    scan = stale.scan(snapshot_id=stale.refs()[BRANCH].snapshot_id)
    old = [t.file for t in scan.plan_files()]
    new = rewrite.write_files(stale, scan.to_arrow())
    flink.commit(lake, NAME, BRANCH, 5)
    assert rewrite.replace(stale, BRANCH, old, new)
    assert flink.rows(lake, NAME, BRANCH) == [1, 2, 3, 4, 5]
    said = head(lake).summary.additional_properties
    assert said["flink.max-committed-checkpoint-id"] == "5", "the parent's now, not when planned"


def test_files_gone_meanwhile_are_not_brought_back(lake, table):
    for checkpoint in range(1, 5):
        flink.commit(lake, NAME, BRANCH, checkpoint)
    stale = flink.load(lake, NAME)
    scan = stale.scan(snapshot_id=stale.refs()[BRANCH].snapshot_id)
    old = [t.file for t in scan.plan_files()]
    new = rewrite.write_files(stale, scan.to_arrow())
    flink.load(lake, NAME).delete("id = 2", branch=BRANCH)
    assert rewrite.replace(stale, BRANCH, old, new) is None
    assert flink.rows(lake, NAME, BRANCH) == [1, 3, 4]
    assert not local(new[0].file_path).exists()


def test_a_job_committing_all_the_while_loses_nothing(lake, table):
    def job():
        for checkpoint in range(1, 26):
            flink.commit(lake, NAME, BRANCH, checkpoint)

    thread = threading.Thread(target=job)
    thread.start()
    compacted = 0
    while thread.is_alive():
        done = tasks.compact(lake, SPEC, SMALL, BRANCH)
        compacted += done.before - done.after
        tasks.expire(lake, SPEC, Expire(keep_last=3, older_than="1s"))
        tasks.sweep(lake, SPEC, Orphans(older_than="1ms"))
        time.sleep(0.05)
    thread.join()
    assert compacted > 0
    assert flink.rows(lake, NAME, BRANCH) == list(range(1, 26))
    marks = [
        int(s.summary.additional_properties["flink.max-committed-checkpoint-id"])
        for s in flink.load(lake, NAME).metadata.snapshots
    ]
    assert marks == sorted(marks)
    assert marks[-1] == 25


def test_expiry_removes_only_files_nobody_names(lake, table):
    for checkpoint in range(1, 6):
        flink.commit(lake, NAME, BRANCH, checkpoint)
    flink.set_ref(lake, NAME, "main", head(lake).snapshot_id, None)
    replaced = files(lake)
    tasks.compact(lake, SPEC, SMALL, BRANCH)
    flink.set_ref(lake, NAME, "main", head(lake).snapshot_id, head(lake, "main").snapshot_id)
    flink.commit(lake, NAME, BRANCH, 6)
    time.sleep(0.01)
    done = tasks.expire(lake, SPEC, Expire(keep_last=1, older_than="1ms"))
    assert (done.before, done.after) == (7, 2)
    assert not any(local(path).exists() for path in replaced)
    assert flink.rows(lake, NAME) == [1, 2, 3, 4, 5]
    assert flink.rows(lake, NAME, BRANCH) == [1, 2, 3, 4, 5, 6]


def test_a_sweep_takes_old_strays_only(lake, table):

    for checkpoint in range(1, 4):
        flink.commit(lake, NAME, BRANCH, checkpoint)
    data = local(files(lake)[0]).parent
    old, new = data / "stray-old.parquet", data / "stray-new.parquet"
    for stray in (old, new):
        stray.write_bytes(b"x")
    two_days_ago = time.time() - 2 * 86400
    os.utime(old, (two_days_ago, two_days_ago))
    for path in data.parent.rglob("*.parquet"):
        if path != new:
            os.utime(path, (two_days_ago, two_days_ago))
    done = tasks.sweep(lake, SPEC, Orphans(older_than="1d"))
    assert done.removed == 1
    assert (old.exists(), new.exists()) == (False, True)
    assert flink.rows(lake, NAME, BRANCH) == [1, 2, 3]


def test_null_and_empty_lists_stay_what_they_are(lake):
    levels = pa.list_(pa.struct([("price", pa.float64()), ("quantity", pa.int64())]))
    schema = pa.schema([("id", pa.int64()), ("bids", levels)])
    flink.create(lake, NAME, schema)
    bids = [None, [], [{"price": 1.5, "quantity": 2}, {"price": None, "quantity": 3}], None]
    for checkpoint in range(1, 5):
        data = pa.table({"id": [checkpoint] * 4, "bids": bids}, schema=schema)
        flink.commit(lake, NAME, BRANCH, checkpoint, data)
    assert tasks.compact(lake, SPEC, SMALL, BRANCH).after == 1
    (path,) = files(lake)
    written = pq.read_table(local(path)).sort_by([("id", "ascending")])
    assert written["bids"].to_pylist() == bids * 4
