"""The cursors of a feed in Kafka: read at the start, written while it works."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from confluent_kafka import KafkaException
from tapehouse_tape.times import from_micros

from tapehouse_feed.config import FeedConfig, FilesSource, WebSocketSource
from tapehouse_feed.continuity import Ledger, Replay, resumed
from tapehouse_feed.cursor import (
    STREAM,
    Cursor,
    Journal,
    KeyPosition,
    Offsets,
    Version,
    fingerprint,
)
from tapehouse_feed.session import Session
from tapehouse_feed.sink import Sink
from tapehouse_feed.spill import Spill

FLUSH = 10.0
"""Seconds to wait for acknowledgements at a start or a stop."""
LOOK = 5.0
"""Seconds between looks at the topics' ends: what a restart has to read again at most."""
MANY_KEYS = 200
"""With more keys than that, cursors are large and are written only every `LOOK` seconds."""

log = logging.getLogger("tapehouse.bridge")

State = dict[str, Ledger]
"""Copies of a session's ledgers, by key."""


@dataclass(frozen=True, slots=True)
class CursorId:
    """What a cursor belongs to: a source, or one file of it."""

    key: str
    stream: str
    version: Version | None = None


class CursorStore:
    """The cursors of one feed, and the ledgers that follow from them."""

    def __init__(self, config: FeedConfig, client: Mapping[str, Any], sink: Sink) -> None:
        self._config = config
        self._servers = client["bootstrap.servers"]
        self._sink = sink
        self._journal = Journal(client, config.feed)
        self._reading = asyncio.Lock()
        self._fingerprint = fingerprint(config.source)
        self._cursors: dict[str, Cursor] = {}
        self._cursor_id = CursorId(self._fingerprint, self._fingerprint[:STREAM])
        self._looked = self._written = time.monotonic()
        self._looked_at = 0
        self.replay = Replay()
        self.waiting = "waiting for Kafka"
        """What of Kafka is not there yet, empty once it is."""

    @property
    def stream(self) -> str:
        """What the numbers are of that are being read."""
        return self._cursor_id.stream

    def close(self) -> None:
        """Let go of the connections."""
        self._journal.close()

    async def find(self, session: Session, stop: asyncio.Event) -> bool:
        """Wait until brokers and topics are there, then take up the thread; False when stopped."""
        if not await self._wait_for_topics(stop):
            return False
        topic = self._config.cursor_topic
        self._cursors = await asyncio.to_thread(self._journal.cursors, topic, self._fingerprint)
        ends = await asyncio.to_thread(self._journal.settled_ends, self._topics())
        self._sink.start(ends)
        if not isinstance(self._config.source, FilesSource):
            state = await asyncio.to_thread(self._ledgers, self._cursor_id, ends)
            session.follow(self.stream, state.pop(""))
            session.keyed.update(state)
        self.waiting = ""
        return True

    async def _wait_for_topics(self, stop: asyncio.Event) -> bool:
        said, wait = "", 0.5
        topics = [*self._topics(), self._config.cursor_topic]
        while not stop.is_set():
            try:
                absent = await asyncio.to_thread(self._journal.absent, topics, 5.0)
                why = f"waiting for topics {', '.join(absent)}" if absent else ""
            except KafkaException as error:
                why = f"waiting for Kafka at {self._servers}: {error.args[0].str()}"
            if not why:
                return True
            if why != said:
                log.warning(why)
            said = self.waiting = why
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait)
            wait = min(5.0, wait * 2)
        return False

    def _topics(self) -> list[str]:
        return [*self._config.topics(), self._config.dead_letter_topic]

    def _ledgers(self, cursor_id: CursorId, ends: Offsets) -> State:
        """The ledgers to go on from; the first cursor of a stream is written before its events."""
        cursor = self._cursors.get(cursor_id.key)
        if cursor is None:
            numbered = not isinstance(self._config.source, WebSocketSource)
            state: State = {"": Ledger(0 if numbered else None)}
            self._write(cursor_id, state, ends)
            self._sink.flush(FLUSH)
            return state
        letters = self._config.dead_letter_topic
        later = self._journal.later(cursor, ends, cursor_id.stream, letters)
        now = time.time_ns() // 1000
        state = {
            key: _resumed(cursor.keys.get(key), later.get(key, set()), now)
            for key in {*cursor.keys, *later} - {""}
        }
        position = None
        if cursor.sequence is not None:
            position = KeyPosition(cursor.sequence, cursor.low, cursor.gaps)
        state[""] = ledger = _resumed(position, later.get("", set()), now)
        # What a crash tore is fetched again in any case, what the source left out only if wanted.
        high = position.high if position else 0
        self.replay = Replay(floor=0 if self._config.continuity.backfill else high)
        if self._config.continuity.backfill or not isinstance(self._config.source, WebSocketSource):
            self.replay.begin(ledger)
        extra = {
            "cursor": cursor.sequence,
            "keys": len(cursor.keys),
            "later": sum(map(len, later.values())),
            "next": self.replay.first(ledger),
        }
        log.info("taking up the thread", extra=extra)
        return state

    # Files: each has a stream of numbers and a cursor of its own.

    def version(self, path: str) -> Version | None:
        """What was last read of a file."""
        cursor = self._cursors.get(f"{self._fingerprint}/{path}")
        return cursor.file if cursor else None

    async def begin(self, path: str, version: Version) -> Ledger:
        """Take up a file; which of its rows are written already."""
        known = self.version(path)
        cursor_id = CursorId(f"{self._fingerprint}/{path}", version.stream, version)
        if known is None or known.stream != version.stream:
            self._cursors.pop(cursor_id.key, None)
        async with self._reading:
            ends = await asyncio.to_thread(self._journal.settled_ends, self._topics())
            self._sink.advance(ends)
            state = await asyncio.to_thread(self._ledgers, cursor_id, ends)
        # Until now a moment to be remembered was one of the file before.
        self._cursor_id = cursor_id
        return state[""]

    def end(self, ledger: Ledger) -> None:
        """Remember that a file is complete, all of which is acknowledged."""
        if self._cursor_id.version:
            self._cursor_id.version.complete = True
            self._sink.complete()
            self._write(self._cursor_id, {"": ledger}, self._sink.offsets)

    # What is written down.

    def mark(self, session: Session, spill: Spill | None, *, last: bool = False) -> None:
        """Remember where the feed stands now, to be written once all of it is acknowledged."""
        large = len(session.keyed) > MANY_KEYS
        early = large and time.monotonic() - self._written < LOOK
        if self._sink.holds_back or (early and not last):
            return
        spent = spill.spent() if spill else []
        if spent or self._sink.has_news:
            state = {key: ledger.copy() for key, ledger in session.ledgers.items()}
            self._sink.mark((self._cursor_id, state), spent)

    def settle(self, spill: Spill | None) -> bool:
        """Write the newest moment that is acknowledged, if there is one."""
        done = self._sink.complete()
        if done is None:
            return False
        cursor_id, state = done.state
        self._write(cursor_id, state, done.offsets)
        if spill:
            spill.release(done.spent)
        return True

    def _write(self, cursor_id: CursorId, state: State, offsets: Offsets) -> None:
        one = state.get("", Ledger())
        keys = {
            key: KeyPosition(ledger.high, ledger.low, ledger.gaps)
            for key, ledger in state.items()
            if key and ledger.high is not None
        }
        cursor = Cursor(one.high, offsets, one.gaps, one.low, keys, cursor_id.version)
        self._cursors[cursor_id.key] = cursor
        self._written = time.monotonic()
        self._sink.put(self._config.cursor_topic, cursor_id.key, msgspec.json.encode(cursor))

    async def look(self) -> None:
        """See from time to time where the topics end, so that a restart need not read much."""
        produced = self._sink.lanes.produced
        is_early = time.monotonic() - self._looked < LOOK
        if is_early or produced == self._looked_at or self._reading.locked():
            return
        self._looked, self._looked_at = time.monotonic(), produced
        async with self._reading:
            try:
                ends = await asyncio.to_thread(self._journal.ends, self._topics())
            except KafkaException:
                return
        self._sink.advance(ends)


def _resumed(position: KeyPosition | None, later: set[int], now: int) -> Ledger:
    """The ledger to go on from; events of before it have times of before `now`."""
    ledger = _ledger(position, later, now)
    ledger.newest = from_micros(now)
    return ledger


def _ledger(position: KeyPosition | None, later: set[int], now: int) -> Ledger:
    if position is None:
        if not later:
            return Ledger()
        first = min(later)
        return resumed(first - 1, [], later, now, low=first)
    return resumed(position.high, position.gaps, later, now, position.low)
