"""The publisher on a real REST catalog."""

import threading
import time

import pyarrow as pa
import pytest
from tapehouse_lakehouse.ancestry import Move
from tapehouse_lakehouse.catalog import ConflictError, Lake, UnavailableError
from tapehouse_lakehouse.kube import World
from tapehouse_lakehouse.metrics import Metrics
from tapehouse_lakehouse.model import Producer, PublishIntent, TableSpec
from tapehouse_lakehouse.publisher import Publisher, run

from tests.lakehouse import flink
from tests.lakehouse.test_checkpoints import kept

pytestmark = pytest.mark.local
TABLES = ("bronze.trades", "bronze.quotes")
BRANCH = "rev-00001"


class Recorder:
    """Results as the operator would read them; counts writes."""

    def __init__(self):
        self.latest, self.writes = {}, 0

    def write(self, spec, uid, result):
        self.latest[spec.identifier] = result
        self.writes += 1

    def reasons(self):
        return {t: (r.revision, r.ok, str(r.reason)) for t, r in self.latest.items()}


def world(revision=1, tables=TABLES, **more):
    made = World()
    made.intents = {
        "land-publish": PublishIntent(
            job="land",
            namespace="n",
            revision=revision,
            branch=f"rev-{revision:05d}",
            tables=tables,
            **more,
        )
    }
    made.tables = {
        t: TableSpec(
            table=t.replace(".", "-"), identifier=t, namespace="n", producer=Producer(type="stream")
        )
        for t in tables
    }
    made.uids = dict.fromkeys(tables, "uid")
    return made


class Bench:
    """A publisher stepped by hand on its own clock."""

    def __init__(self, lake: Lake):
        self.lake, self.results, self.metrics, self.now = lake, Recorder(), Metrics(), 0.0
        self.ahead_ms = 0
        self.world = world()
        self.publisher = Publisher(lake, self.results, self.metrics, self.clock_ms)

    def steps(self, count=4):
        for _ in range(count):
            self.now = max(self.publisher.step(self.world, self.now), self.now + 0.01)

    def clock_ms(self):
        """The catalog's commits have real times, so this clock is the real one, set ahead."""
        return time.time_ns() // 10**6 + self.ahead_ms

    def catch_up(self):
        """Wait until commits are dated later than what this clock has dated."""
        time.sleep(self.ahead_ms / 1000)
        self.ahead_ms = 0

    def checkpoint(self, directory, job, number):
        """A checkpoint that completes now, by this clock."""
        return kept(directory, job, number, at=self.clock_ms() / 1000)

    def mains(self):
        return {t: flink.rows(self.lake, t) for t in TABLES}


@pytest.fixture
def bench(lake):
    for table in TABLES:
        flink.create(lake, table)
    return Bench(lake)


def everywhere(ids):
    return dict.fromkeys(TABLES, ids)


def both(lake, checkpoint, branch=BRANCH, **options):
    for table in TABLES:
        flink.commit(lake, table, branch, checkpoint, **options)


def test_new_tables_wait_then_follow_their_branch_together(bench):
    bench.steps()
    assert bench.results.reasons() == dict.fromkeys(TABLES, (1, False, "AwaitingCheckpoint"))
    flink.commit(bench.lake, TABLES[0], BRANCH, 1)
    bench.steps()
    assert "main" not in flink.load(bench.lake, TABLES[0]).refs()
    flink.commit(bench.lake, TABLES[1], BRANCH, 1)
    bench.steps()
    assert bench.mains() == everywhere([1])
    assert bench.results.reasons() == dict.fromkeys(TABLES, (1, True, "Published"))
    for checkpoint in range(2, 5):
        both(bench.lake, checkpoint)
        bench.steps()
    assert bench.mains() == everywhere([1, 2, 3, 4])
    assert bench.results.writes == 4, "one per table and transition"
    assert bench.metrics.rows.labels(TABLES[0])._value.get() == 4


def test_a_restarted_publisher_goes_on(bench):
    both(bench.lake, 1)
    bench.steps()
    both(bench.lake, 2)
    both(bench.lake, 3)
    again = Bench(bench.lake)
    again.steps()
    assert again.mains() == everywhere([1, 2, 3])


class DiesAfterFirst(Lake):
    """A catalog without multi-table transactions, and a publisher killed between two tables."""

    atomic = False

    def move(self, moves):
        self.atomic = False
        super().move(moves[:1])
        raise UnavailableError("killed")


def test_killed_between_two_tables_the_next_finishes_the_move(bench):
    both(bench.lake, 1)
    dying = Bench(DiesAfterFirst(bench.lake.catalog, bench.lake._prefix))
    dying.steps(1)
    refs = [("main" in flink.load(bench.lake, t).refs()) for t in TABLES]
    assert sorted(refs) == [False, True]
    assert dying.publisher.catalog_error
    # Meanwhile the job goes on, one table faster than the other.
    flink.commit(bench.lake, TABLES[0], BRANCH, 2)
    bench.steps()
    assert bench.mains() == everywhere([1])
    flink.commit(bench.lake, TABLES[1], BRANCH, 2)
    bench.steps()
    assert bench.mains() == everywhere([1, 2])


class DropsSome(Lake):
    """A server that says yes and does it for some of the tables only."""

    dropped = 0

    def move(self, moves):
        if self.dropped < 3:
            self.dropped += 1
            moves = moves[1:]
        if moves:
            super().move(moves)


def test_a_move_the_server_only_said_it_made_is_made_again(bench):
    both(bench.lake, 1)
    lossy = Bench(DropsSome(bench.lake.catalog, bench.lake._prefix))
    for checkpoint in (2, 3):
        lossy.steps(6)
        both(bench.lake, checkpoint)
    lossy.steps(6)
    assert lossy.publisher.lake.dropped == 3
    assert lossy.mains() == everywhere([1, 2, 3])
    assert lossy.results.reasons() == dict.fromkeys(TABLES, (1, True, "Published"))


def test_moves_among_many_other_commits_all_arrive(bench):
    def job():
        for checkpoint in range(1, 21):
            flink.commit(bench.lake, TABLES[0], BRANCH, checkpoint)

    def other():
        for checkpoint in range(1, 21):
            flink.commit(bench.lake, TABLES[0], "rev-00009", checkpoint)

    bench.world = world(tables=TABLES[:1])
    flink.commit(bench.lake, TABLES[0], BRANCH, 0)
    flink.set_ref(
        bench.lake,
        TABLES[0],
        "rev-00009",
        flink.load(bench.lake, TABLES[0]).refs()[BRANCH].snapshot_id,
        None,
    )
    threads = [threading.Thread(target=work) for work in (job, other)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        bench.steps(1)
        threads[0].join(0.02)
    # A step that met the last commits waits for its back-off, longer for each attempt.
    bench.steps(20)
    assert flink.rows(bench.lake, TABLES[0]) == list(range(21))
    assert bench.results.reasons()[TABLES[0]] == (1, True, "Published")


def test_one_transaction_moves_all_or_none(bench):
    both(bench.lake, 1)
    views = {t: bench.lake.look(t) for t in TABLES}
    good, bad = (
        Move(t, views[t].uuid, old, views[t].commits[views[t].refs[BRANCH]])
        for t, old in zip(TABLES, (None, 12345), strict=True)
    )
    with pytest.raises(ConflictError):
        bench.lake.move([good, bad])
    assert all("main" not in flink.load(bench.lake, t).refs() for t in TABLES)


def test_a_direct_write_to_main_stays_and_is_reported(bench):
    both(bench.lake, 1)
    bench.steps()
    direct = pa.table({"id": [99], "symbol": ["X"]}, schema=flink.SCHEMA)
    flink.load(bench.lake, TABLES[0]).append(direct)
    both(bench.lake, 2)
    bench.steps()
    assert bench.mains() == {TABLES[0]: [1, 99], TABLES[1]: [1]}
    assert bench.results.reasons()[TABLES[0]] == (1, False, "DirectWrite")


def test_the_next_revision_is_followed_once_it_contains_what_readers_see(bench):
    both(bench.lake, 1)
    bench.steps()
    both(bench.lake, 2)
    bench.world = world(revision=2)
    bench.steps()
    assert bench.mains() == everywhere([1])
    assert bench.results.reasons() == dict.fromkeys(TABLES, (2, False, "AwaitingCheckpoint"))
    for table in TABLES:
        fork = flink.load(bench.lake, table).refs()[BRANCH].snapshot_id
        flink.set_ref(bench.lake, table, "rev-00002", fork, None)
    both(bench.lake, 3, branch="rev-00002", job="second")
    bench.steps()
    assert bench.mains() == everywhere([1, 2, 3])
    assert bench.results.reasons() == dict.fromkeys(TABLES, (2, True, "Published"))


def test_a_stalled_table_holds_the_others_and_is_reported(bench):
    both(bench.lake, 1)
    bench.steps()
    flink.commit(bench.lake, TABLES[0], BRANCH, 2)
    bench.steps()
    bench.now += 120
    bench.steps()
    assert bench.mains() == everywhere([1])
    assert bench.results.reasons() == {
        TABLES[0]: (1, True, "Published"),
        TABLES[1]: (1, False, "CommitStalled"),
    }


def test_a_job_that_completes_checkpoints_and_commits_none_is_reported(bench, tmp_path):
    bench.world = world(checkpoints=tmp_path.as_uri(), interval=0.1)
    good = kept(tmp_path, "job", 1)
    both(bench.lake, 1)
    bench.steps()
    bench.ahead_ms += 100
    bench.checkpoint(tmp_path, "again", 1)
    bench.ahead_ms += 200
    bench.checkpoint(tmp_path, "again", 2)
    bench.steps()
    assert bench.results.reasons() == dict.fromkeys(TABLES, (1, False, "CommitStalled"))
    assert {r.restore for r in bench.results.latest.values()} == {good.as_uri()}
    bench.catch_up()
    both(bench.lake, 2)
    bench.steps()
    assert bench.results.reasons() == dict.fromkeys(TABLES, (1, True, "Published"))
    assert bench.mains() == everywhere([1, 2])


def test_checkpoints_of_a_former_revision_prove_nothing(bench, tmp_path):
    for number in range(3):
        kept(tmp_path, "before", number)
    bench.ahead_ms += 300
    bench.world = world(checkpoints=tmp_path.as_uri(), interval=0.1)
    for _ in range(3):
        bench.steps()
    assert bench.results.reasons() == dict.fromkeys(TABLES, (1, False, "AwaitingCheckpoint"))


def test_a_catalog_that_goes_away_and_comes_back(bench, server):
    both(bench.lake, 1)
    server.stop()
    bench.steps()
    assert "refused" in bench.publisher.catalog_error
    assert bench.metrics.catalog_up._value.get() == 0
    server.start()
    bench.steps()
    assert bench.mains() == everywhere([1])
    assert not bench.publisher.catalog_error


def test_a_stop_is_obeyed_at_once(bench):
    both(bench.lake, 1)
    stop, poke, looked = threading.Event(), threading.Event(), threading.Semaphore(0)

    def watched():
        looked.release()
        return bench.world

    thread = threading.Thread(target=run, args=(bench.publisher, watched, poke, stop), daemon=True)
    thread.start()
    assert looked.acquire(timeout=60)
    assert looked.acquire(timeout=60), "the first step has ended when the second begins"
    began = time.monotonic()
    stop.set()
    poke.set()
    thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - began < 2
    assert bench.mains() == everywhere([1])
