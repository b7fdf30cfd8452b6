"""Records to Kafka: idempotent, every one acknowledged, bounded while it is under way."""

import logging
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from tapehouse_tape.events import Reason

from tapehouse_feed.continuity import Ledger
from tapehouse_feed.cursor import Offsets
from tapehouse_feed.metrics import Latency
from tapehouse_feed.session import Headers

MAX_IN_FLIGHT = 20_000
"""Unacknowledged records at which reading stops; it goes on at half of that."""
MAX_KILOBYTES = 128 * 1024
MAX_MESSAGE = 16 * 1024 * 1024
CUT = 900_000
"""What a dead letter is cut to when its topic takes no larger record."""
SAMPLE = 32
"""Every so many records one is asked when and where it arrived."""

log = logging.getLogger("tapehouse.bridge")


class DeliveryError(Exception):
    """Kafka refused a record for good."""


class Epoch:
    """The records between two marks."""

    __slots__ = ("acked", "ends", "ledger", "produced", "report", "sink")

    def __init__(self, sink: "Sink", ends: Offsets) -> None:
        self.sink = sink
        self.produced = 0
        self.acked = 0
        self.ends = ends
        """Every record of a later epoch gets an offset of at least these."""
        self.report = self.delivered
        self.ledger: Ledger | None = None
        """The ledger when the epoch ended."""

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """The delivery report of one record."""
        if error is None:
            self.acked += 1
        else:
            self.sink.failed(self, error, message)

    def sampled(self, began: float, error: KafkaError | None, message: Message) -> None:
        """The delivery report of one record in `SAMPLE`; it came in at `began`, UNIX seconds."""
        self.delivered(error, message)
        if error is None:
            self.sink.sample(began, message)


class Sink:
    """The producer of one bridge, and which of its records are acknowledged."""

    def __init__(
        self, client: Mapping[str, Any], dead_letter_topic: str, feed: str, latency: Latency
    ) -> None:
        self._producer = Producer(
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
            }
        )
        self._produce = self._producer.produce
        self._dead_letters = dead_letter_topic
        self._feed = feed
        self._latency = latency
        self._ends: Offsets = {}
        self._epoch = Epoch(self, {})
        self._closed: deque[Epoch] = deque()
        self._waiting: deque[tuple[str, bytes | None, bytes, Headers, int]] = deque()
        self._acked = 0
        self.failure: DeliveryError | None = None

    def start(self, ends: Offsets) -> None:
        """Begin the first epoch; `ends` are the topics' ends before anything is written."""
        self._ends = {topic: dict(partitions) for topic, partitions in ends.items()}

    def write(
        self, topic: str, key: bytes | None, value: bytes, headers: Headers, now: int
    ) -> None:
        """Send one record stamped `now` (µs since 1970), or hold it until there is room."""
        epoch = self._epoch
        epoch.produced += 1
        if self._waiting:
            self._waiting.append((topic, key, value, headers, now))
            return
        report = epoch.report
        if epoch.produced % SAMPLE == 0:
            report = partial(epoch.sampled, now / 1e6)
        try:
            self._produce(topic, value, key, -1, report, None, now // 1000, headers)
        except BufferError:
            self._waiting.append((topic, key, value, headers, now))

    def poll(self) -> None:
        """Take delivery reports, then send what waits for room."""
        self._producer.poll(0)
        while self._waiting:
            try:
                topic, key, value, headers, now = self._waiting[0]
                report = self._epoch.report
                self._produce(topic, value, key, -1, report, None, now // 1000, headers)
            except BufferError:
                return
            self._waiting.popleft()

    @property
    def in_flight(self) -> int:
        """Records written and not acknowledged."""
        return sum(epoch.produced - epoch.acked for epoch in (*self._closed, self._epoch))

    @property
    def acked(self) -> int:
        """Records acknowledged since the start."""
        return self._acked + sum(epoch.acked for epoch in (*self._closed, self._epoch))

    @property
    def is_full(self) -> bool:
        """Whether reading must stop."""
        return bool(self._waiting) or self.in_flight >= MAX_IN_FLIGHT

    @property
    def has_room(self) -> bool:
        """Whether reading may go on after it stopped."""
        return not self._waiting and self.in_flight <= MAX_IN_FLIGHT // 2

    def mark(self, ledger: Ledger) -> None:
        """End the epoch here: what it holds is everything `ledger` has seen so far.

        Records that wait for room are not in an epoch's reports yet, so nothing is marked then.
        """
        if self._waiting or not self._epoch.produced:
            return
        self._epoch.ledger = ledger.copy()
        self._closed.append(self._epoch)
        ends = {topic: dict(partitions) for topic, partitions in self._ends.items()}
        self._epoch = Epoch(self, ends)

    def complete(self) -> tuple[Ledger, Offsets] | None:
        """The newest mark up to which all is acknowledged, once, with offsets to look from."""
        reached: Ledger | None = None
        while self._closed and self._closed[0].acked == self._closed[0].produced:
            epoch = self._closed.popleft()
            self._acked += epoch.acked
            reached = epoch.ledger
        if reached is None:
            return None
        following = self._closed[0] if self._closed else self._epoch
        return reached, following.ends

    def sample(self, began: float, message: Message) -> None:
        """Learn how long a record took and where its partition is at least."""
        self._latency.observe(began)
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if topic is not None and partition is not None and offset is not None:
            partitions = self._ends.setdefault(topic, {})
            partitions[str(partition)] = max(partitions.get(str(partition), 0), offset + 1)

    def failed(self, epoch: Epoch, error: KafkaError, message: Message) -> None:
        """A record that will never arrive: too large is a dead letter, all else ends the bridge."""
        value, topic = message.value() or b"", message.topic()
        if error.code() != KafkaError.MSG_SIZE_TOO_LARGE or len(value) <= CUT:
            self.failure = self.failure or DeliveryError(f"{topic}: {error.str()}")
            return
        log.error("record larger than its topic takes", extra={"topic": topic, "size": len(value)})
        headers: Headers = [
            ("reason", Reason.TOO_LARGE.value),
            ("detail", f"{topic} takes no record of {len(value)} bytes: {error.str()}"),
            ("feed", self._feed),
        ]
        if topic == self._dead_letters:
            headers.append(("truncated", str(len(value))))
            value = value[:CUT]
        self._producer.produce(
            self._dead_letters, value, on_delivery=epoch.delivered, headers=headers
        )

    def put(self, topic: str, key: str, value: bytes) -> None:
        """Write a cursor; a lost one is made good by the next."""
        try:
            self._producer.produce(topic, value, key)
        except (BufferError, KafkaException) as error:
            log.warning("cursor not written", extra={"error": str(error)})

    def flush(self, timeout: float) -> int:
        """Wait until everything is acknowledged; how many are not after `timeout` seconds."""
        left = self._producer.flush(timeout)
        self.poll()
        return left + len(self._waiting)
