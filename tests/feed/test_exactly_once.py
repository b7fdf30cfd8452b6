"""The bridge against a real broker: killed, stopped, cut off, and every event there once."""

import json
import random
import signal
import time
from collections.abc import Callable

import pytest
from tapehouse_feed.simulator import Exchange

from tests.feed.broker import Broker, eventually
from tests.feed.feeds import SYMBOLS, Feed, simulated

LIMIT = 3_000
SEED = 5


def last_event(trades: int = LIMIT) -> int:
    return Exchange(SEED, SYMBOLS).last_of(trades)


def wait_until_written(one: Feed, last: int) -> None:
    eventually(lambda: one.metric("sequence") >= last, 90)
    eventually(lambda: one.metric("in_flight") == 0, 30)


def holds_each_once(one: Feed, last: int) -> None:
    numbers = one.sequences()
    assert [n for n in range(1, last + 1) if n not in numbers] == []
    assert {n: count for n, count in numbers.items() if count != 1} == {}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bridge_killed_at_random_moments(feed: Callable[..., Feed], seed: int) -> None:
    dice = random.Random(seed)
    one = feed(simulated(limit=LIMIT, tradesPerSecond=400))
    one.start("simulator")
    one.start("bridge")
    for _ in range(4):
        one.wait_ready()
        time.sleep(dice.uniform(0.05, 1.6))
        one.stop("bridge", signal.SIGKILL)
        one.start("bridge")
    wait_until_written(one, last_event())
    assert one.stop("bridge") == 0
    holds_each_once(one, last_event())


def test_records_are_what_the_exchange_said(feed: Callable[..., Feed]) -> None:
    one = feed(simulated(limit=300, tradesPerSecond=1_000_000))
    one.start("simulator")
    one.start("bridge")
    last = last_event(300)
    wait_until_written(one, last)
    assert one.stop("bridge") == 0
    records = one.records()
    assert len(records) == last
    exchange = Exchange(SEED, SYMBOLS)
    for record in records:
        headers = {k: v.decode() for k, v in record.headers()}
        event = exchange.event(int(headers["seq"]))
        data = json.loads(record.value())
        moments = {name: data.pop(name, "Z") for name in ("timestamp", "halted_at")}
        assert data == {k: v for k, v in event.data.items() if k not in moments}
        assert all(moment.endswith("Z") for moment in moments.values())
        assert headers["event_type"] == event.event_type
        assert headers["schema_id"] == f"schema-{event.event_type}"
        assert headers["source"] == one.config["feed"]
        assert len(headers["trace_id"]) == 32
        key = "agent_id" if event.event_type == "AgentAction" else "symbol"
        assert record.key().decode() == event.data[key]
    for topic in one.topics:
        for partition in {r.partition() for r in records if r.topic() == topic}:
            by_key: dict[bytes, int] = {}
            for record in records:
                if (record.topic(), record.partition()) == (topic, partition):
                    number = int(dict(record.headers())["seq"])
                    assert number > by_key.get(record.key(), 0), "order within a key"
                    by_key[record.key()] = number


def test_trace_ids_are_the_same_in_every_run(feed: Callable[..., Feed]) -> None:
    traces = []
    for _ in range(2):
        one = feed(simulated(limit=50, tradesPerSecond=1_000_000))
        one.start("simulator")
        one.start("bridge")
        wait_until_written(one, last_event(50))
        one.stop_all()
        traces.append(
            {dict(r.headers())["seq"]: dict(r.headers())["trace_id"] for r in one.records()}
        )
    assert traces[0] == traces[1]


def test_a_stopped_bridge_exits_well_and_goes_on_where_it_was(feed: Callable[..., Feed]) -> None:
    one = feed(simulated(limit=1_000, tradesPerSecond=500))
    one.start("simulator")
    for _ in range(2):
        one.start("bridge")
        one.wait_ready()
        time.sleep(0.7)
        assert one.stop("bridge") == 0
    cursor = json.loads(one.broker.records(one.config["cursorTopic"])[-1].value())
    assert cursor["sequence"] == max(one.sequences())
    one.start("bridge")
    wait_until_written(one, last_event(1_000))
    one.stop("bridge")
    holds_each_once(one, last_event(1_000))


def test_another_seed_begins_anew(feed: Callable[..., Feed]) -> None:
    one = feed(simulated(limit=100, tradesPerSecond=1_000_000))
    exchange_last = {seed: Exchange(seed, SYMBOLS).last_of(100) for seed in (5, 6)}
    for seed in (5, 6, 5):
        one.config["source"]["seed"] = seed
        one.start("simulator")
        one.start("bridge")
        wait_until_written(one, exchange_last[seed])
        assert one.stop("bridge") == 0
        one.stop("simulator")
    assert one.sequences().total() == sum(exchange_last.values())


def test_fifteen_cut_connections_lose_nothing(feed: Callable[..., Feed]) -> None:
    last = last_event()
    one = feed(
        simulated(
            limit=LIMIT, tradesPerSecond=1_000_000, faults={"disconnectEvery": last // 15 - 1}
        )
    )
    one.start("simulator")
    one.start("bridge")
    wait_until_written(one, last)
    assert one.metric("connections_total") >= 15
    assert one.stop("bridge") == 0
    holds_each_once(one, last)


def test_simulator_killed(feed: Callable[..., Feed]) -> None:
    one = feed(simulated(limit=1_000, tradesPerSecond=400))
    one.start("bridge")
    for _ in range(3):
        one.start("simulator")
        before = one.metric("sequence")
        eventually(lambda before=before: one.metric("sequence") > before + 200, 30)
        one.stop("simulator", signal.SIGKILL)
    one.start("simulator")
    wait_until_written(one, last_event(1_000))
    one.stop("bridge")
    holds_each_once(one, last_event(1_000))


def test_broker_away_for_a_while(feed: Callable[..., Feed], broker: Broker) -> None:
    one = feed(simulated(limit=LIMIT, tradesPerSecond=600))
    one.start("simulator")
    one.start("bridge")
    one.wait_ready()
    time.sleep(1)
    broker.stop(signal.SIGKILL)
    try:
        time.sleep(3)
        assert one.running["bridge"].poll() is None
    finally:
        broker.start()
    wait_until_written(one, last_event())
    assert one.stop("bridge") == 0
    holds_each_once(one, last_event())


def test_bridge_waits_for_its_topics(feed: Callable[..., Feed]) -> None:
    one = feed(simulated(limit=50, tradesPerSecond=1_000))
    one.config["deadLetterTopic"] += ".late"
    one.start("simulator")
    one.start("bridge")
    missing = one.config["deadLetterTopic"]
    eventually(lambda: missing in one.get("/readyz")[1], 30)
    assert one.get("/readyz")[0] == 503
    assert one.get("/healthz")[0] == 200
    one.create_dead_letters()
    wait_until_written(one, last_event(50))
