"""Records to Kafka: idempotent, every one acknowledged, bounded while it is under way."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from tapehouse_tape.events import Reason

from tapehouse_feed import logs
from tapehouse_feed.actions import Headers, Value
from tapehouse_feed.cursor import Offsets
from tapehouse_feed.metrics import Latency
from tapehouse_feed.partitions import Lanes, reached

MAX_IN_FLIGHT = 20_000
"""Unacknowledged records at which reading stops; it goes on at half of that."""
MAX_KILOBYTES = 128 * 1024
MAX_MESSAGE = 16 * 1024 * 1024
CUT = 900_000
"""What a dead letter is cut to when its topic takes no larger record."""
STATISTICS = 500
"""Milliseconds between the producer's statistics, which say what is acknowledged."""

log = logging.getLogger("tapehouse.bridge")


class DeliveryError(Exception):
    """Kafka refused a record for good."""


class _Partition(msgspec.Struct):
    acked_msgid: int = 0


class _Topic(msgspec.Struct):
    partitions: dict[int, _Partition] = {}


class _Account(msgspec.Struct):
    """What of librdkafka's statistics counts here: the number of records each partition has
    acknowledged, in the order they were produced."""

    topics: dict[str, _Topic] = {}


_account = msgspec.json.Decoder(_Account, strict=False)


class Mark(msgspec.Struct):
    """A moment: what had been produced by then, and what will be true once it is acknowledged."""

    counts: dict[str, list[int]]
    state: Any
    """The caller's: where the feed stood."""
    offsets: Offsets
    """Every record produced later gets an offset of at least these."""
    spent: list[Path]
    """Files that are not needed any more then."""


class Sink:
    """The producer of one bridge, and which of its records are acknowledged.

    A delivery report costs as much as producing the record, so none is asked for but of failures:
    what is acknowledged is known from the producer's own counts, twice a second.
    """

    def __init__(
        self,
        client: Mapping[str, Any],
        dead_letter_topic: str,
        feed: str,
        latency: Latency,
        make_producer: Callable[..., Producer] = Producer,
    ) -> None:
        self._producer = make_producer(
            {
                "linger.ms": 5,
                "compression.type": "lz4",
                **client,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "message.timeout.ms": 0,
                "message.max.bytes": MAX_MESSAGE,
                "queue.buffering.max.messages": 5 * MAX_IN_FLIGHT,
                "queue.buffering.max.kbytes": MAX_KILOBYTES,
                "delivery.report.only.error": True,
                "statistics.interval.ms": STATISTICS,
                "stats_cb": self._take_statistics,
            },
            logger=logs.KAFKA,
        )
        # Looked up once instead of for every record.
        self._produce, self._report = self._producer.produce, self._failed
        self._dead_letters = dead_letter_topic
        self._feed = feed
        self._latency = latency
        self.lanes = Lanes({})
        self._lanes = self.lanes.by_topic
        self.offsets: Offsets = {}
        """Ends that the topics have reached: whatever is produced from now on lies beyond."""
        self._acked: dict[str, dict[int, int]] = {}
        self._marks: deque[Mark] = deque()
        self._marked = 0
        self._refused = 0
        self._waiting: deque[tuple[str, bytes | None, Value, Headers, int]] = deque()
        self._batches: deque[tuple[int, int, float]] = deque()
        """Records produced up to and in each batch, and when it came in, UNIX seconds."""
        self._batched = 0
        self.failure: DeliveryError | None = None

    def start(self, ends: Offsets) -> None:
        """Get ready to write to the topics of `ends`: their ends before anything is written."""
        self.lanes = Lanes(ends)
        self._lanes = self.lanes.by_topic
        self.advance(ends)

    def advance(self, ends: Offsets) -> None:
        """Take note of ends that the topics have reached."""
        self.offsets = ends

    def write(
        self, topic: str, key: bytes | None, value: Value, headers: Headers, now: int
    ) -> None:
        """Send one record stamped `now` (µs since 1970), or hold it until there is room."""
        if self._waiting:
            self._waiting.append((topic, key, value, headers, now))
            return
        lane = self._lanes[topic]
        partition = lane.known.get(key)  # type: ignore[arg-type]
        if partition is None:
            partition = lane.assign(key)
        try:
            self._produce(topic, value, key, partition, self._report, None, now // 1000, headers)
            lane.counts[partition] += 1
        except BufferError:
            self._waiting.append((topic, key, value, headers, now))

    def batch(self, began: int) -> None:
        """What was written since the last call came in at `began`, µs since 1970."""
        produced = self.lanes.produced
        if produced > self._batched:
            self._batches.append((produced, produced - self._batched, began / 1e6))
            self._batched = produced

    def poll(self) -> None:
        """Take reports, then send what waits for room."""
        self._producer.poll(0)
        waiting, self._waiting = self._waiting, deque()
        while waiting and not self._waiting:
            self.write(*waiting.popleft())
        self._waiting.extend(waiting)
        if self._batches:
            self._observe()

    def _observe(self) -> None:
        """Count how long the batches took that are acknowledged by now."""
        acked, now = self.acked, time.time()
        while self._batches and self._batches[0][0] <= acked:
            _, records, began = self._batches.popleft()
            self._latency.observe(now - began, records)

    @property
    def in_flight(self) -> int:
        """Records written and not acknowledged."""
        return len(self._producer) + len(self._waiting)

    @property
    def acked(self) -> int:
        """Records acknowledged since the start."""
        return max(0, self.lanes.produced - self._refused - len(self._producer))

    @property
    def is_full(self) -> bool:
        """Whether reading must stop."""
        return bool(self._waiting) or len(self._producer) >= MAX_IN_FLIGHT

    @property
    def has_room(self) -> bool:
        """Whether reading may go on after it stopped."""
        return not self._waiting and len(self._producer) <= MAX_IN_FLIGHT // 2

    @property
    def holds_back(self) -> bool:
        """Whether records wait for room: seen by the session, but not produced."""
        return bool(self._waiting)

    @property
    def has_news(self) -> bool:
        """Whether anything was produced since the last mark."""
        return self.lanes.produced > self._marked

    def mark(self, state: Any, spent: list[Path]) -> None:
        """Remember this moment until everything produced so far is acknowledged.

        Not while records are held back, for `state` knows of them.
        """
        self._marked = self.lanes.produced
        self._marks.append(Mark(self.lanes.counts(), state, self.offsets, spent))

    def complete(self) -> Mark | None:
        """The newest mark up to which all is acknowledged, once."""
        done: Mark | None = None
        spent: list[Path] = []
        idle = self.in_flight == 0
        while self._marks and (idle or reached(self._marks[0].counts, self._acked)):
            done = self._marks.popleft()
            spent += done.spent
        return msgspec.structs.replace(done, spent=spent) if done else None

    def _take_statistics(self, statistics: str) -> None:
        """Take the producer's account of what is acknowledged."""
        for name, topic in _account.decode(statistics).topics.items():
            self._acked[name] = {
                number: partition.acked_msgid for number, partition in topic.partitions.items()
            }

    def _failed(self, error: KafkaError | None, message: Message) -> None:
        """A record that will never arrive: too large is a dead letter, all else ends the bridge."""
        if error is None:
            return
        value, topic = message.value() or b"", message.topic()
        if error.code() != KafkaError.MSG_SIZE_TOO_LARGE or len(value) <= CUT:
            self.failure = self.failure or DeliveryError(f"{topic}: {error.str()}")
            return
        self._refused += 1
        log.error("record larger than its topic takes", extra={"topic": topic, "size": len(value)})
        headers: Headers = [
            ("reason", Reason.TOO_LARGE.value),
            ("detail", f"{topic} takes no record of {len(value)} bytes: {error.str()}"),
            ("feed", self._feed),
        ]
        if topic == self._dead_letters:
            headers.append(("truncated", str(len(value))))
            value = value[:CUT]
        self.write(self._dead_letters, None, value, headers, time.time_ns() // 1000)
        for mark in self._marks:
            # What held the record holds its letter now.
            mark.counts[self._dead_letters] = list(self.lanes.by_topic[self._dead_letters].counts)

    def put(self, topic: str, key: str, value: bytes) -> None:
        """Write a cursor; a lost one is made good by the next."""
        try:
            self._producer.produce(topic, value, key)
        except (BufferError, KafkaException) as error:
            log.warning("cursor not written", extra={"error": str(error)})

    def flush(self, timeout: float) -> int:
        """Wait until everything is acknowledged; how many are not after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        self._producer.flush(timeout)
        self.poll()
        # What waited for room has been produced only now.
        while self.in_flight and (left := deadline - time.monotonic()) > 0:
            self._producer.flush(left)
            self.poll()
        return self.in_flight
