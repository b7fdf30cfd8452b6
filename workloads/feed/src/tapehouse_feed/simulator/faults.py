"""Misbehaviour on purpose; whether event n is hit depends on (seed, symbols, n) only."""

from collections.abc import Callable

from tapehouse_feed.config import Faults, SimulatorSource
from tapehouse_feed.simulator.prices import digest

LATEST = 4 * 3600
"""Late events are one minute to this many seconds old."""


def _truncated(frame: bytes) -> bytes:
    return frame[: len(frame) // 2]


def _not_utf8(frame: bytes) -> bytes:
    return frame.replace(b'"event_type":"', b'"event_type":"\xff\xfe', 1)


def _member(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda _: b'{"event_type":"TradeExecuted","data":{' + _TRADE.replace(old, new) + b"}}"


_TRADE = (
    b'"event_id":"00000000-0000-4000-8000-000000000000","timestamp":"2026-01-05T14:30:00.000000Z",'
    b'"trade_id":"00000000-0000-4000-8000-000000000000","symbol":"AAPL","price":100.5,"quantity":7,'
    b'"buy_order_id":"b","sell_order_id":"s","buyer_agent_id":"agent-001",'
    b'"seller_agent_id":"agent-002","is_aggressive_buy":true'
)

BROKEN: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("not-an-object", lambda _: b"42"),
    ("not-an-object", lambda _: b"null"),
    ("not-an-object", lambda _: b"[]"),
    ("not-json", _truncated),
    ("not-utf8", _not_utf8),
    ("unknown-event", lambda _: b'{"event_type":"TradeImagined","data":{}}'),
    ("missing-data", lambda _: b'{"event_type":"TradeExecuted"}'),
    ("wrong-type", _member(b"100.5", b'"much"')),
    ("rule", _member(b":7,", b":0,")),
    ("rule", _member(b":7,", b":2147483648,")),
    ("rule", _member(b"100.5", b"-1")),
    ("bad-timestamp", _member(b"2026-01-05T", b"2026-02-30T")),
)
"""Ways to break a frame, and the reason its dead letter must carry."""


class Misbehaviour:
    """The faults of one simulator, asked frame by frame."""

    def __init__(self, source: SimulatorSource) -> None:
        self.faults: Faults = source.faults
        self._key = digest(source.seed, *source.symbols)
        shares = ("duplicates", "late", "malformed", "drops", "reorders")
        self.any = any(getattr(self.faults, share) for share in shares)

    def _hit(self, kind: str, share: float, sequence: int) -> bool:
        return share > 0 and digest(self._key, kind, sequence) < share * 2**64

    def drops(self, sequence: int) -> bool:
        """Whether the frame is left out."""
        return self._hit("drops", self.faults.drops, sequence)

    def duplicates(self, sequence: int) -> bool:
        """Whether the frame is sent twice."""
        return self._hit("duplicates", self.faults.duplicates, sequence)

    def reorders(self, sequence: int) -> bool:
        """Whether the frame is sent after the next one."""
        return self._hit("reorders", self.faults.reorders, sequence)

    def lateness(self, sequence: int) -> int:
        """By how many microseconds the frame's timestamp is old."""
        if not self._hit("late", self.faults.late, sequence):
            return 0
        return (60 + digest(self._key, "lateness", sequence) % (LATEST - 60)) * 1_000_000

    def broken(self, sequence: int, frame: bytes) -> bytes | None:
        """A broken frame to send before the good one; it has no sequence number of its own."""
        if not self._hit("malformed", self.faults.malformed, sequence):
            return None
        _, break_ = BROKEN[digest(self._key, "broken", sequence) % len(BROKEN)]
        return break_(frame)

    def reason(self, sequence: int) -> str | None:
        """The reason the dead letter of `broken(sequence)` must carry."""
        if not self._hit("malformed", self.faults.malformed, sequence):
            return None
        return BROKEN[digest(self._key, "broken", sequence) % len(BROKEN)][0]
