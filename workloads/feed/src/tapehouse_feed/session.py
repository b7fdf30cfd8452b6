"""The feed protocol without I/O: a frame in, what to do with it out."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from tapehouse_tape import times
from tapehouse_tape.events import Event, Invalid, Reason

from tapehouse_feed.actions import (
    DUPLICATE,
    HANDSHAKE,
    SKIPS,
    UNMAPPED,
    Action,
    DeadLetter,
    Deliver,
    Headers,
    Skip,
    Value,
)
from tapehouse_feed.continuity import Ledger
from tapehouse_feed.frames import Opened, Route, envelope_type, keyed_trace, route_of
from tapehouse_feed.mapping import Mapper, decoded
from tapehouse_feed.refusals import MAX_EVENT, check_utf8, corrected, not_an_envelope, unusable

__all__ = [
    "DUPLICATE",
    "HANDSHAKE",
    "MAX_EVENT",
    "UNMAPPED",
    "Action",
    "DeadLetter",
    "Deliver",
    "Session",
    "Skip",
    "Write",
]

Write = Callable[[str, bytes, Value, Headers, int], None]
"""Takes topic, key, value, headers and the time of receipt (µs since 1970) of a record."""
_UNUSUAL = (KeyError, AttributeError, TypeError, ValueError, RecursionError, Invalid)
"""What decoding raises, and what comes of members that are absent."""


class Session:
    """One feed's conversation: checks, routes, and keeps the ledgers of its numbers.

    `stream` is 16 hexadecimal digits that name the source and `run` 16 that name this run: a trace
    id is the stream and the sequence number, or the run and a count where there is none, so that
    the same event of a source has the same trace id in every run. With a `mapper`, frames are
    foreign. `per_key` says that numbers count per key, as those of foreign frames do by default:
    each key then has a ledger of its own.
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
        per_key: bool | None = None,
    ) -> None:
        self.feed = feed
        self.ledger = ledger or Ledger()
        self.keyed: dict[str, Ledger] = {}
        """The ledgers where numbers count per key, by key."""
        self.dead: Counter[Reason] = Counter(dict.fromkeys(Reason, 0))
        self.skipped: Counter[str] = Counter({skip.why: 0 for skip in SKIPS})
        self.follow(stream, self.ledger)
        self._unnumbered_trace = run.encode() + b"%016x"
        self._unnumbered = 0
        self._now = 0
        self._received = times.from_micros(0)
        self._second = ""
        """The second of the newest event time, with its point."""
        self._ingested: tuple[str, bytes] = ("ingested_at", b"")
        self._mapper = mapper
        self._per_key = mapper is not None if per_key is None else per_key
        self._routes = {event.name: route_of(feed, event) for event in events}
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(envelope_type(sequence_field))
        self._open = decoder.decode
        self._needs_care = mapper is not None or self._per_key

    @property
    def events(self) -> Counter[str]:
        """Events taken, by kind."""
        return Counter({name: route.taken for name, route in self._routes.items()})

    @property
    def frames(self) -> int:
        """Frames received: events, dead letters, handshakes and duplicates."""
        return self.events.total() + self.dead.total() + self.skipped.total()

    @property
    def ledgers(self) -> dict[str, Ledger]:
        """Every ledger by its key; a feed that counts as one has the key ``""``."""
        return self.keyed if self._per_key else {"": self.ledger}

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
        written: list[Deliver] = []

        def write(topic: str, key: bytes, value: Value, headers: Headers, _: int) -> None:
            written.append(Deliver(topic, key, bytes(value), headers))

        return next(self.receive_all((frame,), now, write), None) or written[0]

    def receive_all(self, frames: Sequence[bytes], now: int, write: Write) -> Iterator[Action]:
        """Write what is usual among frames received together at `now`; the rest is given back.

        The usual frame - the next number, nothing to put right - goes straight through here.
        Whatever may be unusual about another, the careful way finds out: what that says comes in
        its turn, and is to be acted on before the next is asked for. Never raises.
        """
        if now != self._now:
            self._clock(now)
        care = self._receive_with_care
        if self._needs_care:
            yield from (care(frame, now) for frame in frames)
            return
        # What follows is done for every event there is: calls and look-ups are its cost.
        opened, routes, ledger = self._open, self._routes, self.ledger
        ingested, trace = self._ingested, self._numbered_trace
        for frame in frames:
            try:
                if not frame.isascii():
                    # msgspec passes over members it does not decode; Kafka's readers will not.
                    frame.decode()
                envelope = opened(frame)
                sequence, data = envelope.sequence, envelope.data
                if sequence - 1 != ledger.high or len(frame) > MAX_EVENT:
                    yield care(frame, now)
                    continue
                route = routes[envelope.event_type]
                event = route.decode(data)
                key, time = route.key(event).encode(), route.time(event)
                # Most times share their second with the one before: that need not be parsed.
                is_canonical = (
                    time[:20] == self._second
                    and time[26:] == "Z"
                    and time[20:26].isdigit()
                    and time.isascii()
                )
                is_usual = (is_canonical and route.has_one_time) or self._is_usual(route, event)
                if not key or not is_usual:
                    yield care(frame, now)
                    continue
            except _UNUSUAL:
                yield care(frame, now)
                continue
            ledger.high = sequence
            route.taken += 1
            headers: Headers = [
                *route.headers,
                ("trace_id", trace % sequence),
                ingested,
                ("seq", b"%d" % sequence),
            ]
            write(route.topic, key, data, headers, now)

    def _is_usual(self, route: Route, event: Any) -> bool:
        """Whether a decoded event can be written as it came."""
        codec = route.codec
        codec.check_decimals(event)
        usual = codec.has_canonical_times(event)
        time = route.time(event)
        if usual and time and time[19] == ".":
            self._second = time[:20]
        return usual

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
        opened = self._opened(frame)
        if isinstance(opened, Skip):
            return self._skip(opened)
        return self._event(opened, number, self._trace_id(number))

    def _receive_with_care(self, frame: bytes, now: int) -> Action:
        number, key = None, ""
        try:
            opened = self._opened(frame)
            if isinstance(opened, Skip):
                return self._skip(opened)
            number = opened.sequence
            if number is None:
                return self._event(opened, None, self._trace_id(None))
            key = self._key_of(opened) if self._per_key else ""
            if not self._ledger(key).is_new(number):
                return self._skip(DUPLICATE)
            action: Action = self._event(opened, number, self._trace_id(number, key))
        except Invalid as invalid:
            action = self._dead_letter(frame, invalid, number, key)
        if number is not None and (key or not self._per_key):
            # A bad frame has come too: its number is not missing.
            self._ledger(key).observe(number, now)
        return action

    def _ledger(self, key: str) -> Ledger:
        return self.keyed.setdefault(key, Ledger()) if self._per_key else self.ledger

    def _clock(self, now: int) -> None:
        self._now, self._received = now, times.from_micros(now)
        self._ingested = "ingested_at", self._received.encode()

    def _opened(self, frame: bytes) -> Opened | Skip:
        """A frame as an event that is not checked yet, or why there is none in it."""
        if self._mapper is not None:
            mapped = self._mapper.apply(decoded(check_utf8(frame)))
            if mapped is None:
                return UNMAPPED
            return Opened(mapped.event, mapped.data, mapped.sequence, refusal=mapped.refusal)
        try:
            frame.decode()
            envelope = self._open(frame)
        except (ValueError, RecursionError) as error:
            raise not_an_envelope(frame, error) from None
        if envelope.event_type is msgspec.UNSET:
            return HANDSHAKE
        data = bytes(envelope.data)
        return Opened(envelope.event_type, data, envelope.sequence, envelope.timestamp)

    def _skip(self, skip: Skip) -> Skip:
        self.skipped[skip.why] += 1
        return skip

    def _key_of(self, opened: Opened) -> str:
        """The key alone, before the rest is checked; empty where there is none."""
        route = self._routes.get(opened.event)
        try:
            members = msgspec.json.decode(opened.data, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            return ""
        key = members.get(route.codec.event.key) if route else None
        return "" if key is None else str(key)

    def _event(self, opened: Opened, sequence: int | None, trace: bytes) -> Deliver:
        kind, data = opened.event, opened.data
        if opened.refusal is not None:
            raise opened.refusal
        route = self._routes.get(kind)
        if route is None:
            known = ", ".join(self._routes)
            raise Invalid(Reason.UNKNOWN_EVENT, f"{kind[:128]!r} is none of {known}")
        if data[:1] != b"{" or len(data) > MAX_EVENT:
            raise unusable(data)
        codec = route.codec
        try:
            event = route.decode(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise codec.explain(data, error) from None
        codec.check_decimals(event)
        if not codec.has_canonical_times(event):
            data = corrected(codec, event, data, opened.timestamp, self._received)
        key = route.key(event)
        if key is None or key == "":
            raise Invalid(Reason.MISSING_FIELD, f"{codec.event.key}: the key of {kind} is empty")
        headers = [*route.headers, ("trace_id", trace), self._ingested]
        if sequence is not None:
            headers.append(("seq", b"%d" % sequence))
        route.taken += 1
        time = route.time(event) or None
        return Deliver(route.topic, str(key).encode(), data, headers, time)

    def _dead_letter(
        self, frame: bytes, invalid: Invalid, sequence: int | None, key: str = ""
    ) -> DeadLetter:
        self.dead[invalid.reason] += 1
        trace = self._trace_id(sequence, key)
        headers: Headers = [
            ("reason", invalid.reason.value),
            ("detail", invalid.detail.encode("utf-8", "replace")[:1024]),
            ("feed", self.feed),
            ("received_at", self._received),
            ("trace_id", trace),
        ]
        if sequence is not None:
            headers.append(("seq", str(sequence)))
        if key:
            headers.append(("key", key.encode("utf-8", "replace")))
        return DeadLetter(frame, headers, invalid.reason, invalid.detail, trace)

    def _trace_id(self, sequence: int | None, key: str = "") -> bytes:
        if sequence is None:
            self._unnumbered += 1
            return self._unnumbered_trace % self._unnumbered
        if self._per_key:
            return keyed_trace(self._stream, key, sequence)
        return self._numbered_trace % sequence
