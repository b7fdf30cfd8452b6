"""Decoders made from declarations."""

import json
from typing import Any

import msgspec
import pytest
from tapehouse_tape.events import (
    Codec,
    DeclarationError,
    Event,
    Field,
    Invalid,
    Reason,
    load_preset,
)
from tapehouse_tape.rules import Rule

TRADE: dict[str, Any] = {
    "event_id": "e",
    "timestamp": "2026-11-21T13:00:00.123456Z",
    "trade_id": "t",
    "symbol": "AAPL",
    "price": 1.5,
    "quantity": 5,
    "buy_order_id": "b",
    "sell_order_id": "s",
    "buyer_agent_id": "x",
    "seller_agent_id": "y",
    "is_aggressive_buy": True,
}


def market() -> dict[str, Codec]:
    return {event.name: Codec(event) for event in load_preset("market/v1").events}


def event(*fields: Field, key: str = "id", **more: Any) -> Event:
    return Event("E", "t", key, (Field("id", "string", required=True), *fields), **more)


def verdict(codec: Codec, data: bytes) -> Invalid:
    with pytest.raises((msgspec.DecodeError, RecursionError)) as caught:
        codec.decode(data)
    return codec.explain(data, caught.value)


def test_the_preset_has_nine_events_on_seven_topics() -> None:
    events = load_preset("market/v1").events
    assert len(events) == 9
    assert len({e.topic for e in events}) == 7
    assert {e.topic for e in events if e.name.startswith("Trading")} == {"raw.trading-halts"}
    assert {e.key for e in events} == {"symbol", "agent_id"}


def test_events_on_one_topic_agree_on_types() -> None:
    types: dict[tuple[str, str], str] = {}
    for one in load_preset("market/v1").events:
        for each in one.fields:
            assert types.setdefault((one.topic, each.name), each.type) == each.type


def test_unknown_presets_are_refused() -> None:
    with pytest.raises(DeclarationError, match="market/v9"):
        load_preset("market/v9")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quantity": 0}, Reason.RULE),
        ({"quantity": 10**9}, None),
        ({"quantity": 10**9 + 1}, Reason.RULE),
        ({"quantity": 2**31}, Reason.RULE),
        ({"quantity": 1.5}, Reason.WRONG_TYPE),
        ({"quantity": True}, Reason.WRONG_TYPE),
        ({"price": -1}, Reason.RULE),
        ({"price": 0}, Reason.RULE),
        ({"price": 5}, None),
        ({"price": float("nan")}, Reason.RULE),
        ({"price": float("inf")}, Reason.RULE),
        ({"price": "1.5"}, Reason.WRONG_TYPE),
        ({"symbol": None}, Reason.WRONG_TYPE),
        ({"symbol": ...}, Reason.MISSING_FIELD),
        ({"timestamp": ...}, None),
        ({"timestamp": None}, None),
        ({"timestamp": 1700000000}, Reason.BAD_TIMESTAMP),
        ({"unheard_of": [1, {"a": None}]}, None),
    ],
)
def test_trades(change: dict[str, Any], reason: Reason | None) -> None:
    data = json.dumps({k: v for k, v in (TRADE | change).items() if v is not ...}).encode()
    codec = market()["TradeExecuted"]
    if reason is None:
        codec.decode(data)
    else:
        found = verdict(codec, data)
        assert found.reason == reason
        assert next(iter(change)) in found.detail


def test_optional_fields_may_be_missing_or_null() -> None:
    codec = market()["QuoteUpdate"]
    quote = {"event_id": "e", "timestamp": TRADE["timestamp"], "symbol": "A"}
    quote |= {"best_bid_size": 0, "best_ask_size": 0}
    assert codec.decode(json.dumps(quote).encode()).best_bid is None
    assert codec.decode(json.dumps(quote | {"spread": None}).encode()).spread is None


def test_choices_and_patterns() -> None:
    codec = Codec(
        event(
            Field("side", "string"),
            rules=(
                Rule("side", one_of=("Buy", "Sell", "Short")),
                Rule("side", pattern="[BS].*l?y?"),
                Rule("id", pattern="[0-9]+"),
            ),
        )
    )
    codec.decode(b'{"id":"12","side":"Sell"}')
    codec.decode(b'{"id":"12","side":null}')
    assert verdict(codec, b'{"id":"12","side":"sell"}').reason == Reason.RULE
    assert verdict(codec, b'{"id":"12x"}').reason == Reason.RULE
    assert verdict(codec, b'{"id":"12\\n"}').reason == Reason.RULE


def test_rules_reach_into_lists_of_structs() -> None:
    levels = Field("bids", "list<struct<price: double, quantity: long>>")
    codec = Codec(event(levels, rules=(Rule("bids.price", positive=True),)))
    codec.decode(b'{"id":"1","bids":[{"price":1,"quantity":0}]}')
    found = verdict(codec, b'{"id":"1","bids":[{"price":0,"quantity":0}]}')
    assert found.reason == Reason.RULE
    assert "bids[0].price" in found.detail


def test_bounds_given_as_floats_fit_integers() -> None:
    codec = Codec(event(Field("n", "int"), rules=(Rule("n", min=1.0, max=3.0),)))
    codec.decode(b'{"id":"1","n":3}')
    assert verdict(codec, b'{"id":"1","n":4}').reason == Reason.RULE


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        (event(Field("x", "text")), r"E\.x: .*is not a type"),
        (event(Field("id", "string")), r"E\.id: not a name, or used twice"),
        (event(Field("a-b", "string")), r"E\.a-b: not a name"),
        (event(key="nope"), r"E: key 'nope' is not one of its fields"),
        (event(event_time="id"), r"E: eventTime 'id' is not a timestamptz"),
        (event(rules=(Rule("nope", min=1),)), r"rule on 'nope': no such field; there are id"),
        (event(rules=(Rule("id", min=1),)), "id is a string"),
        (event(rules=(Rule("id.x", pattern="a"),)), "id is a string"),
        (event(rules=(Rule("id", pattern="("),)), "E: "),
        (event(Field("n", "int"), rules=(Rule("n", one_of=("a",)),)), "n is a number"),
        (event(Field("d", "date"), rules=(Rule("d", min=1),)), "needs a number or a string"),
    ],
)
def test_bad_declarations_are_refused(declared: Event, says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        Codec(declared)


def test_decimals_must_fit() -> None:
    codec = Codec(event(Field("d", "decimal(5,2)")))
    for good in ("123.45", "-999.99", "1e2", "0"):
        codec.check_decimals(codec.decode(b'{"id":"1","d":"%s"}' % good.encode()))
    for bad in ("1000", "1.234", "1e5"):
        with pytest.raises(Invalid, match="does not fit"):
            codec.check_decimals(codec.decode(b'{"id":"1","d":"%s"}' % bad.encode()))
