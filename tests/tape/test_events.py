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


def check_decimal(codec: Codec, value: bytes) -> None:
    data = b'{"id":"1","d":%s}' % value
    codec.check_decimals(codec.decode(data), data)


def test_decimals_must_fit() -> None:
    codec = Codec(event(Field("d", "decimal(5,2)")))
    for good in ("123.45", "-999.99", "1e2", "0"):
        check_decimal(codec, b'"%s"' % good.encode())
    for bad in ("1000", "1.234", "1e5"):
        with pytest.raises(Invalid, match="does not fit"):
            check_decimal(codec, b'"%s"' % bad.encode())


@pytest.mark.parametrize(
    "value", [*(b'"1_0"', b'" 1"', b'"NaN"', b'"sNaN"', b'"-Infinity"', b'"0E-300"', b'"1E-300"')]
)
def test_decimals_that_a_job_would_not_read_are_refused(value: bytes) -> None:
    with pytest.raises(Invalid, match="d: "):
        check_decimal(Codec(event(Field("d", "decimal(5,2)"))), value)
    with pytest.raises(Invalid, match="d: "):
        check_decimal(Codec(event(Field("d", "decimal(5,2)"))), '"\uff11"'.encode())


@pytest.mark.parametrize(
    ("type_", "value", "path"),
    [
        ("list<decimal(5,2)>", b'["1.25","1.255"]', r"d\[1\]: 1.255"),
        ("map<string, decimal(5,2)>", b'{"a":1000}', "d.a: 1000"),
        ("struct<x: int, y: decimal(5,2)>", b'{"x":1,"y":"NaN"}', "d.y: NaN"),
        ("list<struct<y: list<decimal(5,2)>>>", b'[{"y":[0.001]}]', r"d\[0\].y\[0\]: 0.001"),
    ],
)
def test_decimals_within_other_types_must_fit(type_: str, value: bytes, path: str) -> None:
    """A job would round them silently."""
    with pytest.raises(Invalid, match=path):
        check_decimal(Codec(event(Field("d", type_))), value)


@pytest.mark.parametrize(
    ("type_", "rule", "kept", "broken", "says"),
    [
        ("decimal(5,2)", Rule("d", min=0.1), b"0.10", b"0.09", "d: 0.09 is less than 0.1"),
        ("decimal(5,2)", Rule("d", max=2), b'"2.00"', b'"2.01"', "d: 2.01 is more than 2"),
        ("decimal(5,2)", Rule("d", positive=True), b"0.01", b"0", "d: 0 is not positive"),
        ("decimal(5,2)", Rule("d", finite=True), b"1", b'"NaN"', "d: NaN does not fit"),
        ("list<decimal(5,2)>", Rule("d", min=0), b"[0]", b"[1,-1]", r"d\[1\]: -1 is less"),
        (
            "list<struct<y: decimal(5,2), z: int>>",
            Rule("d.y", positive=True),
            b'[{"y":1,"z":-1}]',
            b'[{"y":-1,"z":1}]',
            r"d\[0\].y: -1 is not positive",
        ),
    ],
)
def test_rules_hold_for_decimals(
    type_: str, rule: Rule, kept: bytes, broken: bytes, says: str
) -> None:
    codec = Codec(event(Field("d", type_), rules=(rule,)))
    check_decimal(codec, kept)
    check_decimal(codec, b"null")
    with pytest.raises(Invalid, match=says):
        check_decimal(codec, broken)


@pytest.mark.parametrize(
    ("type_", "inside", "outside"),
    [
        ("int", b"2147483647", b"2147483648"),
        ("long", b"-9223372036854775808", b"-9223372036854775809"),
        ("long", b"9223372036854775807", b"9223372036854775808"),
        ("float", b"3.4028234e38", b"3.5e38"),
        ("float", b"-3.4028234e38", b"-3.5e38"),
        ("double", b"1.7976931348623157e308", b"1e309"),
        ("double", b"0", b"NaN"),
        ("time", b'"23:59:59"', b'"23:59:59+01:00"'),
        ("date", b'"9999-12-31"', b'"10000-01-01"'),
        ("date", b'"0001-01-01"', b'"0000-01-01"'),
        ("timestamp", b'"9999-12-31T23:59:59.999999"', b'"2026-01-01T00:00:00Z"'),
        ("list<float>", b"[1.5]", b"[1e39]"),
    ],
)
def test_what_is_accepted_a_job_can_carry(type_: str, inside: bytes, outside: bytes) -> None:
    codec = Codec(event(Field("d", type_)))
    codec.decode(b'{"id":"1","d":%s}' % inside)
    with pytest.raises(msgspec.DecodeError):
        codec.decode(b'{"id":"1","d":%s}' % outside)
