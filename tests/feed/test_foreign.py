"""A foreign exchange over a real socket into a real broker, with an exact ledger after it."""

import json
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.feed.broker import eventually
from tests.feed.feeds import Feed
from tests.feed.foreign import Exchange, serving, trade
from tests.feed.test_mapping import BINANCE, BINANCE_TRADE
from tests.feed.test_session import TRADE

LAST = 24_000
EVERY = 1_500


def listening(feed: Callable[..., Feed], url: str, **more: Any) -> Feed:
    continuity = {"sequenceField": "sequence", "maxGap": None, "backfill": False}
    continuity |= more.pop("continuity", {})
    one = feed({"type": "websocket", "url": url}, continuity=continuity, **more)
    one.start("bridge")
    return one


def settled(one: Feed, last: int) -> None:
    eventually(lambda: one.metric("sequence") >= last, 90)
    eventually(lambda: one.metric("in_flight") == 0, 30)


def test_a_lossless_exchange_that_keeps_hanging_up(feed: Callable[..., Feed]) -> None:
    exchange = Exchange(LAST, cut=EVERY)
    with serving("127.0.0.1", exchange) as url:
        one = listening(feed, url, continuity={"backfill": True})
        settled(one, LAST)
        assert one.metric("missing") == 0
        assert one.metric("skipped_total", why="duplicate") > 15, "it repeats some, to be sure"
        assert one.stop("bridge") == 0
    assert exchange.connections >= 16
    assert one.sequences() == Counter(range(1, LAST + 1))


def test_the_loss_of_a_lossy_exchange_is_known_to_the_number(feed: Callable[..., Feed]) -> None:
    exchange = Exchange(LAST, lossless=False, cut=EVERY)
    with serving("127.0.0.1", exchange) as url:
        one = listening(feed, url)
        settled(one, LAST)
        eventually(lambda: one.metric("missing") == len(exchange.lost), 20)
        assert one.metric("gaps_open") == exchange.connections - 1 >= 15
        eventually(lambda: len(one.logged("gap open")) == exchange.connections - 1, 20)
        assert one.stop("bridge") == 0
    assert one.sequences() == Counter(set(range(1, LAST + 1)) - exchange.lost)
    reported = {n for gap in one.logged("gap open") for n in range(gap["first"], gap["last"] + 1)}
    assert reported == exchange.lost


def test_repeated_reordered_skipped_and_from_2099(feed: Callable[..., Feed]) -> None:
    order = [1, 2, 2, 3, 6, 5, 5, 4, 9, 8, 10, 3, 12, 11, 10]
    future = "2099-12-31T23:59:59.999999Z"

    def frame(position: int) -> bytes:
        number = order[position - 1]
        return trade(number, timestamp=future if number == 5 else TRADE["timestamp"])

    with serving("127.0.0.1", Exchange(len(order), frame=frame)) as url:
        one = listening(feed, url)
        settled(one, 12)
        eventually(lambda: one.metric("missing") == 1, 10)
        assert one.stop("bridge") == 0
    assert one.sequences() == Counter(set(order))
    times = {
        json.loads(m.value())["trade_id"]: json.loads(m.value())["timestamp"] for m in one.records()
    }
    assert times.pop("t-5") == future, "written as it came; watermarks are capped, data is not"
    assert set(times.values()) == {TRADE["timestamp"]}


def test_symbols_have_numbers_of_their_own_through_a_crash(feed: Callable[..., Feed]) -> None:
    """The bridge is killed; its successor hears all again, and what went by meanwhile is gone."""
    sent = [("A", n) for n in range(100, 140)] + [("B", n) for n in range(7, 60)]

    def frame(position: int) -> bytes:
        symbol, number = sent[position - 1]
        return json.dumps(BINANCE_TRADE | {"s": symbol, "t": number}).encode()

    exchange = Exchange(len(sent), frame=frame)
    with serving("127.0.0.1", exchange) as url:
        one = listening(feed, url, mapping=[BINANCE], continuity={"sequenceField": "t"})
        eventually(lambda: one.metric("acked_total") >= len(sent), 60)
        eventually(lambda: len(one.broker.records(one.config["cursorTopic"])) > 1, 20)
        one.stop("bridge", signal.SIGKILL)
        sent += [("A", n) for n in range(145, 150)] + [("B", 60)]
        exchange.last = len(sent)
        one.start("bridge")
        eventually(lambda: one.metric("missing") == 5, 60)
        eventually(lambda: one.metric("acked_total") >= 6, 60)
        assert one.metric("gaps_open") == 1
        [gap] = eventually(lambda: one.logged("gap open"), 20)
        assert one.stop("bridge") == 0
    there = Counter((m.key().decode(), int(dict(m.headers())["seq"])) for m in one.records())
    assert there == Counter(sent)
    assert (gap["key"], gap["first"], gap["last"]) == ("A", 140, 144)
