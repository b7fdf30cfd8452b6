"""What a feed may not be, and that compiling it again changes nothing."""

from typing import Any

import pytest
from tapehouse_operator.emit.core import ObjectKey

from tests.operator.kinds.worlds import (
    SETTINGS,
    compiled,
    kind_of,
    observed,
    refusal,
    resource,
    validate,
    world,
)

FEED: dict[str, Any] = {
    "apiVersion": "tapehouse.dev/v1alpha1",
    "kind": "TradeFeed",
    "metadata": {"name": "ticks"},
    "spec": {
        "source": {"simulator": {"symbols": ["A"]}},
        "events": [
            {
                "name": "Tick",
                "key": "symbol",
                "fields": [
                    {"name": "symbol", "type": "string"},
                    {"name": "price", "type": "double"},
                ],
            }
        ],
    },
}


def feed(**spec: Any) -> dict[str, Any]:
    return {**FEED, "spec": {**FEED["spec"], **spec}}


def events(*changed: dict[str, Any]) -> dict[str, Any]:
    base = FEED["spec"]["events"][0]
    return feed(events=[{**base, **change} for change in changed])


def preset(topics: list[dict[str, Any]]) -> dict[str, Any]:
    spec = {key: value for key, value in FEED["spec"].items() if key != "events"}
    return {**FEED, "spec": {**spec, "preset": "market/v1", "topics": topics}}


FIELDS = FEED["spec"]["events"][0]["fields"]


@pytest.mark.parametrize(
    ("body", "reason", "path", "value"),
    [
        (
            events({"fields": [*FIELDS, {"name": "kafka_offset", "type": "long"}]}),
            "Invalid",
            "spec.events[0].fields[2].name",
            "kafka_offset",
        ),
        (
            events({"fields": [*FIELDS, {"name": "at", "type": "string"}], "eventTime": "at"}),
            "InvalidType",
            "spec.events[0].fields[2].type",
            "string",
        ),
        (
            events({"rules": [{"field": "symbol", "positive": True}]}),
            "InvalidType",
            "spec.events[0].rules[0].positive",
            True,
        ),
        (
            events({"rules": [{"field": "price", "oneOf": ["x"]}]}),
            "InvalidType",
            "spec.events[0].rules[0].oneOf",
            ["x"],
        ),
        (
            events({"rules": [{"field": "symbol", "pattern": "("}]}),
            "Invalid",
            "spec.events[0].rules[0].pattern",
            "(",
        ),
        (
            events({"rules": [{"field": "price", "min": 3, "max": 2}]}),
            "Invalid",
            "spec.events[0].rules[0].min",
            3,
        ),
        (
            feed(topics=[{"event": "Tick", "name": "ticks.cursor"}]),
            "Invalid",
            "spec.topics",
            "ticks.cursor",
        ),
        (
            feed(source={"files": {"path": "a", "format": "csv", "columns": ["id", "at", "id"]}}),
            "Invalid",
            "spec.source.files.columns[2]",
            "id",
        ),
        (feed(replicas=2), "Unsupported", "spec.replicas", 2),
        (feed(session={"calendar": "XMOON"}), "Invalid", "spec.session.calendar", "XMOON"),
        (feed(session={"timezone": "Mars/Base"}), "Invalid", "spec.session.timezone", "Mars/Base"),
        (
            feed(session={"holidays": ["2026-02-30"]}),
            "Invalid",
            "spec.session.holidays[0]",
            "2026-02-30",
        ),
        (
            feed(
                mapping=[
                    {
                        "when": {"field": "e", "equals": "x"},
                        "event": "Tock",
                        "fields": {"symbol": {"from": "s"}},
                    }
                ]
            ),
            "UnknownEvent",
            "spec.mapping[0].event",
            "Tock",
        ),
        (
            preset([{"name": "y", "event": "TradeExecuted"}, {"name": "x", "event": "Tock"}]),
            "UnknownEvent",
            "spec.topics[1].event",
            "Tock",
        ),
    ],
)
def test_refusals(body: dict[str, Any], reason: str, path: str, value: object) -> None:
    error = refusal(body, world())
    assert (str(error.reason), error.path, error.value) == (reason, path, value)
    assert error.remedy


BOOK = {"name": "bids", "type": "list<struct<price: double, orders: struct<count: int>>>"}


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        ({"field": "bids.price", "positive": True}, ""),
        ({"field": "bids.orders.count", "min": 1}, ""),
        ({"field": "bids.prize", "positive": True}, "the fields of event Tick are"),
        ({"field": "bids.price", "pattern": "x"}, "bids.price is double"),
        ({"field": "bids", "positive": True}, "positive is for int, long, float, double, decimal"),
    ],
)
def test_a_rule_may_reach_into_a_list_of_structs(rule: dict[str, Any], refused: str) -> None:
    fields = [*FIELDS, BOOK]
    body = events({"fields": fields, "rules": [rule]})
    if refused:
        assert refused in str(refusal(body, world()))
    else:
        config = next(
            c.manifest
            for c in compiled(body, world()).children
            if c.key.name == "ticks-feed" and c.key.kind == "ConfigMap"
        )
        assert rule["field"] in config["data"]["feed.json"]


def two_on_one_topic(type_: str, **topic: Any) -> dict[str, Any]:
    tick = FEED["spec"]["events"][0]
    fields = [{"name": "symbol", "type": "string"}, {"name": "price", "type": type_}]
    return feed(
        events=[tick, {**tick, "name": "Tock", "fields": fields}],
        topics=[
            {"event": "Tick", "name": "raw.ticks", "partitions": 3},
            {"event": "Tock", "name": "raw.ticks", **topic},
        ],
    )


def test_events_that_share_a_topic_agree_on_types_and_settings() -> None:
    clash = refusal(two_on_one_topic("string"), world())
    assert (clash.reason, clash.value) == ("InvalidType", "raw.ticks")
    assert "field price is double in one event and string in Tock" in clash.remedy

    odds = refusal(two_on_one_topic("double", partitions=4), world())
    assert odds.value == ["3", "4"]

    topics = validate(two_on_one_topic("double"), world()).topics
    assert (topics[0].name, topics[0].partitions) == ("raw.ticks", 3)
    assert len(topics) == 3


def as_world(output: Any) -> Any:
    """The world after an apply."""
    return world(
        children={
            child.key: observed(
                data=child.manifest.get("data"), labels=child.manifest["metadata"].get("labels")
            )
            for child in output.children
        }
    )


def test_compiling_again_changes_nothing() -> None:
    body = {**FEED, "spec": {"source": FEED["spec"]["source"], "preset": "market/v1"}}
    first = compiled(body, world())
    assert compiled(body, as_world(first)) == first


def test_a_changed_rate_restarts_the_pods_and_touches_no_topic() -> None:
    before = compiled(FEED, world())
    slower = feed(source={"simulator": {"symbols": ["A"], "tradesPerSecond": 1}})
    after = compiled(slower, as_world(before))
    changed = {
        b.key.kind + "/" + b.key.name
        for b, a in zip(before.children, after.children, strict=True)
        if b != a
    }
    assert changed == {"ConfigMap/ticks-feed", "Deployment/ticks-feed"}


def test_partitions_never_shrink() -> None:
    topic = ObjectKey("kafka.strimzi.io/v1", "KafkaTopic", "ticks.tick")
    wide = world(children={topic: observed(data={"partitions": 12})})

    assert validate(FEED, wide).topics[0].partitions == 12
    wish = {"event": "Tick", "name": "ticks.tick", "partitions": 6}
    error = refusal(feed(topics=[wish]), wide)
    assert (error.reason, error.value) == ("Immutable", 6)
    assert validate(feed(topics=[{**wish, "partitions": 24}]), wide).topics[0].partitions == 24


@pytest.mark.parametrize(("policy", "kept"), [("Retain", True), ("Delete", False)])
def test_what_holds_data_is_kept_as_declared(policy: str, kept: bool) -> None:
    output = compiled(feed(deletionPolicy=policy), world())
    holds = {c.key.name for c in output.children if c.retain}
    assert (holds >= {"ticks.tick", "ticks.dead-letters", "ticks.cursor", "ticks-schema"}) is kept
    assert "ticks-feed" not in holds


def test_a_suspended_feed_keeps_everything_but_its_pods() -> None:
    running, suspended = compiled(FEED, world()), compiled(feed(suspend=True), world())
    assert [c.key for c in running.children] == [c.key for c in suspended.children]
    assert suspended.children[-1].manifest["spec"]["replicas"] == 0


def test_refs_survive_a_spec_that_will_be_refused() -> None:
    body = {**FEED, "spec": {"source": FEED["spec"]["source"], "preset": "no/v1"}}
    refs = kind_of("TradeFeed").refs(resource(body), SETTINGS)
    assert ObjectKey("kafka.strimzi.io/v1", "Kafka", "tape") in refs.objects
