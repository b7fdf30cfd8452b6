"""What can become of a frame."""

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
    """Of a row, as it came: canonical or not, of the data or of nobody."""


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
SKIPS = (HANDSHAKE, DUPLICATE, UNMAPPED)
Action = Deliver | DeadLetter | Skip
