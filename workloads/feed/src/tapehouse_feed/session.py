"""The feed protocol without I/O: a frame in, what to do with it out."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from tapehouse_tape import times
from tapehouse_tape.events import Codec, Event, Invalid, Reason
from tapehouse_tape.rules import non_finite

from tapehouse_feed.continuity import Ledger

Headers = list[tuple[str, str | bytes | None]]
MAX_FRAME = 10 * 1024 * 1024
"""The largest frame taken, in bytes; a larger one closes the connection."""
MAX_EVENT = 900_000
"""The largest event in bytes: topics take records of 1 MiB unless told otherwise."""


class Deliver(msgspec.Struct, gc=False):
    """Write a checked event to its topic."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers
    event: str


class DeadLetter(msgspec.Struct, gc=False):
    """Keep a frame that could not be taken, as it came."""

    value: bytes
    headers: Headers
    reason: Reason
    detail: str


class Skip(msgspec.Struct, gc=False, frozen=True):
    """Nothing to write."""

    why: str


HANDSHAKE = Skip("handshake")
DUPLICATE = Skip("duplicate")
Action = Deliver | DeadLetter | Skip

_Sequence = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Route(msgspec.Struct, gc=False):
    """What is fixed for one kind of event."""

    codec: Codec
    name: str
    topic: str
    headers: Headers
    decode: Callable[[bytes], Any]
    key: Callable[[Any], Any]
    has_canonical_times: Callable[[Any], bool]


class Session:
    """One feed's conversation: checks, routes, and keeps the ledger of its sequence.

    `stream` is 16 hexadecimal digits that name the source and `run` 16 that name this run: a trace
    id is the stream and the sequence number, or the run and a count where there is none, so that
    the same event of a source has the same trace id in every run.
    """

    def __init__(
        self,
        feed: str,
        events: Sequence[Event],
        *,
        stream: str,
        run: str,
        ledger: Ledger | None = None,
        sequence_field: str = "sequence",
    ) -> None:
        self.feed = feed
        self.ledger = ledger or Ledger()
        self.events: Counter[str] = Counter({event.name: 0 for event in events})
        self.dead: Counter[Reason] = Counter(dict.fromkeys(Reason, 0))
        self.skipped: Counter[str] = Counter({HANDSHAKE.why: 0, DUPLICATE.why: 0})
        self._stream = stream
        self._run = run
        self._unnumbered = 0
        self._routes = {event.name: _route(feed, event) for event in events}
        self._open = msgspec.json.Decoder(_envelope(sequence_field)).decode

    def receive(self, frame: bytes, now: int) -> Action:
        """What to do with `frame`, received at `now` (µs since 1970). Never raises."""
        sequence: int | None = None
        received = times.from_micros(now)
        try:
            envelope = self._envelope(frame)
            if envelope.event_type is msgspec.UNSET:
                self.skipped["handshake"] += 1
                return HANDSHAKE
            sequence = envelope.sequence
            if sequence is not None and not self.ledger.is_new(sequence):
                self.skipped["duplicate"] += 1
                return DUPLICATE
            action: Action = self._event(envelope, received)
            self.events[envelope.event_type] += 1
        except Invalid as invalid:
            action = self.dead_letter(frame, invalid, received, sequence)
        if sequence is not None:
            self.ledger.observe(sequence, now)
        return action

    @property
    def frames(self) -> int:
        """Frames received: events, dead letters, handshakes and duplicates."""
        return self.events.total() + self.dead.total() + self.skipped.total()

    def dead_letter(
        self, frame: bytes, invalid: Invalid, received: str, sequence: int | None = None
    ) -> DeadLetter:
        """The dead letter of `frame`; `received` is the time it came, canonical."""
        self.dead[invalid.reason] += 1
        headers: Headers = [
            ("reason", invalid.reason.value),
            ("detail", invalid.detail.encode("utf-8", "replace")[:1024]),
            ("feed", self.feed),
            ("received_at", received),
            ("trace_id", self._trace_id(sequence)),
        ]
        if sequence is not None:
            headers.append(("seq", str(sequence)))
        return DeadLetter(frame, headers, invalid.reason, invalid.detail)

    def _envelope(self, frame: bytes) -> Any:
        try:
            frame.decode()
            return self._open(frame)
        except UnicodeDecodeError as error:
            detail = f"byte {error.start} is 0x{frame[error.start]:02x}: {error.reason}"
            raise Invalid(Reason.NOT_UTF8, detail) from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise _not_an_envelope(frame, error) from None

    def _event(self, envelope: Any, received: str) -> Deliver:
        route = self._routes.get(envelope.event_type)
        if route is None:
            known = ", ".join(self._routes)
            raise Invalid(Reason.UNKNOWN_EVENT, f"{envelope.event_type[:128]!r} is none of {known}")
        data = bytes(envelope.data)
        if len(data) > MAX_EVENT:
            raise Invalid(Reason.TOO_LARGE, f"{len(data)} bytes, at most {MAX_EVENT} are taken")
        if data[:1] != b"{":
            found = data[:32].decode("utf-8", "replace") or "nothing"
            raise Invalid(Reason.MISSING_DATA, f"data must be an object, found {found}")
        try:
            decoded = route.decode(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise route.codec.explain(data, error) from None
        if route.codec.decimals:
            route.codec.check_decimals(decoded)
        if not route.has_canonical_times(decoded):
            data = _corrected(route.codec, decoded, data, envelope.timestamp, received)
        sequence = envelope.sequence
        headers = [
            *route.headers,
            ("trace_id", self._trace_id(sequence)),
            ("ingested_at", received),
        ]
        if sequence is not None:
            headers.append(("seq", str(sequence)))
        return Deliver(route.topic, _key(route, decoded), data, headers, route.name)

    def _trace_id(self, sequence: int | None) -> str:
        if sequence is not None:
            return f"{self._stream}{sequence:016x}"
        self._unnumbered += 1
        return f"{self._run}{self._unnumbered:016x}"


def _envelope(sequence_field: str) -> type[msgspec.Struct]:
    """The outer object; what is inside `data` stays as it is."""
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


def _route(feed: str, event: Event) -> _Route:
    codec = Codec(event)
    headers: Headers = [
        ("event_type", event.name.encode()),
        ("source", feed.encode()),
        ("schema_id", event.schema_id.encode()),
    ]
    return _Route(
        codec, event.name, event.topic, headers, codec.decode, codec.key, codec.has_canonical_times
    )


def _not_an_envelope(frame: bytes, error: Exception) -> Invalid:
    if isinstance(error, RecursionError):
        return Invalid(Reason.NOT_JSON, "nested too deeply")
    infinite = non_finite(frame)
    if infinite is not None:
        return Invalid(Reason.RULE, f"{infinite} is not a finite number")
    if not isinstance(error, msgspec.ValidationError):
        return Invalid(Reason.NOT_JSON, str(error))
    if str(error).startswith("Expected `object`") and " - at " not in str(error):
        return Invalid(Reason.NOT_AN_OBJECT, str(error))
    return Invalid(Reason.WRONG_TYPE, str(error))


def _key(route: _Route, decoded: Any) -> bytes:
    key = route.key(decoded)
    if key is None or key == "":
        name = route.codec.event.key
        raise Invalid(Reason.MISSING_FIELD, f"{name}: the key of {route.name} is empty")
    return str(key).encode()


def _corrected(
    codec: Codec, decoded: Any, data: bytes, envelope_time: object, received: str
) -> bytes:
    """`data` with its times put right and every other member's bytes as they were."""
    fallback = received if envelope_time is None else envelope_time
    if not isinstance(fallback, str):
        raise Invalid(Reason.BAD_TIMESTAMP, f"timestamp: {fallback!r} is not text")
    members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    for name, text in codec.corrected_times(decoded, fallback).items():
        members[name] = msgspec.Raw(msgspec.json.encode(text))
    return msgspec.json.encode(members)
