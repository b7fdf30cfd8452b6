"""Closed hours, holidays and halts are not silence."""

import datetime as dt
from typing import Any

import pytest
from tapehouse_feed.config import Halts, Hours, Session
from tapehouse_feed.market import Market
from tapehouse_tape.events import load_preset

EVENTS = load_preset("market/v1").events
NEW_YORK = Hours((0, 1, 2, 3, 4), dt.time(9, 30), dt.time(16))
GLOBEX = Hours((6, 0, 1, 2, 3), dt.time(17), dt.time(16))


def market(zone: str = "America/New_York", *hours: Hours, **more: Any) -> Market:
    return Market(Session(timezone=zone, hours=hours, **more), EVENTS)


def at(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-20T14:29:59+00:00", False),
        ("2026-11-20T14:30:00+00:00", True),
        ("2026-11-20T20:59:59+00:00", True),
        ("2026-11-20T21:00:00+00:00", False),
        ("2026-07-20T13:30:00+00:00", True),
        ("2026-07-20T14:30:00+00:00", True),
        ("2026-11-21T15:00:00+00:00", False),
        ("2026-11-26T15:00:00+00:00", False),
    ],
)
def test_hours_in_the_markets_own_time(moment: str, is_open: bool) -> None:
    one = market("America/New_York", NEW_YORK, holidays=(dt.date(2026, 11, 26),))
    assert one.is_open(at(moment)) == is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-22T16:30:00-06:00", False),
        ("2026-11-22T17:30:00-06:00", True),
        ("2026-11-23T03:00:00-06:00", True),
        ("2026-11-23T16:30:00-06:00", False),
        ("2026-11-27T15:00:00-06:00", True),
        ("2026-11-27T17:30:00-06:00", False),
        ("2026-11-28T10:00:00-06:00", False),
    ],
)
def test_hours_through_the_night(moment: str, is_open: bool) -> None:
    assert market("America/Chicago", GLOBEX).is_open(at(moment)) == is_open


def test_silence_counts_in_open_hours_only() -> None:
    one = market("America/New_York", NEW_YORK, silence="1m")
    close, bell = at("2026-11-19T16:00:00-05:00"), at("2026-11-20T09:30:00-05:00")
    assert not one.is_too_quiet(close, close + 59, ())
    assert not one.is_too_quiet(close, close + 3_600, ())
    assert not one.is_too_quiet(close, bell + 59, ())
    assert one.is_too_quiet(close, bell + 61, ())
    assert not one.is_too_quiet(bell + 40, bell + 61, ())


def test_nothing_is_too_quiet_where_nothing_is_declared() -> None:
    assert not Market(None, EVENTS).is_too_quiet(0, 1e9, ())


def test_a_halt_of_all_that_trades_is_not_silence() -> None:
    one = Market(Session(silence="1m", halts=Halts("TradingHalt", "TradingResume")), EVENTS)
    assert one.halt_topics == {"raw.trading-halts"}
    assert "raw.trades" in one.trading_topics
    assert "raw.agent-actions" not in one.trading_topics, "agents are not halted"
    one.saw("TradingHalt", b"A")
    assert one.is_too_quiet(0, 100, {b"A", b"B"})
    one.saw("TradingHalt", b"B")
    assert not one.is_too_quiet(0, 100, {b"A", b"B"})
    one.saw("TradingResume", b"A")
    assert one.is_too_quiet(0, 100, {b"A", b"B"})
