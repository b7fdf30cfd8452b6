"""One Kafka consumer for all subscribers: assigned, from the end, without committed offsets."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from tapehouse_query import metrics

log = logging.getLogger(__name__)

E = TypeVar("E")

_REFRESH = 30.0
"""Seconds between checks for new partitions, or for a preferred topic."""
_BATCH = 1000


class LiveTopic(Generic[E]):
    """Reads the first of `topics` that exists, in a thread, and delivers decoded batches.

    `deliver` is called in that thread. Records that cannot be decoded are skipped; the job sends
    them to the dead-letter topic. `config` returns librdkafka settings and is called again when the
    broker has moved.
    """

    def __init__(
        self,
        config: Callable[[], Mapping[str, str] | None],
        topics: Sequence[str],
        kind: type[E],
        deliver: Callable[[list[E]], None],
    ) -> None:
        self._config = config
        self._topics = topics
        self._decode = msgspec.json.Decoder(kind).decode
        self._deliver = deliver
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"live {topics[0]}", daemon=True)
        self.connected = False
        """Whether partitions are assigned."""
        self.received = 0
        """Events since the start."""

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def close(self) -> None:
        """Stop reading and wait for the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._consume()
            except Exception as error:
                log.warning("live events of %s: %s", self._topics[0], error)
            self.connected = False
            self._stop.wait(5)

    def _consume(self) -> None:
        settings = self._config()
        if settings is None:
            return
        consumer = Consumer(
            {
                "group.id": "query",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "latest",
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 16384,
                "error_cb": lambda error: log.info("broker: %s", error),
                "logger": log,
                **settings,
            }
        )
        try:
            self._follow(consumer)
        finally:
            consumer.close()

    def _follow(self, consumer: Consumer) -> None:
        assigned: frozenset[tuple[str, int]] = frozenset()
        next_check = 0.0
        while not self._stop.is_set():
            if time.monotonic() >= next_check:
                wanted = self._partitions(consumer)
                if wanted != assigned:
                    _assign(consumer, wanted, assigned)
                    assigned = wanted
                self.connected = bool(assigned)
                next_check = time.monotonic() + (_REFRESH if assigned else 2.0)
            if assigned:
                self._deliver_batch(consumer.consume(_BATCH, timeout=0.25))
            else:
                self._stop.wait(0.5)

    def _partitions(self, consumer: Consumer) -> frozenset[tuple[str, int]]:
        known = consumer.list_topics(timeout=10).topics
        for topic in self._topics:
            if topic in known and not known[topic].error:
                return frozenset((topic, number) for number in known[topic].partitions)
        return frozenset()

    def _deliver_batch(self, messages: Sequence[Message]) -> None:
        events = [event for message in messages if (event := self._event(message)) is not None]
        if events:
            self.received += len(events)
            metrics.LIVE.labels(str(messages[0].topic())).inc(len(events))
            self._deliver(events)

    def _event(self, message: Message) -> E | None:
        if error := message.error():
            if error.fatal():
                raise KafkaException(error)
            return None
        value = message.value()
        try:
            return self._decode(value) if value else None
        except msgspec.MsgspecError:
            return None


def _assign(
    consumer: Consumer,
    wanted: frozenset[tuple[str, int]],
    assigned: frozenset[tuple[str, int]],
) -> None:
    """Keep the positions of assigned partitions; start new ones at their current end.

    The end is requested here: the consumer would resolve it some time later and miss the records
    produced in between.
    """
    kept = consumer.position([TopicPartition(*p) for p in wanted & assigned])
    consumer.assign(
        [p if p.offset >= 0 else _end(consumer, p.topic, p.partition) for p in kept]
        + [_end(consumer, *p) for p in wanted - assigned]
    )


def _end(consumer: Consumer, topic: str, partition: int) -> TopicPartition:
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
    return TopicPartition(topic, partition, end)
