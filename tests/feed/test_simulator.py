"""The exchange: the same for ever, plausible, and reachable at any point."""

import asyncio
import os
import signal
from collections import Counter
from contextlib import suppress
from itertools import pairwise

import msgspec
import picows
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from tapehouse_feed.cli import _serve
from tapehouse_feed.config import Faults, SimulatorSource
from tapehouse_feed.continuity import Ledger
from tapehouse_feed.session import DeadLetter, Deliver, Session
from tapehouse_feed.simulator import Exchange, expected
from tapehouse_feed.simulator.block import BLOCK, TRADES
from tapehouse_feed.simulator.prices import price
from tapehouse_feed.simulator.server import PORT, Simulator, encode, serve, stamp
from tapehouse_tape.events import load_preset

SYMBOLS = ("AAPL", "MSFT", "GOOG")
NOW = 1_795_266_407_408_000


def session(seen: int | None = None) -> Session:
    events = load_preset("market/v1").events
    return Session("market", events, stream="5" * 16, run="a" * 16, ledger=Ledger(seen))


def test_content_never_changes() -> None:
    events = [Exchange(7, SYMBOLS).event(n) for n in (1, 42, 999, 1_000, 1_001, 123_456)]
    digest = [(e.event_type, e.data.get("symbol"), e.data.get("price")) for e in events]
    assert digest == [
        ("OrderPlaced", "AAPL", 82.84),
        ("OrderPlaced", "AAPL", None),
        ("OrderPlaced", "MSFT", 131.07),
        ("QuoteUpdate", "MSFT", None),
        ("OrderPlaced", "AAPL", 82.95),
        ("OrderPlaced", "GOOG", 182.7),
    ]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 10_000_000), st.integers(0, 2**53 - 1))
def test_random_access_is_the_walk(first: int, seed: int) -> None:
    walk = Exchange(seed, SYMBOLS).events(first)
    jump = Exchange(seed, SYMBOLS)
    for sequence in range(first, first + 5):
        event = next(walk)
        assert event.sequence == sequence
        assert event == jump.event(sequence)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**53 - 1),
    st.lists(st.sampled_from([f"S{n}" for n in range(40)]), min_size=1, unique=True),
    st.integers(0, 10**9),
)
def test_every_block_is_full_and_every_event_valid(
    seed: int, symbols: list[str], block: int
) -> None:
    events = Exchange(seed, symbols).block(block)
    assert len(events) == BLOCK
    assert sum(e.event_type == "TradeExecuted" for e in events) == TRADES
    one = session()
    for event in events:
        [action] = one.receive(stamp(encode(event), event, NOW), NOW)
        assert isinstance(action, Deliver), action
    assert not one.ledger.gaps
    for name in ("event_id", "trade_id"):
        ids = [e.data[name] for e in events if name in e.data]
        assert len(set(ids)) == len(ids)


def test_all_nine_kinds_come_soon() -> None:
    kinds = Counter(e.event_type for e in Exchange(7, SYMBOLS).block(0))
    assert set(kinds) == {event.name for event in load_preset("market/v1").events}


def test_trades_match_orders_that_were_placed() -> None:
    placed = dict[str, str]()
    left = Counter[str]()
    for event in Exchange(7, SYMBOLS).block(3):
        data = event.data
        if event.event_type == "OrderPlaced":
            placed[data["order_id"]] = data["side"]
            left[data["order_id"]] = data["quantity"]
        elif event.event_type == "TradeExecuted":
            assert placed[data["buy_order_id"]] == "Buy"
            assert placed[data["sell_order_id"]] == "Sell"
            left.subtract({data["buy_order_id"]: data["quantity"]})
            left.subtract({data["sell_order_id"]: data["quantity"]})
        elif event.event_type == "OrderCancelled":
            assert left[data["order_id"]] == data["remaining_quantity"]
        elif event.event_type == "QuoteUpdate":
            assert data["best_bid"] < data["best_ask"]
    assert min(left.values()) >= 0


def test_prices_go_on_from_block_to_block() -> None:
    for symbol in SYMBOLS:
        prices = [price(7, symbol, block) for block in range(500)]
        steps = [abs(b / a - 1) for a, b in pairwise(prices)]
        assert max(steps) < 0.02
        assert max(prices) / min(prices) > 1.005, "and they move"
    exchange = Exchange(7, SYMBOLS)
    for block in range(20):
        for event in exchange.block(block):
            if event.event_type == "TradeExecuted":
                fair = price(7, event.data["symbol"], block)
                assert abs(event.data["price"] / fair - 1) < 0.03


def test_expected_are_the_trades() -> None:
    trades = expected(7, SYMBOLS, 700)
    assert len(trades) == 700
    last = Exchange(7, SYMBOLS).event(trades[-1].sequence)
    assert last.data["trade_id"] == trades[-1].trade_id
    assert Exchange(7, SYMBOLS).last_of(700) == trades[-1].sequence


def frames(faults: Faults, trades: int = 900) -> list[bytes]:
    return list(Simulator(SimulatorSource(SYMBOLS, seed=7, limit=trades, faults=faults)).frames(1))


def test_the_limit_counts_trades() -> None:
    sent = [msgspec.json.decode(frame) for frame in frames(Faults())]
    assert sum(frame["event_type"] == "TradeExecuted" for frame in sent) == 900
    assert [frame["sequence"] for frame in sent] == list(range(1, len(sent) + 1))


def test_faults_come_as_often_as_asked_and_leave_the_good_frames_whole() -> None:
    faults = Faults(duplicates=0.1, late=0.1, malformed=0.1, reorders=0.1)
    one = session(0)
    sent = frames(faults)
    delivered = 0
    for frame in sent:
        [action] = one.receive(frame, NOW)
        delivered += isinstance(action, Deliver)
        assert not isinstance(action, DeadLetter) or "seq" not in dict(action.headers)
    clean = len(frames(Faults()))
    assert delivered == clean
    assert one.ledger.gaps == []
    assert one.ledger.opened > clean * 0.05, "reordered frames open gaps for a moment"
    assert clean * 0.07 < one.skipped["duplicate"] < clean * 0.13
    assert clean * 0.07 < one.dead.total() < clean * 0.13
    simulator = Simulator(SimulatorSource(SYMBOLS, seed=7, limit=900, faults=faults))
    reasons = Counter(filter(None, map(simulator.misbehaviour.reason, range(1, clean + 1))))
    assert +Counter({r.value: n for r, n in one.dead.items()}) == reasons


def test_dropped_frames_are_there_for_who_asks_again() -> None:
    source = SimulatorSource(SYMBOLS, seed=7, limit=300, faults=Faults(drops=0.1))
    simulator = Simulator(source)
    first = {msgspec.json.decode(frame)["sequence"] for frame in simulator.frames(1)}
    again = {msgspec.json.decode(frame)["sequence"] for frame in simulator.frames(1)}
    assert len(again) == max(again)
    assert first < again


class Client(picows.WSListener):
    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.TEXT:
            self.frames.append(frame.get_payload_as_bytes())


@pytest.mark.parametrize(("path", "first"), [("/?from=500", 500), ("", 1), ("/feed?from=x", 1)])
async def test_serving_from_where_the_client_asks(path: str, first: int) -> None:
    source = SimulatorSource(SYMBOLS, seed=7, trades_per_second=1_000_000.0, limit=200)
    async with await serve(source, "127.85.250.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        transport, client = await picows.ws_connect(Client, f"ws://{host}:{port}{path}")
        last = Exchange(7, SYMBOLS).last_of(200)
        assert isinstance(client, Client)
        while len(client.frames) < 1 + last - first + 1:
            await transport.measure_roundtrip_time(1)
        transport.disconnect()
        await transport.wait_disconnected()
    welcome, *events = map(msgspec.json.decode, client.frames)
    assert "event_type" not in welcome
    assert [event["sequence"] for event in events] == list(range(first, last + 1))


def test_it_ends_though_a_client_is_connected() -> None:
    async def scene(host: str) -> None:
        serving = asyncio.create_task(_serve(SimulatorSource(SYMBOLS), host))
        while not serving.done():
            with suppress(OSError):
                await picows.ws_connect(Client, f"ws://{host}:{PORT}/")
                break
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 10)

    # The loop of the program: another one does not wait for clients.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene(f"127.85.250.{2 + os.getpid() % 250}"))
