"""Kafka does not answer for a while: nothing is lost, order is kept, memory is bounded."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.feed.broker import Broker, eventually
from tests.feed.feeds import Feed, simulated
from tests.feed.foreign import Exchange, serving

MIB = 1024 * 1024
AT_MOST = 40_000
"""Events that may be under way at once: those of the producer and those read before it stops."""


def listening(feed: Callable[..., Feed], url: str, size: int) -> Feed:
    one = feed({"type": "websocket", "url": url})
    one.config["spill"] = {"path": str(one.home / "spill"), "bytes": size}
    one.start("bridge")
    return one


def holds_all_in_order(one: Feed, last: int) -> None:
    """Every event is there once, those of a key in their order; millions are read one by one."""
    seen = bytearray(last + 1)
    newest: dict[Any, int] = {}
    for record in one.read():
        number = int(dict(record.headers())["seq"])
        lane = record.topic(), record.partition(), record.key()
        assert number > newest.get(lane, 0), "order within a key"
        newest[lane] = number
        assert not seen[number], f"{number} is there twice"
        seen[number] = 1
    assert seen.count(1) == last


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
    """20,000 are asked for; how many a busy machine makes of it is said."""
    one = feed(simulated(tradesPerSecond=6_000))
    if spills:
        one.config["spill"] = {"path": str(one.home / "spill"), "bytes": 2048 * MIB}
    one.start("simulator")
    one.start("bridge")
    eventually(lambda: one.metric("acked_total") > 100_000, 120)
    before, read = one.memory(), received(one)
    with broker.frozen():
        time.sleep(60)
        came, waits = received(one) - read, one.metric("spilled_frames")
        print(f"{came / 60:,.0f} events a second taken, {waits:,.0f} wait on disk")
        print(f"{before // MIB} MiB before, {one.memory() // MIB} MiB at most without Kafka")
        assert (one.metric("paused") == 1) != spills
        # What does not wait on disk, Kafka's client holds; no more than that is read without one.
        assert came - waits <= AT_MOST
        assert waits > 100_000 if spills else waits == 0
        assert one.memory() - before < 128 * MIB
    before = one.metric("acked_total")
    eventually(lambda: one.metric("acked_total") > before + 50_000, 120)
    one.stop("simulator")
    eventually(lambda: one.metric("in_flight") == one.metric("spilled_frames") == 0, 300)
    last = int(one.metric("sequence"))
    assert one.stop("bridge") == 0
    holds_all_in_order(one, last)


def received(one: Feed) -> float:
    """Events the bridge has read."""
    return one.metric("sequence") + one.metric("spilled_frames")
