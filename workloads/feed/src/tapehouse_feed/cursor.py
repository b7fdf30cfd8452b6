"""A feed's cursor: read from Kafka at the start, so that a crash loses and repeats nothing."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from tapehouse_feed import logs
from tapehouse_feed.config import FilesSource, SimulatorSource, Source, WebSocketSource
from tapehouse_feed.continuity import Gap
from tapehouse_feed.frames import keyed_trace

Offsets = dict[str, dict[str, int]]
STREAM = 16
"""Digits of the fingerprint that trace ids begin with."""
SETTLE = 0.3
"""Seconds without growth after which nothing of a killed predecessor is under way any more."""

log = logging.getLogger("tapehouse.bridge")


class Version(msgspec.Struct):
    """What a file was when it was read: `digest` is of its first `size` bytes."""

    size: int
    digest: str
    stream: str
    complete: bool = False


class KeyPosition(msgspec.Struct, array_like=True):
    """Of one key: every number from `low` to `high` is acknowledged but those in `gaps`."""

    high: int
    low: int
    gaps: list[Gap]


class Cursor(msgspec.Struct, omit_defaults=True):
    """Everything from `low` up to `sequence` but `gaps` is acknowledged.

    Later events, where there are any, lie at `offsets` or beyond. `sequence` is None before the
    first event, and where numbers count per key: see `keys` then.
    """

    sequence: int | None
    offsets: Offsets
    gaps: list[Gap] = []
    low: int = 0
    keys: dict[str, KeyPosition] = {}
    file: Version | None = None
    """What was read, where the source is files: each has a cursor of its own."""


def fingerprint(source: Source) -> str:
    """What makes a source's sequence this one: 64 hexadecimal digits; never the rate."""
    match source:
        case SimulatorSource():
            identity: Any = ["simulator", source.seed, *source.symbols]
        case WebSocketSource():
            identity = ["websocket", source.url]
        case FilesSource():
            identity = ["files", source.path, source.format]
    return hashlib.sha256(msgspec.json.encode(identity)).hexdigest()


class Journal:
    """Reads cursors and tails with one consumer; blocking, for the start only."""

    def __init__(
        self,
        client: Mapping[str, Any],
        feed: str,
        make_consumer: Callable[..., Consumer] = Consumer,
    ) -> None:
        self._consumer = make_consumer(
            {
                **client,
                "group.id": f"{feed}-feed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
            },
            logger=logs.KAFKA,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def absent(self, topics: Iterable[str], timeout: float) -> list[str]:
        """Those of `topics` that are not there or not visible to this user.

        Raises `KafkaException` when no broker answers within `timeout` seconds.
        """
        known = self._consumer.list_topics(timeout=timeout).topics
        return [topic for topic in topics if topic not in known or known[topic].error]

    def ends(self, topics: Iterable[str]) -> Offsets:
        """The offsets the next records will get."""
        self._consumer.poll(0)  # what the client has to log is handed over here
        ends: Offsets = {}
        for topic in topics:
            partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
            ends[topic] = {str(p): self._bounds(topic, p)[1] for p in sorted(partitions)}
        return ends

    def settled_ends(self, topics: Iterable[str], patience: float = 10.0) -> Offsets:
        """The ends once they have stopped growing, or as they are after `patience` seconds.

        By then nothing of a killed predecessor is under way: what still grows is of another writer.
        """
        names = list(topics)
        ends = self.ends(names)
        late = time.monotonic() + patience
        while True:
            time.sleep(SETTLE)
            again = self.ends(names)
            if again == ends or time.monotonic() > late:
                return again
            ends = again

    def cursors(self, topic: str, key: str) -> dict[str, Cursor]:
        """The newest cursors under `key`, and under `key/…` those of files."""
        found: dict[str, Cursor] = {}
        for message in self.records(topic):
            name = header(message.key())
            if name == key or name.startswith(f"{key}/"):
                cursor = _decode(message.value() or b"")
                if cursor is not None:
                    found[name] = cursor
        return found

    def records(self, topic: str) -> Iterable[Message]:
        """Everything in a topic now."""
        return self.between({}, self.ends([topic]))

    def later(
        self, cursor: Cursor, ends: Offsets, stream: str, optional: str
    ) -> dict[str, set[int]]:
        """The numbers of this stream written from the cursor's offsets to `ends`, by key.

        Those of a feed that counts as one have the key ``""``. Raises `KafkaException` when a
        topic but `optional` cannot be read.
        """
        found: dict[str, set[int]] = {}
        must = {topic: partitions for topic, partitions in ends.items() if topic != optional}
        self._numbers(cursor.offsets, must, stream, found)
        try:
            may = {topic: partitions for topic, partitions in ends.items() if topic == optional}
            self._numbers(cursor.offsets, may, stream, found)
        except KafkaException as error:
            extra = {"topic": optional, "error": error.args[0].str()}
            log.warning("not readable: a crash may repeat its last records", extra=extra)
        return found

    def _numbers(
        self, starts: Offsets, ends: Offsets, stream: str, found: dict[str, set[int]]
    ) -> None:
        for message in self.between(starts, ends):
            headers = dict(message.headers() or ())
            trace, number = header(headers.get("trace_id")), header(headers.get("seq"))
            if not number.isdecimal():
                continue
            key = header(message.key()) or header(headers.get("key"))
            if trace.startswith(stream):
                found.setdefault("", set()).add(int(number))
            elif trace == keyed_trace(stream.encode(), key, int(number)).decode():
                found.setdefault(key, set()).add(int(number))

    def _bounds(self, topic: str, partition: int) -> tuple[int, int]:
        low, high = self._consumer.get_watermark_offsets(
            TopicPartition(topic, partition), timeout=10
        )
        return low, high

    def between(self, starts: Offsets, ends: Offsets) -> Iterable[Message]:
        """Every record from `starts` up to `ends`, in order within each partition."""
        left: dict[tuple[str | None, int | None], int] = {}
        assigned = []
        for topic, partitions in ends.items():
            for number, end in partitions.items():
                low, _ = self._bounds(topic, int(number))
                start = max(low, starts.get(topic, {}).get(number, 0))
                if start < end:
                    left[topic, int(number)] = end
                    assigned.append(TopicPartition(topic, int(number), start))
        self._consumer.assign(assigned)
        while left:
            for message in self._consumer.consume(10_000, timeout=0.1):
                partition = message.topic(), message.partition()
                if _is_end(message):
                    left.pop(partition, None)
                elif partition in left:
                    # The end of a compacted topic may be a hole: then only the mark shows it.
                    yield message
                    if (message.offset() or 0) + 1 >= left[partition]:
                        del left[partition]
        self._consumer.unassign()


def _is_end(message: Message) -> bool:
    """Whether it is a mark that a partition has been read to its end.

    Raises `KafkaException` for any other error.
    """
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    raise KafkaException(error)


def header(value: str | bytes | None) -> str:
    """A header or a key as text; empty where there is none."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""


def _decode(value: bytes) -> Cursor | None:
    try:
        return msgspec.json.decode(value, type=Cursor)
    except msgspec.DecodeError as error:
        log.error("unreadable cursor ignored", extra={"error": str(error)})
        return None
