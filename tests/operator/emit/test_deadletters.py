"""Who reports a record that no job can take: every one once, whichever inputs read its topic."""

from tapehouse_operator.emit.ddl import Input
from tapehouse_operator.emit.deadletters import dead_letters
from tapehouse_operator.emit.events import PRESETS, Event, on_topic

TRADES = on_topic(PRESETS["market/v1"], "raw.trades")
ORDERS = on_topic(PRESETS["market/v1"], "raw.orders")
TOPICS = {"market": "market.dead-letters", "other": "letters"}


def reads(alias: str, *events: Event, feed: str = "market") -> Input:
    known = tuple(e.name for e in on_topic(PRESETS["market/v1"], events[0].topic))
    filtered = len(events) < len(known)
    return Input(alias, events[0].topic, events, filtered, feed=feed, known=known)


def selects(*inputs: Input) -> list[str]:
    (found,) = dead_letters("land", inputs, TOPICS)
    return found.insert().query.split("UNION ALL")


def test_a_topic_of_one_event_needs_no_header() -> None:
    (only,) = selects(reads("t", *TRADES))
    assert only.endswith("WHERE NOT `$whole`")
    assert "'reason', COALESCE(`$reason`, 'missing-field')" in only


def test_an_event_that_two_inputs_read_is_reported_by_one() -> None:
    assert len(selects(reads("a", *TRADES), reads("b", *TRADES))) == 1


def test_of_two_events_on_a_topic_each_reports_its_own_and_one_the_strays() -> None:
    placed, cancelled = ORDERS
    first, second = selects(reads("p", placed), reads("c", cancelled))
    known = "`event_type` IN ('OrderPlaced', 'OrderCancelled')"
    assert "WHEN `event_type` IN ('OrderPlaced') THEN 'missing-field' ELSE 'unknown-" in first
    assert first.strip().endswith(f"AND (`event_type` IN ('OrderPlaced') OR {known} IS NOT TRUE)")
    assert second.endswith("AND `event_type` IN ('OrderCancelled')")


def test_every_feed_has_its_own_letters() -> None:
    one, other = dead_letters("j", [reads("a", *TRADES), reads("b", *TRADES, feed="other")], TOPICS)
    assert (one.topic, other.topic) == ("market.dead-letters", "letters")
    assert "'feed', 'other'" in other.insert().query
    assert other.insert().target == "letters"


def test_the_sink_takes_what_the_topic_takes() -> None:
    (found,) = dead_letters("land", [reads("t", *TRADES)], TOPICS)
    ddl = found.ddl({"bootstrap.servers": "k:9092"})
    assert "CREATE TEMPORARY TABLE `market.dead-letters`" in ddl
    assert "'properties.max.request.size' = '16777216'" in ddl
    assert "'format' = 'raw'" in ddl
