"""Kafka answers nobody for a while: nothing is lost, order is kept, memory is bounded."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.feed.broker import Broker, eventually
from tests.feed.feeds import Feed, simulated
from tests.feed.foreign import Exchange, serving

MIB = 1024 * 1024


def listening(feed: Callable[..., Feed], url: str, size: int) -> Feed:
    one = feed({"type": "websocket", "url": url})
    one.config["spill"] = {"path": str(one.home / "spill"), "bytes": size}
    one.start("bridge")
    return one


def holds_all_in_order(one: Feed, last: int) -> None:
    assert one.sequences() == Counter(range(1, last + 1))
    newest: dict[Any, int] = {}
    for record in one.records():
        number = int(dict(record.headers())["seq"])
        place = record.topic(), record.partition(), record.key()
        assert number > newest.get(place, 0), "order within a key"
        newest[place] = number


def drained(one: Feed, last: int, seconds: float = 90) -> None:
    eventually(lambda: one.metric("sequence") >= last, seconds)
    eventually(lambda: one.metric("in_flight") == 0, 30)
    eventually(lambda: not list((one.home / "spill").glob("*")), 20)


def test_what_cannot_wait_waits_on_disk(feed: Callable[..., Feed], broker: Broker) -> None:
    exchange = Exchange(40_000, lossless=False, rate=8_000)
    with serving("127.0.0.1", exchange) as url:
        one = listening(feed, url, 256 * MIB)
        eventually(lambda: one.metric("acked_total") > 100, 30)
        with broker.frozen():
            eventually(lambda: exchange.position == exchange.last, 60)
            eventually(lambda: one.metric("spilled_frames") > 5_000, 20)
            assert one.metric("paused") == 0
        drained(one, exchange.last)
        assert exchange.lost == set()
        assert one.stop("bridge") == 0
    holds_all_in_order(one, exchange.last)


def test_a_full_disk_stops_the_reading_and_is_said(
    feed: Callable[..., Feed], broker: Broker
) -> None:
    exchange = Exchange(100)
    with serving("127.0.0.1", exchange) as url:
        one = listening(feed, url, MIB)
        eventually(lambda: one.metric("acked_total") == 100, 60)
        with broker.frozen():
            exchange.last = 60_000
            eventually(lambda: one.metric("paused") == 1, 60)
            [said] = one.logged("no more can wait on disk: reading stops")
            assert f"of at most {MIB} bytes are in use" in said["error"]
            stands = one.metric("spilled_frames")
            assert stands > 1_000
            time.sleep(1)
            assert one.metric("spilled_frames") == stands
            assert exchange.position < exchange.last
        drained(one, exchange.last)
        assert one.stop("bridge") == 0
    holds_all_in_order(one, exchange.last)


@pytest.mark.e2e
@pytest.mark.parametrize("spills", [False, True], ids=["waits", "spills"])
def test_a_minute_without_kafka_at_20000_a_second(
    feed: Callable[..., Feed], broker: Broker, spills: bool
) -> None:
    one = feed(simulated(tradesPerSecond=6_000, limit=540_000))
    if spills:
        one.config["spill"] = {"path": str(one.home / "spill"), "bytes": 2048 * MIB}
    one.start("simulator")
    one.start("bridge")
    eventually(lambda: one.metric("acked_total") > 100_000, 60)
    before = one.memory()
    with broker.frozen():
        time.sleep(60)
        assert (one.metric("spilled_frames") > 500_000) == spills
        assert (one.metric("paused") == 1) != spills
        print(f"{before // MIB} MiB before, {one.memory() // MIB} MiB at most without Kafka")
        assert one.memory() - before < 128 * MIB
    last = 1_800_000
    drained(one, last - 100, 300)
    assert one.stop("bridge") == 0
    holds_all_in_order(one, int(max(one.sequences())))
