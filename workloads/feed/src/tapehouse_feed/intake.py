"""The path of a frame: from the source, by way of the disk if need be, to Kafka."""

import asyncio
import logging
import time
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Protocol

from tapehouse_tape.events import Invalid

from tapehouse_feed.actions import Action, DeadLetter, Deliver, Headers, Skip, Value
from tapehouse_feed.cursor import header
from tapehouse_feed.market import Market
from tapehouse_feed.session import Session
from tapehouse_feed.sink import Sink
from tapehouse_feed.spill import Spill, SpillFull

POLL = 0.01
"""Seconds between looks at delivery reports while records are under way."""
POLL_EVERY = 500
"""Frames after which reports are taken in the middle of a burst."""
DRAIN = 500
"""Frames taken from the disk at a time."""

log = logging.getLogger("tapehouse.bridge")


class Pausable(Protocol):
    """A source that can be paused."""

    def pause(self) -> None:
        """Stop reading, so that the source feels it."""

    def resume(self) -> None:
        """Read again."""


class Intake:
    """Takes what a source brings as fast as Kafka takes it.

    While Kafka takes nothing, frames wait on disk where that is declared; elsewhere, and once the
    disk is full, nothing more is read. What lies on disk is older than what the source brings, so
    everything goes by way of the disk until it is empty: order is kept.
    """

    def __init__(
        self,
        session: Session,
        sink: Sink,
        dead_letters: str,
        market: Market,
        spill: Spill | None = None,
    ) -> None:
        self.session = session
        self._source: Pausable | None = None
        self.spill = spill
        self._sink = sink
        self._dead_letters = dead_letters
        self._market = market
        self._halts = market.halt_topics
        self.write = self._write_watched if self._halts else sink.write
        self._held: list[tuple[Sequence[bytes], int]] = []
        """What was read before the source could be stopped, and finds no room on the disk."""
        self._polling: asyncio.TimerHandle | None = None
        self._since_poll = 0
        self.paused_since = 0.0
        """When reading was stopped, UNIX seconds; 0 while it goes on."""
        self.full = ""
        """Why nothing more can wait on disk, empty while it can."""
        self.last_frame = 0
        """When a frame came last, µs since 1970."""

    @property
    def waiting(self) -> int:
        """Frames on their way that are not produced yet."""
        return (self.spill.frames if self.spill else 0) + sum(len(f) for f, _ in self._held)

    def receive(self, frames: Sequence[bytes], now: int) -> None:
        """Take frames read together at `now`, µs since 1970."""
        self.last_frame = now
        if self._held or (self.spill and (self.spill.frames or self._sink.is_full)):
            self._set_aside(frames, now)
        else:
            self._write(frames, now)
        self._since_poll += len(frames)
        self._soon()

    def receive_row(
        self, frame: bytes | Invalid, number: int, original: bytes, now: int
    ) -> list[Action]:
        """Take row `number` of a file."""
        actions = self.session.receive_row(frame, number, original, now)
        for action in actions:
            if isinstance(action, Deliver):
                self.write(action.topic, action.key, action.value, action.headers, now)
            elif isinstance(action, DeadLetter):
                self.dead_letter(action, now)
        self.last_frame = now
        self._since_poll += 1
        self._soon()
        return actions

    def _soon(self) -> None:
        if self._since_poll >= POLL_EVERY:
            self.poll()
        elif self._polling is None:
            self._polling = asyncio.get_running_loop().call_later(POLL, self.poll)

    def _write(self, frames: Sequence[bytes], now: int) -> None:
        self.session.receive_all(frames, now, self)
        self._sink.batch(now)

    # What the session hands on: see `actions.Output`.

    def _write_watched(
        self, topic: str, key: bytes, value: Value, headers: Headers, now: int
    ) -> None:
        if topic in self._halts:
            self._market.saw(header(headers[0][1]), key)
        self._sink.write(topic, key, value, headers, now)

    def dead_letter(self, letter: DeadLetter, now: int) -> None:
        """Write a dead letter, and log why it is one."""
        self._sink.write(self._dead_letters, None, letter.value, letter.headers, now)
        _report(letter)

    def skip(self, skip: Skip) -> None:
        """Nothing to write: the session counts it."""

    def _set_aside(self, frames: Sequence[bytes], now: int) -> None:
        """Let frames wait on disk, as many as there is room for, and stop reading for the rest."""
        if self.spill and not self._held:
            try:
                self.spill.append(frames, now)
            except SpillFull as full:
                if half := len(frames) // 2:
                    self._set_aside(frames[:half], now)
                    self._set_aside(frames[half:], now)
                    return
                self.full = str(full)
                log.error("no more can wait on disk: reading stops", extra={"error": self.full})
            else:
                return
        self._held.append((frames, now))
        self._pause()

    def poll(self) -> None:
        """Take reports; stop or resume reading by what is under way."""
        self._since_poll = 0
        if self._polling:
            self._polling.cancel()
            self._polling = None
        sink = self._sink
        sink.batch(self.last_frame)
        sink.poll()
        if self.waiting:
            self._drain()
        if not self.spill and sink.is_full:
            self._pause()
        elif self.paused_since and not self.waiting and sink.has_room:
            self._resume()
        if sink.in_flight or self.waiting:
            # What waits and could go on goes on as soon as others have had their turn.
            pause = 0.0 if self.waiting and sink.has_room else POLL
            self._polling = asyncio.get_running_loop().call_later(pause, self.poll)

    def _drain(self) -> None:
        """Write what waits, oldest first, while there is room."""
        deadline = time.monotonic() + POLL
        while self.waiting and self._sink.has_room and time.monotonic() < deadline:
            if self.spill and self.spill.frames:
                for now, taken in groupby(self.spill.take(DRAIN), key=itemgetter(1)):
                    self._write([frame for frame, _ in taken], now)
            else:
                frames, now = self._held.pop(0)
                self._write(frames, now)
            self._sink.poll()

    def _pause(self) -> None:
        if self._source and not self.paused_since:
            self.paused_since = time.time()
            self._source.pause()

    def _resume(self) -> None:
        self.paused_since, self.full = 0.0, ""
        if self._source:
            self._source.resume()

    def start(self, source: Pausable) -> None:
        """Take from `source`, after what an earlier process left on disk."""
        self._source = source
        if self.waiting:
            self.poll()

    def stop(self) -> None:
        """Take no more reports by itself."""
        if self._polling:
            self._polling.cancel()
            self._polling = None


def _report(letter: DeadLetter) -> None:
    log.warning(
        "dead letter",
        extra={
            "reason": letter.reason.value,
            "detail": letter.detail[:200],
            "trace_id": letter.trace_id.decode(),
            "size": len(letter.value),
        },
    )
