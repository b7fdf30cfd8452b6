"""What a source leaves out is noticed, reported, and fetched where it can be."""

from collections.abc import Callable

from tapehouse_feed.simulator import Exchange

from tests.feed.broker import eventually
from tests.feed.feeds import SYMBOLS, Feed, simulated

LAST = Exchange(5, SYMBOLS).last_of(600)
DROPPING = {"drops": 0.01, "reorders": 0.02, "duplicates": 0.02}


def dropping(feed: Callable[..., Feed], backfill: bool) -> Feed:
    one = feed(
        simulated(limit=600, tradesPerSecond=300, faults=DROPPING),
        continuity={"sequenceField": "sequence", "maxGap": None, "backfill": backfill},
    )
    one.start("simulator")
    one.start("bridge")
    return one


def test_gaps_stay_open_and_are_counted(feed: Callable[..., Feed]) -> None:
    one = dropping(feed, backfill=False)
    eventually(lambda: one.metric("sequence") >= LAST - 3, 60)
    eventually(lambda: one.metric("in_flight") == 0, 30)
    missing = one.metric("missing")
    assert missing > 5
    assert one.metric("gaps_open") > 3
    assert one.metric("gaps_closed_total") > 3, "reordered frames close theirs"
    high = one.metric("sequence")
    one.stop("bridge")
    assert len(one.sequences()) == high - missing
    assert one.sequences().total() == high - missing
    one.start("bridge")
    eventually(lambda: one.metric("missing") == missing, 60)


def test_gaps_are_filled_where_the_source_can(feed: Callable[..., Feed]) -> None:
    one = dropping(feed, backfill=True)
    eventually(lambda: one.metric("sequence") >= LAST - 3, 60)
    eventually(lambda: one.metric("missing") == 0, 60)
    assert one.metric("connections_total") > 1
    high = int(one.metric("sequence"))
    assert one.stop("bridge") == 0
    assert sorted(one.sequences()) == list(range(1, high + 1))
    assert one.sequences().total() == high
