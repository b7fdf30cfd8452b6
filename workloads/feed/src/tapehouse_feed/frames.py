"""What a frame is taken apart into, before anything is decided about it."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from tapehouse_tape.events import Codec, Event, Invalid

from tapehouse_feed.actions import Headers

_Sequence = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Route(msgspec.Struct, gc=False):
    """What is fixed for one kind of event, looked up once."""

    name: str
    codec: Codec
    topic: str
    headers: Headers
    decode: Callable[[bytes | msgspec.Raw], Any]
    key: Callable[[Any], Any]
    time: Callable[[Any], Any]
    """The event time as it came; `""` where the event has none, which is not of this second."""
    has_one_time: bool
    """Whether the event time is all there is to look at beyond types and rules."""
    taken: int = 0


class Opened(msgspec.Struct, gc=False):
    """An event of a frame before it is checked."""

    event: str
    data: bytes
    sequence: int | None
    timestamp: Any = None
    refusal: Invalid | None = None
    """Why it cannot be taken, where that is known already."""
    index: int = 0
    """Which event of its number it is, where the events of one frame share a number."""
    alone: Callable[[], bytes] | None = None
    """Makes a frame with this event alone, where the frame has several."""


def keyed_trace(stream: bytes, key: str, number: int, index: int = 0) -> bytes:
    """The trace id of event `number` of `key`, where numbers count per key."""
    identity = b"%s\0%s\0%d" % (stream, key.encode("utf-8", "replace"), number)
    if index:
        identity += b"\0%d" % index
    return blake2b(identity, digest_size=16).hexdigest().encode()


def envelope_type(sequence_field: str) -> type[msgspec.Struct]:
    """The outer object of a frame; what is inside `data` stays as it is."""
    return msgspec.defstruct(
        "Envelope",
        [
            ("event_type", str | msgspec.UnsetType, msgspec.UNSET),
            ("data", msgspec.Raw, msgspec.Raw(b"")),
            ("sequence", _Sequence | None, None),
            ("timestamp", Any, None),
        ],
        rename={"sequence": sequence_field},
        gc=False,
    )


def route_of(feed: str, event: Event) -> Route:
    """The route of one kind of event.

    Raises `DeclarationError` when no decoder can be made for it.
    """
    codec = Codec(event)
    headers: Headers = [
        ("event_type", event.name.encode()),
        ("source", feed.encode()),
        ("schema_id", event.schema_id.encode()),
    ]

    return Route(
        event.name,
        codec,
        event.topic,
        headers,
        codec.decode,
        codec.key,
        codec.event_time or (lambda _: ""),
        has_one_time=bool(codec.event_time) and not codec.other_times and not codec.decimals,
    )
