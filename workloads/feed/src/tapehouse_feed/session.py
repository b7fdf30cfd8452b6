"""The feed protocol without I/O: a frame in, what to do with it out."""

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from tapehouse_tape import times
from tapehouse_tape.events import Codec, Event, Invalid, Reason
from tapehouse_tape.rules import non_finite

from tapehouse_feed.continuity import Ledger
from tapehouse_feed.mapping import Mapper, decoded

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
    event_time: str | None
    """As it came: canonical or not, of the data or of nobody."""


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

_Sequence = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Route(msgspec.Struct, gc=False):
    """What is fixed for one kind of event, looked up once."""

    codec: Codec
    topic: str
    headers: Headers
    decode: Callable[[bytes], Any]
    key: Callable[[Any], Any]
    event_time: Callable[[Any], str | None] | None


class Session:
    """One feed's conversation: checks, routes, and keeps the ledger of its sequence.

    `stream` is 16 hexadecimal digits that name the source and `run` 16 that name this run: a trace
    id is the stream and the sequence number, or the run and a count where there is none, so that
    the same event of a source has the same trace id in every run. With a `mapper`, frames are
    foreign and their numbers count per key.
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
        mapper: Mapper | None = None,
    ) -> None:
        self.feed = feed
        self.ledger = ledger or Ledger()
        self.keyed: dict[bytes, Ledger] = {}
        """The ledgers of a mapped feed, by key."""
        self.events: Counter[str] = Counter({event.name: 0 for event in events})
        self.dead: Counter[Reason] = Counter(dict.fromkeys(Reason, 0))
        self.skipped: Counter[str] = Counter({skip.why: 0 for skip in SKIPS})
        self.follow(stream, self.ledger)
        self._unnumbered_trace = run.encode() + b"%016x"
        self._unnumbered = 0
        self._now = 0
        self._received = times.from_micros(0)
        self._ingested: tuple[str, str | bytes | None] = ("ingested_at", None)
        self._mapper = mapper
        self._routes = {event.name: _route(feed, event) for event in events}
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_envelope(sequence_field))
        self._open = decoder.decode

    @property
    def frames(self) -> int:
        """Frames received: events, dead letters, handshakes and duplicates."""
        return self.events.total() + self.dead.total() + self.skipped.total()

    @property
    def ledgers(self) -> list[Ledger]:
        """Every ledger: one per key when the feed is mapped."""
        return list(self.keyed.values()) if self._mapper else [self.ledger]

    def follow(self, stream: str, ledger: Ledger) -> None:
        """Go on with another stream of numbers: those of the next file."""
        self.ledger = ledger
        self._stream = stream.encode()
        self._numbered_trace = self._stream + b"%016x"

    def forget(self) -> None:
        """Take every number as new again."""
        self.ledger = Ledger()
        self.keyed.clear()

    def receive(self, frame: bytes, now: int) -> Action:
        """What to do with `frame`, received at `now` (µs since 1970). Never raises."""
        if now != self._now:
            self._clock(now)
        sequence: int | None = None
        ledger = self.ledger
        try:
            if self._mapper is not None:
                return self._foreign(frame, self._mapper)
            envelope = self._envelope(frame)
            kind, sequence = envelope.event_type, envelope.sequence
            if kind is msgspec.UNSET:
                return self._skip(HANDSHAKE)
            if sequence is None:
                trace = self._trace_id(None)
            elif sequence - 1 == ledger.high or ledger.is_new(sequence):
                trace = self._numbered_trace % sequence
            else:
                return self._skip(DUPLICATE)
            data = bytes(envelope.data)
            action: Action = self._event(kind, data, envelope.timestamp, sequence, trace)
        except Invalid as invalid:
            action = self._dead_letter(frame, invalid, sequence)
        if sequence is not None:
            if sequence - 1 == ledger.high:
                ledger.high = sequence
            else:
                ledger.observe(sequence, now)
        return action

    def receive_row(self, frame: bytes | Invalid, number: int, original: bytes, now: int) -> Action:
        """What to do with row `number` of a file, of which `frame` was made. Never raises.

        A dead letter keeps `original`. The frame's own number does not count.
        """
        if now != self._now:
            self._clock(now)
        if not self.ledger.is_new(number):
            return self._skip(DUPLICATE)
        try:
            action = self._row(frame, number)
        except Invalid as invalid:
            action = self._dead_letter(original, invalid, number)
        self.ledger.observe(number, now)
        return action

    def _row(self, frame: bytes | Invalid, number: int) -> Action:
        if isinstance(frame, Invalid):
            raise frame
        trace = self._trace_id(number)
        if self._mapper is not None:
            mapped = self._mapper.apply(decoded(_utf8(frame)))
            if mapped is None:
                return self._skip(UNMAPPED)
            return self._event(mapped.event, mapped.data, None, number, trace)
        envelope = self._envelope(frame)
        if envelope.event_type is msgspec.UNSET:
            return self._skip(HANDSHAKE)
        data = bytes(envelope.data)
        return self._event(envelope.event_type, data, envelope.timestamp, number, trace)

    def _clock(self, now: int) -> None:
        self._now, self._received = now, times.from_micros(now)
        self._ingested = "ingested_at", self._received.encode()

    def _envelope(self, frame: bytes) -> Any:
        try:
            # msgspec passes over members it does not decode; Kafka's readers will not.
            frame.decode()
            return self._open(frame)
        except (ValueError, RecursionError) as error:
            raise _not_an_envelope(frame, error) from None

    def _skip(self, skip: Skip) -> Skip:
        self.skipped[skip.why] += 1
        return skip

    def _foreign(self, frame: bytes, mapper: Mapper) -> Action:
        mapped = mapper.apply(decoded(_utf8(frame)))
        if mapped is None:
            return self._skip(UNMAPPED)
        number = mapped.sequence
        if number is None:
            return self._event(mapped.event, mapped.data, None, None, self._trace_id(None))
        key = self._key_of(mapped.event, mapped.data)
        ledger = self.keyed.setdefault(key, Ledger())
        if not ledger.is_new(number):
            return self._skip(DUPLICATE)
        identity = b"%s\0%s\0%d" % (self._stream, key, number)
        trace = blake2b(identity, digest_size=16).hexdigest().encode()
        try:
            return self._event(mapped.event, mapped.data, None, number, trace)
        finally:
            # A bad frame has come too: its number is not missing.
            ledger.observe(number, self._now)

    def _key_of(self, event: str, data: bytes) -> bytes:
        """The key alone, before the rest is checked: foreign numbers count per key."""
        key = msgspec.json.decode(data).get(self._routes[event].codec.event.key)
        return str(key).encode()

    def _event(
        self, kind: str, data: bytes, envelope_time: object, sequence: int | None, trace: bytes
    ) -> Deliver:
        route = self._routes.get(kind)
        if route is None:
            known = ", ".join(self._routes)
            raise Invalid(Reason.UNKNOWN_EVENT, f"{kind[:128]!r} is none of {known}")
        if data[:1] != b"{" or len(data) > MAX_EVENT:
            raise _unusable(data)
        codec = route.codec
        try:
            event = route.decode(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise codec.explain(data, error) from None
        if codec.decimals:
            codec.check_decimals(event)
        if not codec.has_canonical_times(event):
            data = _corrected(codec, event, data, envelope_time, self._received)
        key = route.key(event)
        if key is None or key == "":
            raise Invalid(Reason.MISSING_FIELD, f"{codec.event.key}: the key of {kind} is empty")
        headers = [*route.headers, ("trace_id", trace), self._ingested]
        if sequence is not None:
            headers.append(("seq", b"%d" % sequence))
        self.events[kind] += 1
        time = route.event_time(event) if route.event_time else None
        return Deliver(route.topic, str(key).encode(), data, headers, time)

    def _dead_letter(self, frame: bytes, invalid: Invalid, sequence: int | None) -> DeadLetter:
        self.dead[invalid.reason] += 1
        trace = self._trace_id(sequence)
        headers: Headers = [
            ("reason", invalid.reason.value),
            ("detail", invalid.detail.encode("utf-8", "replace")[:1024]),
            ("feed", self.feed),
            ("received_at", self._received),
            ("trace_id", trace),
        ]
        if sequence is not None:
            headers.append(("seq", str(sequence)))
        return DeadLetter(frame, headers, invalid.reason, invalid.detail, trace)

    def _trace_id(self, sequence: int | None) -> bytes:
        if sequence is not None:
            return self._numbered_trace % sequence
        self._unnumbered += 1
        return self._unnumbered_trace % self._unnumbered


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
    return _Route(codec, event.topic, headers, codec.decode, codec.key, codec.event_time)


def _utf8(frame: bytes) -> bytes:
    try:
        frame.decode()
    except UnicodeDecodeError as error:
        raise _not_utf8(frame, error) from None
    return frame


def _not_utf8(frame: bytes, error: UnicodeDecodeError) -> Invalid:
    detail = f"byte {error.start} is 0x{frame[error.start]:02x}: {error.reason}"
    return Invalid(Reason.NOT_UTF8, detail)


def _not_an_envelope(frame: bytes, error: Exception) -> Invalid:
    if isinstance(error, RecursionError):
        return Invalid(Reason.NOT_JSON, "nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return _not_utf8(frame, error)
    infinite = non_finite(frame)
    if infinite is not None:
        return Invalid(Reason.RULE, f"{infinite} is not a finite number")
    if not isinstance(error, msgspec.ValidationError):
        return Invalid(Reason.NOT_JSON, str(error))
    if str(error).startswith("Expected `object`") and " - at " not in str(error):
        return Invalid(Reason.NOT_AN_OBJECT, str(error))
    return Invalid(Reason.WRONG_TYPE, str(error))


def _unusable(data: bytes) -> Invalid:
    if len(data) > MAX_EVENT:
        detail = f"the event has {len(data)} bytes, at most {MAX_EVENT} are taken"
        return Invalid(Reason.TOO_LARGE, detail)
    found = data[:32].decode("utf-8", "replace") or "nothing"
    return Invalid(Reason.MISSING_DATA, f"data must be an object, found {found}")


def _corrected(
    codec: Codec, event: Any, data: bytes, envelope_time: object, received: str
) -> bytes:
    """`data` with its times put right and every other member's bytes as they were."""
    fallback = received if envelope_time is None else envelope_time
    if not isinstance(fallback, str):
        raise Invalid(Reason.BAD_TIMESTAMP, f"timestamp: {fallback!r} is not text")
    members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    for name, text in codec.corrected_times(event, fallback).items():
        members[name] = msgspec.Raw(msgspec.json.encode(text))
    return msgspec.json.encode(members)
