"""Recorded market data by seed: a session of all nine kinds of events, and what a bad line does."""

import json
import random
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Frame = dict[str, Any]
Record = dict[str, Any]

OPEN_CENTS = {"AAPL": 17_290, "GOOG": 114_550, "MSFT": 5_012, "QQQZ": 1_984}
"""Instruments and their first price; the last is in no dimension."""
AGENTS = [f"agent-{n:02}" for n in range(12)]
JUMPS = (0.03, -0.06, 0.12, -0.025)
"""Price moves that are worth an alert."""


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def session(seed: int, start: datetime, end: datetime, trades: int) -> list[Frame]:
    """`trades` trades between two times, and the other kinds among them, in order of arrival.

    One trade in ten is at the very time of the one before; a few minutes have fifty times the
    usual volume, and a few trades jump. One in fifty takes back the instrument's last trade.
    """
    rng = random.Random(seed)
    span = int((end - start) / timedelta(microseconds=1))
    times = sorted(rng.randrange(span) for _ in range(trades))
    cents = dict(OPEN_CENTS)
    busy = {rng.randrange(span // 60_000_000) for _ in range(4)}
    frames: list[Frame] = []
    last: dict[str, Frame] = {}
    for number, micros in enumerate(times):
        if number and rng.random() < 0.1:
            micros = times[number] = times[number - 1]
        time = start + timedelta(microseconds=micros)
        symbol = rng.choice(list(cents))
        step = rng.choice(JUMPS) if rng.random() < 0.004 else rng.uniform(-0.0015, 0.0015)
        cents[symbol] = max(1, round(cents[symbol] * (1 + step)))
        size = 50 if micros // 60_000_000 in busy else 1
        trade = _trade(rng, time, symbol, cents[symbol] / 100, size)
        if symbol in last and rng.random() < 0.02:
            trade["data"] |= _back(last[symbol]["data"])
        last[symbol] = trade
        frames.append(trade)
        if number % 8 == 0:
            frames.append(_other(rng, number // 8, time, symbol, cents[symbol] / 100))
    return frames


def stray(seed: int, time: datetime) -> Frame:
    """One trade of an instrument of its own, at a time that no session has."""
    return _trade(random.Random(seed), time, "STRAY", 1.0, 1)


def _trade(rng: random.Random, time: datetime, symbol: str, price: float, size: int) -> Frame:
    one, other = rng.choice(AGENTS), rng.choice(AGENTS)
    data = {
        "trade_id": _id(rng),
        "price": price,
        "quantity": size * rng.randint(1, 500),
        "buy_order_id": _id(rng),
        "sell_order_id": _id(rng),
        "buyer_agent_id": one,
        "seller_agent_id": other,
        "is_aggressive_buy": rng.random() < 0.5,
    }
    return _frame("TradeExecuted", rng, time, symbol, data)


def _back(trade: Record) -> Record:
    return {
        "quantity": trade["quantity"],
        "buyer_agent_id": trade["seller_agent_id"],
        "seller_agent_id": trade["buyer_agent_id"],
    }


def _other(rng: random.Random, turn: int, time: datetime, symbol: str, price: float) -> Frame:
    """One of the other eight kinds, each in its turn."""
    order = {"order_id": _id(rng), "side": "Buy", "price": price}
    agent = {"agent_id": rng.choice(AGENTS), "agent_type": "MarketMaker"}
    quote = {"best_bid": price, "best_bid_size": 7, "best_ask": None, "best_ask_size": 0}
    stats = {"open": price, "high": price, "low": price, "close": price, "vwap": price}
    halt = {"level": 1, "trigger_price": price, "reference_price": price, "decline_pct": 7.0}
    kinds: list[tuple[str, Record]] = [
        ("OrderBookSnapshot", {**_book(rng, price), "sequence_number": turn}),
        ("OrderPlaced", {**order, **agent, "order_type": "Limit", "quantity": 5}),
        ("OrderCancelled", {**order, **agent, "remaining_quantity": 0, "reason": "Expired"}),
        ("QuoteUpdate", quote),
        ("MarketStats", {**stats, "volume": 3_000_000_000, "trade_count": 2}),
        ("AgentAction", {**agent, "action": "Hold", "decision_factors": ["spread"]}),
        ("TradingHalt", {**halt, "reason": "Decline", "halt_duration_secs": 900}),
        ("TradingResume", {"halted_at": at(time), "level": 1, "halt_duration_secs": 900}),
    ]
    name, data = kinds[turn % len(kinds)]
    return _frame(name, rng, time, symbol, data)


def _book(rng: random.Random, price: float) -> Record:
    def levels(direction: int) -> list[Record]:
        depth = rng.randrange(4)
        return [
            {"price": round(price + direction * 0.01 * n, 2), "quantity": 100 * n, "order_count": n}
            for n in range(1, depth + 1)
        ]

    return {"bids": levels(-1), "asks": levels(1)}


def _frame(kind: str, rng: random.Random, time: datetime, symbol: str, data: Record) -> Frame:
    common = {"event_id": _id(rng), "timestamp": at(time), "symbol": symbol}
    return {"event_type": kind, "data": {**common, **data}}


def _id(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def events(frames: Iterable[Frame], kind: str) -> list[Record]:
    """The data of one kind's frames, each with its index in the order of arrival."""
    return [
        {**frame["data"], "arrival": index}
        for index, frame in enumerate(frames)
        if frame["event_type"] == kind
    ]


@dataclass(frozen=True)
class Faulty:
    """A recording as bad days leave it."""

    lines: list[bytes]
    malformed: list[bytes]
    arrived: list[Frame]
    """The good frames, each once, in the order of their arrival."""
    withheld: list[Frame]
    """Frames that are in no line: they come in another file, later."""


def faulty(frames: Sequence[Frame], seed: int) -> Faulty:
    """1 % twice, 1 % minutes to hours late, 1 % withheld, and 0.5 % of malformed lines between."""
    rng = random.Random(seed)
    alone = _alone(frames)
    late = set(rng.sample(alone, 2 * len(frames) // 100))
    withheld = set(rng.sample(sorted(late), len(late) // 2))
    span = _seconds(frames[-1], frames[0])
    per_second = len(frames) / span
    arrivals: list[tuple[float, bytes | Frame]] = []
    for index, frame in enumerate(frames):
        if index in withheld:
            continue
        delay = rng.uniform(180, span / 2) * per_second if index in late else 0
        arrivals.append((index + delay, frame))
        if rng.random() < 0.01:
            arrivals.append((index + delay + rng.choice([0, 0, 150]), frame))
    malformed = [_malformed(rng, number) for number in range(len(frames) // 200)]
    arrivals += [(rng.uniform(0, len(frames)), line) for line in malformed]
    arrivals.sort(key=lambda each: each[0])
    arrived = {
        frame["data"]["event_id"]: frame for _, frame in arrivals if not isinstance(frame, bytes)
    }
    return Faulty(
        lines=[each if isinstance(each, bytes) else line(each) for _, each in arrivals],
        malformed=malformed,
        arrived=list(arrived.values()),
        withheld=[frames[index] for index in sorted(withheld)],
    )


def _alone(frames: Sequence[Frame]) -> list[int]:
    """Trades that share their time with no other: which of those came first would change."""
    times = Counter(frame["data"]["timestamp"] for frame in frames)
    return [
        index
        for index, frame in enumerate(frames)
        if frame["event_type"] == "TradeExecuted" and times[frame["data"]["timestamp"]] == 1
    ]


def _seconds(later: Frame, earlier: Frame) -> float:
    one, other = (datetime.fromisoformat(f["data"]["timestamp"]) for f in (later, earlier))
    return (one - other).total_seconds()


def _malformed(rng: random.Random, number: int) -> bytes:
    good = _trade(rng, moment(2019, 1, 1), f"BAD{number}", 1.0, 1)
    kinds = (
        line(good)[:-9],
        b"42",
        b"[]",
        b'{"event_type": "TradeExecuted", "data": {"symbol": "\xff\xfe"}}',
        line({**good, "event_type": "Surprise"}),
        line({**good, "data": {**good["data"], "quantity": "ten"}}),
        line({**good, "data": {**good["data"], "quantity": 10**9 + 1}}),
        line({**good, "data": {**good["data"], "price": -1.0}}),
        line({**good, "data": {**good["data"], "timestamp": "yesterday"}}),
        line({**good, "data": {k: v for k, v in good["data"].items() if k != "symbol"}}),
    )
    return kinds[number % len(kinds)]


def line(frame: Frame) -> bytes:
    return json.dumps(frame).encode()


def write(path: Path, lines: Iterable[bytes]) -> None:
    """A whole file at once, as a recorder that closes its file leaves it."""
    partial = path.with_name(f".{path.name}")
    partial.write_bytes(b"".join(each + b"\n" for each in lines))
    partial.rename(path)
