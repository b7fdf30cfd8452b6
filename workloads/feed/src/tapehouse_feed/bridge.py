"""From a source to Kafka: reads, checks, writes, remembers where it stands."""

import asyncio
import contextlib
import logging
import secrets
import signal
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
from confluent_kafka import KafkaException
from tapehouse_tape.events import Invalid

from tapehouse_feed.config import FeedConfig, FilesSource, SimulatorSource, WebSocketSource, seconds
from tapehouse_feed.continuity import Ledger, Replay, resumed
from tapehouse_feed.cursor import STREAM, Cursor, Journal, Offsets, Version, fingerprint
from tapehouse_feed.mapping import Mapper
from tapehouse_feed.metrics import Collector, Latency, Reading, Server
from tapehouse_feed.session import Action, DeadLetter, Deliver, Session
from tapehouse_feed.simulator.server import PORT as SIMULATOR_PORT
from tapehouse_feed.sink import Sink
from tapehouse_feed.sources.files import Files
from tapehouse_feed.sources.websocket import WebSocket

POLL = 0.02
"""Seconds between looks at delivery reports while records are under way."""
POLL_EVERY = 500
"""Frames after which reports are taken in the middle of a burst."""
TICK = 1.0
"""Seconds between cursors."""
FLUSH = 10.0
"""Seconds a stopping bridge waits for acknowledgements."""
PATIENCE = 10.0
"""Seconds without a connection after which the bridge is not ready."""
GRACE = 1_000_000
"""Microseconds in which a missing number may still come by itself, before it is asked for."""

log = logging.getLogger("tapehouse.bridge")


class Bridge:
    """One feed, from start to stop."""

    def __init__(
        self,
        config: FeedConfig,
        client: dict[str, Any],
        host: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._config = config
        self._headers = headers
        self._client = {"client.id": f"{config.feed}-feed", **client}
        self._host = host
        self._fingerprint = self._key = fingerprint(config.source)
        self._stream = self._key[:STREAM]
        self._journal = Journal(self._client, config.feed)
        self._latency = Latency()
        self._sink = Sink(client, config.dead_letter_topic, config.feed, self._latency)
        field = config.continuity.sequence_field
        self._mapper = Mapper(config.mapping, config.events, field) if config.mapping else None
        self._session = self._new_session(Ledger())
        self._source: WebSocket | Files | None = None
        self._cursors: dict[str, Cursor] = {}
        self._version: Version | None = None
        self._stop = asyncio.Event()
        self._kafka = "waiting for Kafka"
        self._polling: asyncio.TimerHandle | None = None
        self._since_poll = 0
        self._paused = False
        self._last_frame = 0
        self._replay = Replay()

    async def run(self, metrics_port: int) -> None:
        """Work until SIGTERM or SIGINT.

        Raises `OSError` when the metrics address is taken, `DeliveryError` when Kafka refuses a
        record for good, and `KafkaException` when it refuses the user.
        """
        server = Server(Collector(self._config.feed, self._latency, self._read), self._not_ready)
        server.start(self._host, metrics_port)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        try:
            if await self._wait_for_kafka():
                await self._work()
        finally:
            await asyncio.to_thread(self._journal.close)
            server.stop()

    async def _work(self) -> None:
        self._source = self._new_source()
        reading = asyncio.create_task(self._source.run())
        try:
            while not self._stop.is_set() and self._sink.failure is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), TICK)
                self._tick()
        finally:
            self._source.stop()
            await reading
            self._finish()
        if self._sink.failure:
            raise self._sink.failure

    # The start: Kafka, and where this feed stands in it.

    async def _wait_for_kafka(self) -> bool:
        """Wait until brokers and topics are there, then take up the thread."""
        journal = self._journal
        if not await self._wait_for_topics(journal):
            return False
        cursors = self._config.cursor_topic
        self._cursors = await asyncio.to_thread(journal.cursors, cursors, self._fingerprint)
        ends = await asyncio.to_thread(journal.settled_ends, self._written())
        self._sink.start(ends)
        if not isinstance(self._config.source, FilesSource):
            ledger = await asyncio.to_thread(self._stand, ends)
            self._session.follow(self._stream, ledger)
        self._kafka = ""
        return True

    async def _wait_for_topics(self, journal: Journal) -> bool:
        said, wait = "", 0.5
        topics = [*self._written(), self._config.cursor_topic]
        while not self._stop.is_set():
            try:
                absent = await asyncio.to_thread(journal.absent, topics, 5.0)
                why = f"waiting for topics {', '.join(absent)}" if absent else ""
            except KafkaException as error:
                why = f"waiting for Kafka at {self._client['bootstrap.servers']}: "
                why += error.args[0].str()
            if not why:
                return True
            if why != said:
                log.warning(why)
            said = self._kafka = why
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), wait)
            wait = min(5.0, wait * 2)
        return False

    def _written(self) -> list[str]:
        return [*self._config.topics(), self._config.dead_letter_topic]

    def _stand(self, ends: Offsets) -> Ledger:
        """The ledger to go on from; the first cursor of a stream is written before its events."""
        cursor = self._cursors.get(self._key)
        if cursor is None:
            numbered = not isinstance(self._config.source, WebSocketSource)
            ledger = Ledger(0 if numbered else None)
            self._write_cursor(ledger, ends)
            self._sink.flush(FLUSH)
            return ledger
        letters = self._config.dead_letter_topic
        later = self._journal.later(cursor, ends, self._stream, letters)
        high = cursor.sequence if cursor.sequence is not None else min(later, default=1) - 1
        ledger = resumed(high, cursor.gaps, later, time.time_ns() // 1000)
        if cursor.sequence is None and not later:
            ledger = Ledger()
        # What a crash tore is fetched again in any case, what the source left out only if wanted.
        self._replay = Replay(floor=0 if self._config.continuity.backfill else high)
        self._replay.begin(ledger)
        first = self._replay.first(ledger)
        extra = {"cursor": cursor.sequence, "later": len(later), "next": first}
        log.info("taking up the thread", extra=extra)
        return ledger

    # Files: each has a stream of numbers and a cursor of its own.

    def version(self, path: str) -> Version | None:
        """What was last read of a file."""
        cursor = self._cursors.get(f"{self._fingerprint}/{path}")
        return cursor.file if cursor else None

    async def begin(self, path: str, version: Version) -> Ledger:
        """Take up a file; which of its rows are written already."""
        known = self.version(path)
        self._key = f"{self._fingerprint}/{path}"
        self._stream, self._version = version.stream, version
        if known is None or known.stream != version.stream:
            self._cursors.pop(self._key, None)
        ends = await asyncio.to_thread(self._journal.settled_ends, self._written())
        ledger = await asyncio.to_thread(self._stand, ends)
        self._session.follow(self._stream, ledger)
        return ledger

    async def end(self) -> None:
        """Wait until every row is acknowledged, and remember that the file is complete."""
        while (self._sink.in_flight or self._paused) and not self._stop.is_set():
            await asyncio.sleep(POLL)
        if self._version and not self._sink.in_flight:
            self._version.complete = True
            self._sink.mark(self._session.ledger)
            done = self._sink.complete()
            offsets = done[1] if done else self._cursors[self._key].offsets
            self._write_cursor(self._session.ledger, offsets)

    def receive_row(self, frame: bytes | Invalid, number: int, original: bytes, now: int) -> Action:
        """Take row `number` of a file."""
        return self._take(self._session.receive_row(frame, number, original, now), now)

    def _new_session(self, ledger: Ledger) -> Session:
        return Session(
            self._config.feed,
            self._config.events,
            stream=self._stream,
            run=secrets.token_hex(STREAM // 2),
            ledger=ledger,
            sequence_field=self._config.continuity.sequence_field,
            mapper=self._mapper,
        )

    def _new_source(self) -> WebSocket | Files:
        source = self._config.source
        if isinstance(source, SimulatorSource):
            return WebSocket(f"ws://{self._host}:{SIMULATOR_PORT}/", self)
        if isinstance(source, WebSocketSource):
            heartbeat = seconds(source.heartbeat)
            return WebSocket(
                source.url,
                self,
                headers=self._headers,
                subscribe=source.subscribe,
                heartbeat=heartbeat,
            )
        return Files(source, self._config.events, self._mapper is not None, self)

    # The path of a frame.

    def receive(self, frame: bytes, now: int) -> None:
        """Take a frame read at `now`, µs since 1970."""
        self._take(self._session.receive(frame, now), now)

    def _take(self, action: Action, now: int) -> Action:
        if isinstance(action, Deliver):
            self._sink.write(action.topic, action.key, action.value, action.headers, now)
        elif isinstance(action, DeadLetter):
            self._sink.write(
                self._config.dead_letter_topic, None, action.value, action.headers, now
            )
            self._report(action)
        self._last_frame = now
        self._since_poll += 1
        if self._since_poll >= POLL_EVERY:
            self._poll()
        elif self._polling is None:
            self._polling = asyncio.get_running_loop().call_later(POLL, self._poll)
        return action

    def _report(self, letter: DeadLetter) -> None:
        log.warning(
            "dead letter",
            extra={
                "reason": letter.reason.value,
                "detail": letter.detail[:200],
                "trace_id": letter.trace_id.decode(),
                "size": len(letter.value),
            },
        )

    def _poll(self) -> None:
        """Take reports; stop or resume reading by what is under way."""
        self._since_poll = 0
        if self._polling:
            self._polling.cancel()
            self._polling = None
        sink = self._sink
        sink.poll()
        if sink.failure:
            self._stop.set()
        if self._source and not self._paused and sink.is_full:
            self._paused = True
            self._source.pause()
        elif self._source and self._paused and sink.has_room:
            self._paused = False
            self._source.resume()
        if sink.in_flight:
            self._polling = asyncio.get_running_loop().call_later(POLL, self._poll)

    @property
    def received(self) -> int:
        """Frames received since the start."""
        return self._session.frames

    @property
    def acknowledged(self) -> int:
        """Records that Kafka acknowledged since the start."""
        return self._sink.acked

    def stop(self) -> None:
        """Flush, write the cursor, end."""
        self._stop.set()

    # Every second, and at the end.

    def next_sequence(self) -> int | None:
        """Where to ask the source to begin, or None where it cannot be asked."""
        resumable = isinstance(self._config.source, SimulatorSource)
        if not (resumable or self._config.continuity.backfill):
            return None
        return self._replay.first(self._session.ledger)

    def _tick(self) -> None:
        self._sink.mark(self._session.ledger)
        if done := self._sink.complete():
            self._write_cursor(*done)
        if self._config.continuity.backfill and self._source and not self._paused:
            self._backfill(self._source)

    def _backfill(self, source: WebSocket | Files) -> None:
        """Ask once for what has been missing for a while."""
        ledger = self._session.ledger
        if not source.connected:
            return
        if self._replay.wanted(ledger, time.time_ns() // 1000 - GRACE):
            self._replay.begin(ledger)
            log.warning("asking again for missing events", extra={"missing": ledger.missing})
            source.reconnect()

    def _write_cursor(self, ledger: Ledger, offsets: Offsets) -> None:
        cursor = Cursor(ledger.high, offsets, ledger.gaps, self._version)
        self._cursors[self._key] = cursor
        self._sink.put(self._config.cursor_topic, self._key, msgspec.json.encode(cursor))

    def _finish(self) -> None:
        """Flush and write the last cursor."""
        if self._polling:
            self._polling.cancel()
        self._sink.mark(self._session.ledger)
        left = self._sink.flush(FLUSH)
        if done := self._sink.complete():
            self._write_cursor(*done)
            self._sink.flush(FLUSH)
        level = logging.WARNING if left else logging.INFO
        log.log(level, "stopped", extra={"acked": self._sink.acked, "unacknowledged": left})

    # What is seen from outside.

    def _not_ready(self) -> str:
        if self._kafka:
            return self._kafka
        source = self._source
        if source is None or source.connected:
            return ""
        if source.connections and time.monotonic() - source.disconnected_since < PATIENCE:
            return ""
        return "not connected to the source"

    def _read(self) -> Iterator[Reading]:
        session, sink, source = self._session, self._sink, self._source
        ledgers = session.ledgers

        def one(kind: str, name: str, help_: str, value: float) -> Reading:
            return kind, name, help_, [({}, float(value))]

        counter, gauge = partial(one, "counter"), partial(one, "gauge")
        yield counter("frames", "Frames read from the source", session.frames)
        yield _labelled("events", "Events taken, by kind", "event", session.events)
        yield _labelled("dead_letters", "Dead letters, by reason", "reason", session.dead)
        yield _labelled("skipped", "Frames passed over, by why", "why", session.skipped)
        yield counter("acked", "Records that Kafka acknowledged", sink.acked)
        yield gauge("in_flight", "Records written and not acknowledged", sink.in_flight)
        yield gauge("paused", "1 while reading is stopped by back-pressure", self._paused)
        yield gauge("connected", "1 while connected", bool(source and source.connected))
        yield counter("connections", "Connections made", source.connections if source else 0)
        yield gauge(
            "sequence", "Highest sequence number", max((x.high or 0 for x in ledgers), default=0)
        )
        yield gauge("gaps_open", "Gaps in the sequence", sum(len(x.gaps) for x in ledgers))
        yield gauge("missing", "Sequence numbers missing", sum(x.missing for x in ledgers))
        yield counter("gaps_opened", "Gaps opened since the start", sum(x.opened for x in ledgers))
        yield counter("gaps_closed", "Gaps filled since the start", sum(x.closed for x in ledgers))
        yield gauge(
            "last_frame_timestamp_seconds", "When a frame came last", self._last_frame / 1e6
        )


def _labelled(name: str, help_: str, label: str, values: Mapping[Any, int]) -> Reading:
    return (
        "counter",
        name,
        help_,
        [({label: str(key)}, float(value)) for key, value in values.items()],
    )
