"""Stream jobs on a real broker, Flink and catalog: what the Flink operator promises, and no row
lost or doubled whatever is killed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.streams import strangers
from tests.streams.platform import NAMESPACE, Platform, branch, deployment, platform
from tests.support.controlplane import ApiServer

pytestmark = [pytest.mark.api, pytest.mark.local]

BATCH = 400


@pytest.fixture(scope="module")
def world(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(apiserver, tmp_path_factory.mktemp("streams")) as found:
        yield found


@dataclass
class Life:
    """One job, to which things happen; after each of them every trade is there, and once."""

    world: Platform
    name: str
    produced: int = 0
    revision: int = 1

    @property
    def table(self) -> str:
        return f"bronze.{self.name}"

    @property
    def id(self) -> str:
        return str(self.world.deployment(self.name)["status"]["jobStatus"]["jobId"])

    def trade(self) -> None:
        """One more batch."""
        self.world.produce(self.name, self.produced, BATCH)
        self.produced += BATCH

    def lands(self) -> None:
        self.world.await_rows(self.table, self.produced, self.revision)

    def apply(self, **spec: Any) -> None:
        self.world.job(self.name, self.table, self.name, self.revision, **spec)

    def begins(self) -> None:
        self.world.make_topic(self.name)
        self.world.make_table(self.table)
        self.trade()
        self.apply()
        self.world.await_stable(self.name)
        self.lands()

    def loses_a_process(self, process: str) -> None:
        self.trade()
        self.world.running.kill_process(f"flink/{NAMESPACE}/{self.name}", process)

    def has_another_id(self, old: str) -> dict[str, Any]:
        self.world.running.wait(lambda: self.id not in ("", old), 240, saying="a new job")
        return self.world.await_stable(self.name, self.revision)

    def loses_its_worker(self) -> None:
        old = self.id
        self.loses_a_process("taskmanager")
        self.lands()
        assert self.id == old

    def loses_its_coordinator(self) -> None:
        old = self.id
        self.loses_a_process("jobmanager")
        self.has_another_id(old)
        self.lands()

    def is_upgraded(self) -> None:
        """The new revision goes on in a branch of its own, from a savepoint."""
        old = self.id
        self.trade()
        self.revision = 2
        self.apply()
        stable = self.has_another_id(old)
        self.trade()
        self.lands()
        path = stable["status"]["jobStatus"]["upgradeSavepointPath"]
        assert f"/savepoints/{old}/savepoint-" in path
        loaded = self.world.catalog.load().load_table(self.table)
        ancestors = {snapshot.snapshot_id for snapshot in _ancestors(loaded, branch(2))}
        assert loaded.refs()[branch(1)].snapshot_id in ancestors
        before = self.world.rows(self.table, 1)["trade_id"].to_pylist()
        assert self.produced - 2 * BATCH <= len(before) == len(set(before))

    def is_suspended(self) -> None:
        """After a savepoint that was asked for; it leaves no process."""
        self.apply(savepointTriggerNonce=2)
        taken = self.world.running.wait(self.savepoints, saying="a savepoint")
        assert taken[0]["triggerNonce"] == 2
        self.apply(state="suspended", savepointTriggerNonce=2)
        status = self.world.await_state(self.name, "SUSPENDED")["status"]
        assert "savepoint-" in status["jobStatus"]["upgradeSavepointPath"]
        running = self.world.running
        component = f"flink/{NAMESPACE}/{self.name}"
        assert running.wait(lambda: not running.pids(component), saying="no process")
        self.trade()

    def savepoints(self) -> Any:
        status = self.world.deployment(self.name)["status"]
        return status["jobStatus"]["savepointInfo"]["savepointHistory"]

    def is_resumed(self) -> None:
        self.apply(savepointTriggerNonce=2)
        self.lands()

    def loses_power(self) -> None:
        old = self.id
        self.trade()
        self.world.running.kill()
        self.world.running.start()
        self.has_another_id(old)
        self.lands()

    def loses_its_catalog(self) -> None:
        self.world.catalog.kill()
        self.trade()
        self.world.catalog.start()
        self.lands()

    def is_deleted(self) -> None:
        self.world.delete_job(self.name)
        self.trade()

    def is_created_again(self) -> None:
        self.apply()
        self.lands()
        self.world.delete_job(self.name)


def test_every_trade_lands_once_whatever_becomes_of_the_job(world: Platform) -> None:
    life = Life(world, "ticks")
    life.begins()
    life.loses_its_worker()
    life.loses_its_coordinator()
    life.is_upgraded()
    life.is_suspended()
    life.is_resumed()
    life.loses_power()
    life.loses_its_catalog()
    life.is_deleted()
    life.is_created_again()


def _ancestors(table: Any, reference: str) -> Iterator[Any]:
    known = {snapshot.snapshot_id: snapshot for snapshot in table.snapshots()}
    current = known.get(table.refs()[reference].snapshot_id)
    while current is not None:
        yield current
        current = known.get(current.parent_snapshot_id)


def test_a_job_says_why_it_cannot_start_and_keeps_what_strangers_write(world: Platform) -> None:
    """Without its table it has failed; with it, it begins, and no record can stop it."""
    name = "strange"
    for topic in (strangers.TRADES, strangers.ORDERS, strangers.LETTERS):
        world.make_topic(topic)
    world.running.apply(strangers.config(world, name), deployment(name, 1, parallelism=1))
    error = world.await_state(name, "FAILED", 240)["status"]["error"]
    assert "spec.sql" in error
    assert f"`bronze`.`{name}`" in error
    world.make_table(f"bronze.{name}")
    placed, cancelled = {"event_type": b"Placed"}, {"event_type": b"Cancelled"}
    poison = [(strangers.TRADES, value, {}) for value, _ in strangers.POISON.values()]
    strays = [
        (strangers.ORDERS, strangers.good(7), {}),  # nothing says what it is
        (strangers.ORDERS, strangers.good(8), {"event_type": None}),
        (strangers.ORDERS, b"}", {"event_type": b"\xff", "trace_id": b"\xff"}),
        (strangers.ORDERS, b"{}", placed),
        (strangers.ORDERS, b"}", cancelled),  # not read by this job
        (strangers.ORDERS, b'{"symbol": "A"}', cancelled),
    ]
    sound = [(strangers.TRADES, strangers.good(0), {"trace_id": None, "other": b"\xff"})]
    last = [(strangers.ORDERS, strangers.good(1), placed)]
    strangers.write(world, *sound, *poison, *strays, *last)
    world.await_rows(f"bronze.{name}", 2, seconds=240)

    expected = [*strangers.POISON.values()]
    expected += [(strangers.good(number), "unknown-event") for number in (7, 8)]
    expected += [(b"}", "not-json"), (b"{}", "missing-field")]
    found = strangers.letters(world, len(expected))
    letters = [(m.value(), dict(m.headers())) for m in found]
    assert sorted((v or b"", h["reason"].decode()) for v, h in letters) == sorted(
        (value or b"", reason) for value, reason in expected
    )
    for _, headers in letters:
        assert headers["detail"]
        assert (headers["feed"], headers["job"]) == (b"strange", b"strange")
        assert headers["received_at"].endswith(b"Z")
    assert {h["trace_id"].decode() for _, h in letters if "trace_id" in h} == {"\ufffd"}
    origins = {
        tuple(h[f"source_{x}"] for x in ("topic", "partition", "offset")) for _, h in letters
    }
    assert len(origins) == len(expected)
    assert not world.await_stable(name)["status"].get("error")
    has_more_tasks(world, name)
    world.delete_job(name)


def has_more_tasks(world: Platform, name: str) -> None:
    """Tables are no longer written by threads of their own, and what was seen is still known."""
    world.running.apply(strangers.config(world, name, 2), deployment(name, 2, parallelism=2))
    stable = world.await_stable(name, 2)
    assert "/savepoints/" in stable["status"]["jobStatus"]["upgradeSavepointPath"]
    again, new = [(strangers.TRADES, strangers.good(number), {}) for number in (0, 2)]
    strangers.write(world, again, new)
    world.await_rows(f"bronze.{name}", 3, revision=2)
