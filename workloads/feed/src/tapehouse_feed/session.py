"""The feed protocol without I/O: a frame in, what to do with it out."""

from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from tapehouse_tape import times
from tapehouse_tape.events import Event, Invalid, Reason

from tapehouse_feed.actions import (
    CONFLICT,
    DUPLICATE,
    EMPTY,
    HANDSHAKE,
    SKIPS,
    UNMAPPED,
    Action,
    DeadLetter,
    Deliver,
    Headers,
    Output,
    Skip,
    Value,
)
from tapehouse_feed.continuity import Ledger
from tapehouse_feed.frame_validation import (
    MAX_EVENT,
    as_invalid,
    check_utf8,
    corrected,
    not_an_envelope,
    unusable,
)
from tapehouse_feed.frames import Opened, Route, envelope_type, keyed_trace, route_of
from tapehouse_feed.mapping import Mapper, decoded
from tapehouse_feed.restarts import Seen, judge_seen

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
]


class Collected:
    """An output that keeps what it takes: for single frames and rows."""

    def __init__(self) -> None:
        self.actions: list[Action] = []

    def write(self, topic: str, key: bytes, value: Value, headers: Headers, now: int) -> None:
        """Keep an event."""
        self.actions.append(Deliver(topic, key, bytes(value), headers))

    def dead_letter(self, letter: DeadLetter, now: int) -> None:
        """Keep a dead letter."""
        self.actions.append(letter)

    def skip(self, skip: Skip) -> None:
        """Keep that there is nothing to write."""
        self.actions.append(skip)


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
        self.newest_dead = ""
        """Why the newest dead letter is one."""
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
        """Frames received, each element of a mapped list as one: events, dead letters, left out."""
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

    def receive(self, frame: bytes, now: int) -> list[Action]:
        """What to do with `frame`, received at `now` (µs since 1970). Never raises."""
        collected = Collected()
        self.receive_all((frame,), now, collected)
        return collected.actions

    def receive_all(self, frames: Sequence[bytes], now: int, output: Output) -> None:
        """Hand to `output` what becomes of frames received together at `now`. Never raises.

        The usual frame - the next number, nothing to correct - goes straight through here.
        Whatever may be unusual about another, the careful way finds out.
        """
        if now != self._now:
            self._clock(now)
        write = output.write
        if self._needs_care:
            for frame in frames:
                self._receive_with_care(frame, now, output)
            return
        # What follows is done for every event there is: calls and look-ups are its cost.
        opened, routes, ledger = self._open, self._routes, self.ledger
        ingested, trace = self._ingested, self._numbered_trace
        for frame in frames:
            usual = False
            try:
                if not frame.isascii():
                    # msgspec passes over members it does not decode; Kafka's readers will not.
                    frame.decode()
                envelope = opened(frame)
                sequence, data = envelope.sequence, envelope.data
                if sequence - 1 == ledger.high and len(frame) <= MAX_EVENT:
                    route = routes[envelope.event_type]
                    event = route.decode(data)
                    key, time = route.key(event).encode(), route.time(event)
                    # Most times share their second with the one before: no need to parse it.
                    is_canonical = (
                        time[:20] == self._second
                        and time[26:] == "Z"
                        and time[20:26].isdigit()
                        and time.isascii()
                    )
                    one_time = is_canonical and route.has_one_time
                    usual = bool(key) and (one_time or self._is_usual(route, event, data))
            except Exception:
                usual = False
            if not usual:
                self._receive_with_care(frame, now, output)
                continue
            ledger.high = sequence
            if time > ledger.newest:
                ledger.newest = time
            route.taken += 1
            headers: Headers = [
                *route.headers,
                ("trace_id", trace % sequence),
                ingested,
                ("seq", b"%d" % sequence),
            ]
            write(route.topic, key, data, headers, now)

    def _is_usual(self, route: Route, event: Any, data: msgspec.Raw) -> bool:
        """Whether a decoded event can be written as it came."""
        codec = route.codec
        codec.check_decimals(event, data)
        usual = codec.has_canonical_times(event)
        time = route.time(event)
        if usual and time and time[19] == ".":
            self._second = time[:20]
        return usual

    def receive_row(
        self, frame: bytes | Invalid, number: int, original: bytes, now: int
    ) -> list[Action]:
        """What to do with row `number` of a file, of which `frame` was made. Never raises.

        A dead letter keeps `original`. The frame's own number does not count.
        """
        if now != self._now:
            self._clock(now)
        if not self.ledger.is_new(number):
            return [self._skip(DUPLICATE)]
        actions = self._row(frame, number, original)
        self.ledger.observe(number, now)
        return actions

    def _row(self, frame: bytes | Invalid, number: int, original: bytes) -> list[Action]:
        try:
            if isinstance(frame, Invalid):
                raise frame
            opened = self._opened(frame)
        except Exception as error:
            return [self._dead_letter(original, as_invalid(error), number)]
        if isinstance(opened, Skip):
            return [self._skip(opened)]
        actions: list[Action] = []
        for index, each in enumerate(opened):
            trace = self._trace_id(number, index=index)
            try:
                actions.append(self._event(each, number, trace))
            except Exception as error:
                letter = each.alone() if each.alone else original
                actions.append(self._dead_letter(letter, as_invalid(error), number, index=index))
        return actions

    def _receive_with_care(self, frame: bytes, now: int, output: Output) -> None:
        for action in self._taken_apart(frame, now):
            if isinstance(action, Deliver):
                output.write(action.topic, action.key, action.value, action.headers, now)
            elif isinstance(action, DeadLetter):
                output.dead_letter(action, now)
            else:
                output.skip(action)

    def _taken_apart(self, frame: bytes, now: int) -> list[Action]:
        """What becomes of a frame: of each of its events, where there are several."""
        try:
            opened = self._opened(frame, now)
        except Exception as error:
            return [self._dead_letter(frame, as_invalid(error), None)]
        if isinstance(opened, Skip):
            return [self._skip(opened)]
        own: set[tuple[str, int]] = set()
        return [self._take(frame, each, now, own) for each in opened]

    def _take(self, frame: bytes, opened: Opened, now: int, own: set[tuple[str, int]]) -> Action:
        """What becomes of one event; `own` are the numbers that this very frame has brought."""
        number, key = opened.sequence, ""
        try:
            if number is None:
                return self._event(opened, None, self._trace_id(None))
            key = self._key_of(opened) if self._per_key else ""
            ledger = self._ledger(key)
            is_shared = opened.index > 0 and (key, number) in own
            if not is_shared and (skip := self._seen(ledger, number, opened, now)):
                return self._skip(skip)
            trace = self._trace_id(number, key, opened.index)
            action: Action = self._event(opened, number, trace)
        except Exception as error:
            letter = opened.alone() if opened.alone else frame
            invalid = as_invalid(error)
            action = self._dead_letter(letter, invalid, number, key, opened.index)
        if number is not None and (key or not self._per_key):
            # A bad frame has come too: its number is not missing.
            time = action.event_time if isinstance(action, Deliver) else None
            self._observe(self._ledger(key), number, opened, now, time or "")
            own.add((key, number))
        return action

    def _seen(self, ledger: Ledger, number: int, opened: Opened, now: int) -> Skip | None:
        """Why an event is dropped for its number; None when it is to be taken."""
        if ledger.high is None or number > ledger.high:
            return None
        is_new = ledger.is_new(number)
        if is_new and number >= ledger.low:
            return None
        seen = judge_seen(ledger, number, hash(opened.data), self._time_of(opened))
        if seen is Seen.RESTART:
            ledger.start_again(number, now)
            return None
        if is_new:
            return None
        if seen is Seen.CONFLICT:
            ledger.conflicts += 1
            return CONFLICT
        return DUPLICATE

    def _observe(
        self, ledger: Ledger, number: int, opened: Opened, now: int, event_time: str
    ) -> None:
        ledger.observe(number, now)
        ledger.remember(number, hash(opened.data))
        is_canonical = len(event_time) == 27 and event_time[-1] == "Z"
        time = event_time if is_canonical else self._time_of(opened)
        if time > ledger.newest:
            ledger.newest = time

    def _time_of(self, opened: Opened) -> str:
        """An event's own time in canonical form; empty where it has none."""
        route = self._routes.get(opened.event)
        try:
            return times.normalise(route.time(route.decode(opened.data))) if route else ""
        except Exception:
            return ""

    def _ledger(self, key: str) -> Ledger:
        return self.keyed.setdefault(key, Ledger()) if self._per_key else self.ledger

    def _clock(self, now: int) -> None:
        self._now, self._received = now, times.from_micros(now)
        self._ingested = "ingested_at", self._received.encode()

    def _opened(self, frame: bytes, now: int = 0) -> list[Opened] | Skip:
        """A frame's events before they are checked, or why there is none in it."""
        if self._mapper is not None:
            return self._mapped(self._mapper, decoded(check_utf8(frame)), now)
        frame = frame.removeprefix(BOM_UTF8)
        try:
            frame.decode()
            envelope = self._open(frame)
        except (ValueError, RecursionError) as error:
            raise not_an_envelope(frame, error) from None
        if envelope.event_type is msgspec.UNSET:
            return HANDSHAKE
        data = bytes(envelope.data)
        return [Opened(envelope.event_type, data, envelope.sequence, envelope.timestamp)]

    def _mapped(self, mapper: Mapper, frame: Any, now: int) -> list[Opened] | Skip:
        events = mapper.apply(frame)
        if events:
            return [
                Opened(
                    each.event,
                    each.data,
                    each.sequence,
                    refusal=each.refusal,
                    index=each.index,
                    alone=each.alone,
                )
                for each in events
            ]
        number = mapper.number(frame)
        if now and number is not None and not self._per_key:
            # Numbers of the whole feed count what no mapping is for, too.
            self.ledger.observe(number, now)
        return UNMAPPED if events is None else EMPTY

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
        codec.check_decimals(event, data)
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
        self,
        frame: bytes,
        invalid: Invalid,
        sequence: int | None,
        key: str = "",
        index: int = 0,
    ) -> DeadLetter:
        self.dead[invalid.reason] += 1
        self.newest_dead = f"{invalid.reason.value}: {invalid.detail[:200]}"
        trace = self._trace_id(sequence, key, index)
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

    def _trace_id(self, sequence: int | None, key: str = "", index: int = 0) -> bytes:
        if sequence is None:
            self._unnumbered += 1
            return self._unnumbered_trace % self._unnumbered
        if self._per_key or index:
            return keyed_trace(self._stream, key, sequence, index)
        return self._numbered_trace % sequence
