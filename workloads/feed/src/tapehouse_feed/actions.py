"""What can become of a frame."""

from typing import Protocol

import msgspec
from tapehouse_tape.events import Reason

Value = bytes | msgspec.Raw
"""A record's value; raw is a window on the frame it came in."""
Headers = list[tuple[str, str | bytes | None]]


class Deliver(msgspec.Struct, gc=False):
    """Write a checked event to its topic."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers
    event_time: str | None = None
    """Of a row, as it came, canonical or not; None where the event has none."""


class DeadLetter(msgspec.Struct, gc=False):
    """Keep a frame that could not be taken, as it came."""

    value: bytes
    headers: Headers
    reason: Reason
    detail: str
    trace_id: bytes


class Skip(msgspec.Struct, gc=False, frozen=True):
    """Nothing to write."""

    why: str


HANDSHAKE = Skip("handshake")
DUPLICATE = Skip("duplicate")
UNMAPPED = Skip("unmapped")
EMPTY = Skip("empty")
CONFLICT = Skip("conflict")
SKIPS = (HANDSHAKE, DUPLICATE, UNMAPPED, EMPTY, CONFLICT)
Action = Deliver | DeadLetter | Skip


class Output(Protocol):
    """Takes what becomes of frames, in their order."""

    def write(self, topic: str, key: bytes, value: Value, headers: Headers, now: int) -> None:
        """Write a checked event, received at `now` (µs since 1970)."""

    def dead_letter(self, letter: DeadLetter, now: int) -> None:
        """Keep a frame that could not be taken."""

    def skip(self, skip: Skip) -> None:
        """Nothing to write."""
