"""The session: bytes in, an action out, and nothing gets lost between the two."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapehouse_feed.continuity import Ledger
from tapehouse_feed.session import (
    DUPLICATE,
    HANDSHAKE,
    MAX_EVENT,
    Collected,
    DeadLetter,
    Deliver,
    Session,
)
from tapehouse_feed.simulator import Exchange
from tapehouse_feed.simulator.faults import BROKEN
from tapehouse_feed.simulator.server import encode, stamp
from tapehouse_tape.events import Reason, load_preset

NOW = 1_795_266_407_408_000
NOW_TEXT = "2026-11-21T13:06:47.408000Z"
STREAM, RUN = "5" * 16, "a" * 16
TRADE: dict[str, Any] = {
    "event_id": "e",
    "timestamp": "2026-11-21T13:00:00.123456Z",
    "trade_id": "t",
    "symbol": "AAPL",
    "price": 1.50,
    "quantity": 5,
    "buy_order_id": "b",
    "sell_order_id": "s",
    "buyer_agent_id": "x",
    "seller_agent_id": "y",
    "is_aggressive_buy": True,
}
HALT = {
    "symbol": "AAPL",
    "reason": "CircuitBreaker",
    "level": 1,
    "trigger_price": 93.0,
    "reference_price": 100.0,
    "decline_pct": 7.0,
    "halt_duration_secs": 900,
}


def session(ledger: Ledger | None = None, **more: Any) -> Session:
    events = load_preset("market/v1").events
    return Session("market", events, stream=STREAM, run=RUN, ledger=ledger, **more)


def frame(kind: str = "TradeExecuted", data: Any = None, **envelope: Any) -> bytes:
    data = TRADE if data is None else data
    return json.dumps({"event_type": kind, **envelope, "data": data}).encode()


def delivered(actions: list[Any]) -> Deliver:
    [action] = actions
    assert isinstance(action, Deliver), action
    return action


def dead(actions: list[Any]) -> DeadLetter:
    [action] = actions
    assert isinstance(action, DeadLetter), action
    return action


def test_an_event_goes_to_its_topic_as_it_came() -> None:
    data = b'{ "price" : 1.50,' + json.dumps(TRADE)[1:-1].encode() + b', "new":1e0 }'
    action = delivered(
        session().receive(b'{"event_type":"TradeExecuted","sequence":7,"data":%s}' % data, NOW)
    )
    assert action.topic == "raw.trades"
    assert action.key == b"AAPL"
    assert action.value == data
    assert dict(action.headers) == {
        "event_type": b"TradeExecuted",
        "source": b"market",
        "schema_id": b"",
        "trace_id": (STREAM + f"{7:016x}").encode(),
        "ingested_at": NOW_TEXT.encode(),
        "seq": b"7",
    }


def test_events_without_numbers_get_trace_ids_of_the_run() -> None:
    one = session()
    traces = [dict(delivered(one.receive(frame(), NOW)).headers)["trace_id"] for _ in range(2)]
    assert traces == [f"{RUN}{n:016x}".encode() for n in (1, 2)]


@pytest.mark.parametrize(
    ("data", "envelope", "time"),
    [
        (HALT, {"timestamp": "2026-11-21T13:00:00Z"}, "2026-11-21T13:00:00Z"),
        (HALT, {"timestamp": "2026-11-21T15:00:00+02:00"}, "2026-11-21T13:00:00.000000Z"),
        (HALT, {}, NOW_TEXT),
        (HALT | {"timestamp": None}, {}, NOW_TEXT),
        (HALT | {"timestamp": "2026-11-21 13:00"}, {}, "2026-11-21T13:00:00.000000Z"),
        (
            HALT | {"timestamp": "2026-11-21T13:00:00.123456789Z"},
            {"timestamp": "1999-01-01T00:00:00Z"},
            "2026-11-21T13:00:00.123456Z",
        ),
    ],
)
def test_event_time_is_of_the_data_else_the_envelope_else_now(
    data: dict[str, Any], envelope: dict[str, Any], time: str
) -> None:
    action = delivered(session().receive(frame("TradingHalt", data, **envelope), NOW))
    assert json.loads(action.value) == data | {"timestamp": time}


def test_what_is_not_a_time_keeps_its_bytes_when_a_time_is_put_right() -> None:
    text = frame(data=TRADE | {"timestamp": None}).replace(b"1.5,", b"1.50,")
    assert b'"price":1.50,' in delivered(session().receive(text, NOW)).value


def test_other_times_are_put_right_too() -> None:
    data = {"symbol": "A", "halted_at": "2026-11-21T13:00:00+01:00", "level": 1}
    data |= {"halt_duration_secs": 5, "timestamp": "2026-11-21T13:00:00Z"}
    action = delivered(session().receive(frame("TradingResume", data), NOW))
    assert json.loads(action.value)["halted_at"] == "2026-11-21T12:00:00.000000Z"


def test_agents_actions_are_keyed_by_agent() -> None:
    data = {"event_id": "e", "agent_id": "agent-7", "agent_type": "x", "symbol": "A"}
    data |= {"action": "Buy", "decision_factors": []}
    assert delivered(session().receive(frame("AgentAction", data), NOW)).key == b"agent-7"


BAD: list[tuple[bytes, Reason]] = [
    (b"42", Reason.NOT_AN_OBJECT),
    (b"null", Reason.NOT_AN_OBJECT),
    (b"[]", Reason.NOT_AN_OBJECT),
    (b'"text"', Reason.NOT_AN_OBJECT),
    (b"", Reason.NOT_JSON),
    (b"hello", Reason.NOT_JSON),
    (frame()[:-9], Reason.NOT_JSON),
    (frame() + b"}", Reason.NOT_JSON),
    (b'{"event_type":"TradeExecuted","data":' + b"[" * 100_000, Reason.NOT_JSON),
    (frame().replace(b"AAPL", b"AA\xff\xfe"), Reason.NOT_UTF8),
    (frame(data=TRADE | {"unknown": "@"}).replace(b"@", b"\xc3"), Reason.NOT_UTF8),
    (frame("TradeImagined"), Reason.UNKNOWN_EVENT),
    (frame(5), Reason.WRONG_TYPE),  # type: ignore[arg-type]
    (frame(None), Reason.WRONG_TYPE),  # type: ignore[arg-type]
    (b'{"event_type":"TradeExecuted"}', Reason.MISSING_DATA),
    (b'{"event_type":"TradeExecuted","data":null}', Reason.MISSING_DATA),
    (frame(data=[TRADE]), Reason.MISSING_DATA),
    (frame(data={"symbol": "A"}), Reason.MISSING_FIELD),
    (frame(data=TRADE | {"symbol": ""}), Reason.MISSING_FIELD),
    (frame(data=TRADE | {"price": "ten"}), Reason.WRONG_TYPE),
    (frame(data=TRADE | {"quantity": 0}), Reason.RULE),
    (frame(data=TRADE | {"quantity": 2**31}), Reason.RULE),
    (frame(data=TRADE | {"price": float("nan")}), Reason.RULE),
    (frame(data=TRADE | {"price": float("-inf")}), Reason.RULE),
    (frame(data=TRADE | {"price": -1}), Reason.RULE),
    (frame(data=TRADE | {"timestamp": "yesterday"}), Reason.BAD_TIMESTAMP),
    (frame(data=TRADE | {"timestamp": "2026-02-30T00:00:00Z"}), Reason.BAD_TIMESTAMP),
    (frame(data=TRADE | {"timestamp": 5}), Reason.BAD_TIMESTAMP),
    (frame("TradingHalt", HALT, timestamp=[1]), Reason.BAD_TIMESTAMP),
    (frame(data=TRADE | {"blob": "x" * 2_000_000}), Reason.TOO_LARGE),
    (frame(sequence="7"), Reason.WRONG_TYPE),
    (frame(sequence=-7), Reason.WRONG_TYPE),
]


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_bad_frames_are_kept_whole_with_the_reason(bad: bytes, reason: Reason) -> None:
    one = session()
    letter = dead(one.receive(bad, NOW))
    assert letter.value == bad
    assert letter.reason == reason
    headers = dict(letter.headers)
    assert headers["reason"] == reason.value
    assert headers["detail"]
    assert headers["feed"] == "market"
    assert headers["received_at"] == NOW_TEXT
    assert len(headers["trace_id"]) == 32
    assert one.dead[reason] == 1


@pytest.mark.parametrize(("reason", "break_"), BROKEN)
def test_the_simulators_broken_frames(reason: str, break_: Any) -> None:
    event = Exchange(1, ["AAPL"]).event(1)
    assert dead(session().receive(break_(stamp(encode(event), event, NOW)), NOW)).reason == reason


@pytest.mark.parametrize("hello", [b'{"type":"welcome"}', b"{}", b'{"data":{"a":1},"x":[]}'])
def test_frames_without_a_kind_are_handshakes(hello: bytes) -> None:
    one = session()
    assert one.receive(hello, NOW) == [HANDSHAKE]
    assert one.skipped["handshake"] == 1


def test_a_bad_frame_with_a_number_leaves_no_gap_and_comes_once() -> None:
    one = session(Ledger(4))
    bad = frame(data=TRADE | {"price": -1}, sequence=5)
    assert dict(dead(one.receive(bad, NOW)).headers)["seq"] == "5"
    assert one.receive(bad, NOW) == [DUPLICATE]
    delivered(one.receive(frame(sequence=6), NOW))
    assert one.ledger.gaps == []


def test_the_sequence_may_have_another_name() -> None:
    one = session(sequence_field="seq_no")
    assert dict(delivered(one.receive(frame(seq_no=9), NOW)).headers)["seq"] == b"9"
    assert one.ledger.high == 9


def test_numbers_may_count_per_key() -> None:
    one = session(per_key=True)
    for symbol, number in (("A", 1), ("B", 7), ("A", 2), ("B", 9)):
        delivered(one.receive(frame(data=TRADE | {"symbol": symbol}, sequence=number), NOW))
    assert one.receive(frame(data=TRADE | {"symbol": "B"}, sequence=9), NOW) == [DUPLICATE]
    bad = frame(data=TRADE | {"symbol": "A", "price": -1}, sequence=3)
    assert dict(dead(one.receive(bad, NOW)).headers)["key"] == b"A"
    assert {key: ledger.missing for key, ledger in one.ledgers.items()} == {"A": 0, "B": 1}


def test_frames_read_together_are_handed_on_in_their_order() -> None:
    one, output = session(Ledger(0)), Collected()
    frames = [frame(sequence=n, data=TRADE | {"price": p}) for n, p in ((1, 1), (2, -1), (3, 1))]
    one.receive_all([frames[0], frames[1], frames[0], frames[2]], NOW, output)
    kinds = [type(action).__name__ for action in output.actions]
    assert kinds == ["Deliver", "DeadLetter", "Skip", "Deliver"]


def test_large_events_still_fit() -> None:
    delivered(session().receive(frame(data=TRADE | {"blob": "x" * (MAX_EVENT - 1_000)}), NOW))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
near_frames = st.builds(
    lambda kind, data, more: json.dumps({"event_type": kind, "data": data, **more}).encode(),
    st.sampled_from(["TradeExecuted", "QuoteUpdate", "TradingHalt", "Other"]) | json_values,
    st.dictionaries(st.sampled_from(sorted(TRADE)), json_values).map(lambda d: TRADE | d)
    | json_values,
    st.dictionaries(st.sampled_from(["sequence", "timestamp", "x"]), json_values, max_size=2)
    | st.integers(0, 20).map(lambda n: {"sequence": n}),
)
cut_frames = st.builds(
    lambda text, at, byte: text[:at] + bytes((byte,)) + text[at:],
    near_frames,
    st.integers(0, 300),
    st.integers(0, 255),
)


@settings(max_examples=150)
@given(st.lists(st.binary(max_size=60) | near_frames | cut_frames, max_size=12))
def test_whatever_comes_it_is_accounted_for(frames: list[bytes]) -> None:
    one = session()
    kinds: Counter[str] = Counter()
    for number, text in enumerate(frames, 1):
        [action] = one.receive(text, NOW)
        kinds[type(action).__name__] += 1
        if isinstance(action, DeadLetter):
            assert action.value == text
        if isinstance(action, Deliver):
            json.loads(action.value)
            assert action.key
        assert one.frames == number
    assert one.events.total() == kinds["Deliver"]
    assert one.dead.total() == kinds["DeadLetter"]
    assert one.skipped.total() == kinds["Skip"]


@given(st.lists(st.integers(0, 40), max_size=60))
def test_each_number_is_delivered_once_in_any_order(numbers: list[int]) -> None:
    one = session()
    actions = [(n, one.receive(frame(sequence=n), NOW)) for n in numbers]
    taken = [n for n, [action] in actions if isinstance(action, Deliver)]
    assert len(taken) == len(set(taken))
    assert set(taken) == set(numbers)


@pytest.mark.parametrize("end", ["00.12345xZ", "00.1234567", "00.123456X", "00.12345\u0661Z"])
def test_the_second_time_of_a_second_is_checked_too(end: str) -> None:
    one = session(Ledger(0))
    first, second = (TRADE | {"timestamp": f"2026-01-05T14:30:{e}"} for e in ("00.000001Z", end))
    delivered(one.receive(frame(data=first, sequence=1), NOW))
    delivered(one.receive(frame(data=first, sequence=2), NOW))
    [action] = one.receive(frame(data=second, sequence=3), NOW)
    is_bad = isinstance(action, DeadLetter) and action.reason is Reason.BAD_TIMESTAMP
    assert is_bad or json.loads(action.value)["timestamp"] == "2026-01-05T14:30:00.123456Z"
