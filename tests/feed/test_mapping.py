"""Foreign exchanges, declared: Binance and Coinbase frames become the market's trades."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapehouse_feed.config import FrameMapping
from tapehouse_feed.mapping import Mapper
from tapehouse_feed.paths import views
from tapehouse_feed.session import DUPLICATE, UNMAPPED, DeadLetter, Deliver, Session
from tapehouse_tape.events import DeclarationError, Reason, load_preset

NOW = 1_795_266_407_408_000
EVENTS = load_preset("market/v1").events
BINANCE = {
    "when": {"field": "e", "equals": "trade"},
    "event": "TradeExecuted",
    "quantityScale": 1_000_000,
    "fields": {
        "event_id": {"from": "t"},
        "timestamp": {"from": "T", "unit": "ms"},
        "trade_id": {"from": "t"},
        "symbol": {"from": "s"},
        "price": {"from": "p"},
        "quantity": {"from": "q"},
        "buy_order_id": {"value": ""},
        "sell_order_id": {"value": ""},
        "buyer_agent_id": {"value": "binance"},
        "seller_agent_id": {"value": "binance"},
        "is_aggressive_buy": {"from": "m", "map": {"true": "false", "false": "true"}},
    },
}
COINBASE = {
    "when": {"field": "type", "equals": "match"},
    "event": "TradeExecuted",
    "quantityScale": 100_000_000,
    "fields": {
        "event_id": {"from": "trade_id"},
        "timestamp": {"from": "time"},
        "trade_id": {"from": "trade_id"},
        "symbol": {"from": "product_id"},
        "price": {"from": "price"},
        "quantity": {"from": "size"},
        "buy_order_id": {"from": "maker_order_id"},
        "sell_order_id": {"from": "taker_order_id"},
        "buyer_agent_id": {"value": "coinbase"},
        "seller_agent_id": {"value": "coinbase"},
        "is_aggressive_buy": {"from": "side", "map": {"buy": "false", "sell": "true"}},
    },
}
BINANCE_TRADE = {
    "e": "trade",
    "E": 1_795_266_407_400,
    "s": "BTCUSDT",
    "t": 4711,
    "p": "59700.10",
    "q": "0.002",
    "T": 1_795_266_407_399,
    "m": True,
}
COINBASE_MATCH = {
    "type": "match",
    "trade_id": 10,
    "sequence": 50,
    "maker_order_id": "ac928c66-ca53-498f-9c13-a110027a60e8",
    "taker_order_id": "132fb6ae-456b-4654-b4e0-d681ac05cea1",
    "time": "2026-11-07T08:19:27.028459Z",
    "product_id": "BTC-USD",
    "size": "5.23512",
    "price": "400.23",
    "side": "sell",
}


def session(*mappings: dict[str, Any], sequence_field: str = "t") -> Session:
    declared = msgspec.convert(mappings, tuple[FrameMapping, ...])
    mapper = Mapper(declared, EVENTS, sequence_field)
    return Session("f", EVENTS, stream="5" * 16, run="a" * 16, mapper=mapper)


def receive(one: Session, frame: Any) -> Any:
    [action] = receive_all(one, frame)
    return action


def receive_all(one: Session, frame: Any) -> list[Any]:
    return one.receive(frame if isinstance(frame, bytes) else json.dumps(frame).encode(), NOW)


def test_a_binance_trade() -> None:
    action = receive(session(BINANCE, COINBASE), BINANCE_TRADE)
    assert json.loads(action.value) == {
        "event_id": "4711",
        "timestamp": "2026-11-21T13:06:47.399000Z",
        "trade_id": "4711",
        "symbol": "BTCUSDT",
        "price": 59700.10,
        "quantity": 2_000,
        "buy_order_id": "",
        "sell_order_id": "",
        "buyer_agent_id": "binance",
        "seller_agent_id": "binance",
        "is_aggressive_buy": False,
    }
    assert action.key == b"BTCUSDT"
    assert dict(action.headers)["seq"] == b"4711"


def test_a_coinbase_match() -> None:
    action = receive(session(BINANCE, COINBASE), COINBASE_MATCH)
    data = json.loads(action.value)
    assert data["quantity"] == 523_512_000
    assert data["timestamp"] == "2026-11-07T08:19:27.028459Z"
    assert data["is_aggressive_buy"] is True
    assert "seq" not in dict(action.headers)


@given(st.decimals("0.000001", 1_000, places=6, allow_nan=False))
def test_fixed_point_is_exact(quantity: Any) -> None:
    action = receive(session(BINANCE), BINANCE_TRADE | {"q": str(quantity)})
    assert json.loads(action.value)["quantity"] == int(quantity * 1_000_000)


def test_numbers_count_per_symbol() -> None:
    one = session(BINANCE)
    for symbol, number in (("A", 1), ("B", 900), ("A", 2), ("B", 903), ("A", 3)):
        assert isinstance(receive(one, BINANCE_TRADE | {"s": symbol, "t": number}), Deliver)
    assert receive(one, BINANCE_TRADE | {"s": "B", "t": 903}) is DUPLICATE
    assert {key: ledger.missing for key, ledger in one.keyed.items()} == {"A": 0, "B": 2}


def test_trace_ids_tell_symbols_apart_and_are_the_same_in_every_run() -> None:
    traces = {
        (run, symbol): dict(receive(session(BINANCE), BINANCE_TRADE | {"s": symbol}).headers)[
            "trace_id"
        ]
        for run in (1, 2)
        for symbol in "AB"
    }
    assert len(set(traces.values())) == 2
    assert traces[1, "A"] == traces[2, "A"]


def test_frames_no_mapping_is_for_are_passed_over_and_counted() -> None:
    one = session(BINANCE)
    for frame in ({"result": None, "id": 1}, {"e": "depthUpdate"}, {"e": {"trade": 1}}, {}):
        assert receive(one, frame) is UNMAPPED
    assert one.skipped["unmapped"] == 4


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"42", Reason.NOT_AN_OBJECT),
        (b'{"e":"trade"', Reason.NOT_JSON),
        (b"[" * 100_000, Reason.NOT_JSON),
        (b'{"e":"tr\xff"}', Reason.NOT_UTF8),
        (BINANCE_TRADE | {"p": "much"}, Reason.WRONG_TYPE),
        (BINANCE_TRADE | {"p": True}, Reason.WRONG_TYPE),
        (BINANCE_TRADE | {"p": "NaN"}, Reason.RULE),
        (BINANCE_TRADE | {"p": "Infinity"}, Reason.RULE),
        (BINANCE_TRADE | {"p": "-1"}, Reason.RULE),
        (BINANCE_TRADE | {"q": "0.0000001"}, Reason.RULE),
        (BINANCE_TRADE | {"q": "1e30"}, Reason.WRONG_TYPE),
        (BINANCE_TRADE | {"m": "maybe"}, Reason.WRONG_TYPE),
        (BINANCE_TRADE | {"T": "soon"}, Reason.WRONG_TYPE),
        (BINANCE_TRADE | {"T": 10**30}, Reason.BAD_TIMESTAMP),
        ({k: v for k, v in BINANCE_TRADE.items() if k != "p"}, Reason.MISSING_FIELD),
        (BINANCE_TRADE | {"p": None}, Reason.WRONG_TYPE),
        (BINANCE_TRADE | {"p": {"x": 1}}, Reason.WRONG_TYPE),
    ],
)
def test_bad_foreign_frames_are_kept_as_they_came(frame: Any, reason: Reason) -> None:
    text = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
    [letter] = session(BINANCE).receive(text, NOW)
    assert isinstance(letter, DeadLetter)
    assert letter.value == text
    assert letter.reason == reason


def test_a_bad_foreign_frame_opens_no_gap() -> None:
    one = session(BINANCE)
    for number, price in ((1, "1"), (2, "-1"), (3, "ten"), (4, "1")):
        receive(one, BINANCE_TRADE | {"t": number, "p": price})
    assert [ledger.missing for ledger in one.ledgers.values()] == [0]


def test_paths_reach_into_objects_and_lists() -> None:
    nested = json.loads(json.dumps(BINANCE))
    nested["when"]["field"] = "data.0.e"
    for field in nested["fields"].values():
        if "from" in field:
            field["from"] = f"data.0.{field['from']}"
    one = session(nested)
    assert isinstance(receive(one, {"stream": "x", "data": [BINANCE_TRADE]}), Deliver)
    assert receive(one, {"data": []}) is UNMAPPED


@pytest.mark.parametrize(
    ("unit", "value"),
    [("s", 1_795_266_407), ("us", 1_795_266_407_000_000), ("ns", "1795266407000000999")],
)
def test_units_of_time(unit: str, value: Any) -> None:
    mapping = json.loads(json.dumps(BINANCE))
    mapping["fields"]["timestamp"]["unit"] = unit
    action = receive(session(mapping), BINANCE_TRADE | {"T": value})
    assert json.loads(action.value)["timestamp"] == "2026-11-21T13:06:47.000000Z"


def test_a_mapping_onto_an_unknown_field_is_refused() -> None:
    mapping = json.loads(json.dumps(BINANCE))
    mapping["fields"]["colour"] = {"value": "red"}
    with pytest.raises(DeclarationError, match="'colour' is not one of"):
        session(mapping)


KRAKEN = {
    "when": {"field": "channel", "equals": "trade"},
    "each": "data",
    "event": "TradeExecuted",
    "fields": {
        name: {"from": path} if path[:1] != "=" else {"value": path[1:]}
        for name, path in {
            "event_id": "data.id",
            "timestamp": "data.time",
            "trade_id": "data.id",
            "symbol": "data.symbol",
            "price": "data.price",
            "quantity": "data.qty",
            "buy_order_id": "channel",
            "sell_order_id": "=constant",
            "buyer_agent_id": "=b",
            "seller_agent_id": "=s",
            "is_aggressive_buy": "=true",
        }.items()
    },
}


def kraken(*numbers: int, **changes: Any) -> dict[str, Any]:
    data = [
        {"id": n, "time": "2026-01-05T07:48:36Z", "symbol": "X", "price": 0.5147, "qty": 2}
        for n in numbers
    ]
    return {"channel": "trade", "data": data} | changes


def test_each_element_of_a_list_is_an_event() -> None:
    one = session(KRAKEN, sequence_field="data.id")
    found = receive_all(one, kraken(7, 8, 9))
    assert [json.loads(each.value)["trade_id"] for each in found] == ["7", "8", "9"]
    assert {json.loads(each.value)["sell_order_id"] for each in found} == {"constant"}
    assert len({dict(each.headers)["trace_id"] for each in found}) == 3
    assert receive_all(one, kraken(9)) == [DUPLICATE]
    assert (one.frames, one.events.total()) == (4, 3)


def test_a_bad_element_is_a_dead_letter_alone() -> None:
    one = session(KRAKEN, sequence_field="data.id")
    frame = kraken(7, 8, 9)
    frame["data"][1]["price"] = "much"
    good, bad, other = receive_all(one, frame)
    assert isinstance(good, Deliver)
    assert isinstance(other, Deliver)
    assert json.loads(bad.value) == frame | {"data": [frame["data"][1]]}


def test_elements_may_share_the_number_of_their_frame() -> None:
    one = session(KRAKEN, sequence_field="n")
    found = receive_all(one, kraken(7, 8, n=1))
    assert [isinstance(each, Deliver) for each in found] == [True, True]
    assert len({dict(each.headers)["trace_id"] for each in found}) == 2
    assert receive_all(one, kraken(7, n=1) | {"x": 1}) != found


@pytest.mark.parametrize("data", [None, {}, 5, "text"])
def test_a_list_that_is_not_there_is_a_dead_letter(data: Any) -> None:
    [letter] = receive_all(session(KRAKEN), kraken(data=data))
    assert isinstance(letter, DeadLetter)
    assert "data: expected a list" in letter.detail


def test_an_empty_list_is_no_event() -> None:
    assert [each.why for each in receive_all(session(KRAKEN), kraken())] == ["empty"]


def test_frames_may_be_lists_with_lists_in_them() -> None:
    fields = KRAKEN["fields"] | {  # type: ignore[operator]
        "event_id": {"value": "e"},
        "trade_id": {"value": "t"},
        "symbol": {"from": "3"},
        "price": {"from": "1.0"},
        "quantity": {"from": "1.1"},
        "timestamp": {"from": "1.2", "unit": "s"},
        "buy_order_id": {"from": "1.3"},
    }
    positional = KRAKEN | {"when": {"field": "2", "equals": "trade"}, "each": "1", "fields": fields}
    frame = [
        0,
        [["5.1", "2", "1534614057.3", "s"], ["5.2", "3", "1534614058.3", "b"]],
        "trade",
        "X",
    ]
    found = [json.loads(each.value) for each in receive_all(session(positional), frame)]
    assert [(each["symbol"], each["price"]) for each in found] == [("X", 5.1), ("X", 5.2)]


def test_lists_on_the_way_are_taken_element_by_element() -> None:
    frame = {"events": [{"k": "a", "trades": [{"p": 1}, {"p": 2}]}, {"k": "b", "trades": []}]}
    seen = [
        (view["events"]["k"], view["events"]["trades"]["p"])
        for view, _ in views(frame, "events.trades")
    ]
    assert seen == [("a", 1), ("a", 2)]
    alone = [alone for _, alone in views(frame, "events.trades")]
    assert alone[1] == {"events": [{"k": "a", "trades": [{"p": 2}]}]}
