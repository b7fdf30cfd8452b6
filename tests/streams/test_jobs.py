"""Stream jobs on a real broker, Flink and catalog: what the Flink operator promises, and no row
lost or doubled whatever is killed."""

from collections.abc import Iterator
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


def prepared(world: Platform, name: str) -> str:
    """A topic with one batch of trades and a table to land them in."""
    table = f"bronze.{name}"
    world.make_topic(name)
    world.make_table(table)
    world.produce(name, 0, BATCH)
    return table


def job_id(world: Platform, name: str) -> str:
    return str(world.deployment(name)["status"]["jobStatus"]["jobId"])


def await_new_job(world: Platform, name: str, old: str, revision: int = 1) -> None:
    world.running.wait(
        lambda: job_id(world, name) not in ("", old), 240, saying=f"{name}: a new job"
    )
    world.await_stable(name, revision)


def test_every_trade_lands_once_whatever_is_killed(world: Platform) -> None:
    name = "killed"
    table = prepared(world, name)
    world.job(name, table, name, 1)
    world.await_stable(name)
    world.await_rows(table, BATCH)
    component = f"flink/{NAMESPACE}/{name}"

    world.produce(name, BATCH, BATCH)
    first = job_id(world, name)
    world.running.kill_process(component, "taskmanager")
    world.await_rows(table, 2 * BATCH)
    assert job_id(world, name) == first

    world.produce(name, 2 * BATCH, BATCH)
    world.running.kill_process(component, "jobmanager")
    await_new_job(world, name, first)
    world.await_rows(table, 3 * BATCH)

    world.produce(name, 3 * BATCH, BATCH)
    second = job_id(world, name)
    world.running.kill()
    world.running.start()
    await_new_job(world, name, second)
    world.await_rows(table, 4 * BATCH)

    world.catalog.kill()
    world.produce(name, 4 * BATCH, BATCH)
    world.catalog.start()
    world.await_rows(table, 5 * BATCH)
    world.delete_job(name)


def test_a_new_revision_goes_on_in_a_branch_of_its_own(world: Platform) -> None:
    name = "upgraded"
    table = prepared(world, name)
    world.job(name, table, name, 1)
    world.await_rows(table, BATCH)
    first = job_id(world, name)

    world.produce(name, BATCH, BATCH)
    world.job(name, table, name, 2)
    stable = world.await_stable(name, 2)
    world.produce(name, 2 * BATCH, BATCH)
    world.await_rows(table, 3 * BATCH, revision=2)

    status = stable["status"]
    assert status["jobStatus"]["jobId"] != first
    assert f"/savepoints/{first}/savepoint-" in status["jobStatus"]["upgradeSavepointPath"]
    loaded = world.catalog.load().load_table(table)
    ancestors = {snapshot.snapshot_id for snapshot in _ancestors(loaded, branch(2))}
    assert loaded.refs()[branch(1)].snapshot_id in ancestors
    old = world.rows(table, 1)["trade_id"].to_pylist()
    assert BATCH <= len(old) == len(set(old))
    world.delete_job(name)


def _ancestors(table: Any, reference: str) -> Iterator[Any]:
    known = {snapshot.snapshot_id: snapshot for snapshot in table.snapshots()}
    current = known.get(table.refs()[reference].snapshot_id)
    while current is not None:
        yield current
        current = known.get(current.parent_snapshot_id)


def test_suspended_deleted_and_created_again_it_goes_on(world: Platform) -> None:
    name = "paused"
    table = prepared(world, name)
    world.job(name, table, name, 1, savepointTriggerNonce=1)
    world.await_rows(table, BATCH)
    world.await_stable(name)

    world.job(name, table, name, 1, savepointTriggerNonce=2)
    taken = world.running.wait(
        lambda: world.deployment(name)["status"]["jobStatus"]["savepointInfo"]["savepointHistory"],
        saying="a savepoint",
    )
    assert taken[0]["triggerNonce"] == 2

    world.job(name, table, name, 1, state="suspended", savepointTriggerNonce=2)
    suspended = world.await_state(name, "SUSPENDED")
    assert "savepoint-" in suspended["status"]["jobStatus"]["upgradeSavepointPath"]
    assert world.running.wait(
        lambda: not world.running.pids(f"flink/{NAMESPACE}/{name}"), saying="no process"
    )
    world.produce(name, BATCH, BATCH)
    world.job(name, table, name, 1, savepointTriggerNonce=2)
    world.await_rows(table, 2 * BATCH)

    world.delete_job(name)
    world.produce(name, 2 * BATCH, BATCH)
    world.job(name, table, name, 1)
    world.await_rows(table, 3 * BATCH)
    world.delete_job(name)


def test_what_strangers_write_is_kept_and_the_job_goes_on(world: Platform) -> None:
    name = "strange"
    for topic in (strangers.TRADES, strangers.ORDERS, strangers.LETTERS):
        world.make_topic(topic)
    world.make_table(f"bronze.{name}")
    placed, cancelled = {"event_type": b"Placed"}, {"event_type": b"Cancelled"}
    poison = [(strangers.TRADES, value, {}) for value, _ in strangers.POISON.values()]
    strays = [
        (strangers.ORDERS, strangers.good(7), {}),  # nothing says what it is
        (strangers.ORDERS, strangers.good(8), {"event_type": None}),
        (strangers.ORDERS, b"}", {"event_type": b"\xff"}),
        (strangers.ORDERS, b"{}", placed),
        (strangers.ORDERS, b"}", cancelled),  # not read by this job
        (strangers.ORDERS, b'{"symbol": "A"}', cancelled),
    ]
    sound = [(strangers.TRADES, strangers.good(0), {"trace_id": None, "other": b"\xff"})]
    last = [(strangers.ORDERS, strangers.good(1), placed)]
    strangers.write(world, *sound, *poison, *strays, *last)
    world.running.apply(strangers.config(world, name), deployment(name, 1))
    world.await_rows(f"bronze.{name}", 2)

    expected = [*strangers.POISON.values()]
    expected += [(strangers.good(number), "unknown-event") for number in (7, 8)]
    expected += [(b"}", "not-json"), (b"{}", "missing-field")]
    found = strangers.letters(world, len(expected))
    told = [(m.value(), dict(m.headers())) for m in found]
    assert sorted((v or b"", h["reason"].decode()) for v, h in told) == sorted(
        (value or b"", reason) for value, reason in expected
    )
    for _, headers in told:
        assert headers["detail"]
        assert (headers["feed"], headers["job"]) == (b"strange", b"strange")
        assert headers["received_at"].endswith(b"Z")
    places = {tuple(h[f"source_{x}"] for x in ("topic", "partition", "offset")) for _, h in told}
    assert len(places) == len(expected)
    assert world.deployment(name)["status"]["jobStatus"]["state"] == "RUNNING"
    world.delete_job(name)


def test_a_job_that_cannot_start_says_why_and_starts_when_it_can(world: Platform) -> None:
    name = "hopeless"
    world.make_topic(name)
    world.produce(name, 0, BATCH)
    world.job(name, f"bronze.{name}", name, 1)
    failed = world.await_state(name, "FAILED", 240)
    assert "spec.sql" in failed["status"]["error"]
    assert f"`bronze`.`{name}`" in failed["status"]["error"]

    world.make_table(f"bronze.{name}")
    world.await_rows(f"bronze.{name}", BATCH, seconds=240)
    assert not world.await_stable(name)["status"].get("error")
    world.delete_job(name)
