"""Kafka's clients without a broker: small, and as strict as the real ones where it matters."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError


class Message:
    """A record as a consumer gives it, or as a delivery report names it."""

    def __init__(
        self,
        topic: str,
        value: bytes = b"",
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        *,
        partition: int = 0,
        offset: int = 0,
        error: KafkaError | None = None,
    ) -> None:
        self.locate(topic, partition, offset)
        self.value = lambda: value
        self.key = lambda: key
        self.headers = lambda: headers
        self.error = lambda: error

    def locate(self, topic: str, partition: int, offset: int) -> None:
        """Say where it is."""
        self.topic = lambda: topic
        self.partition = lambda: partition
        self.offset = lambda: offset


class Producer:
    """Takes `room` records; acknowledges and refuses when the test says so."""

    def __init__(self, settings: dict[str, Any], **_: Any) -> None:
        self._statistics: Callable[[str], None] = settings["stats_cb"]
        self.room = 1_000
        self.sent: list[tuple[str, bytes, bytes | None, int | None]] = []
        self._waiting: list[Callable[..., None] | None] = []
        self._acked: dict[str, dict[int, int]] = {}
        self._reports: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def produce(
        self,
        topic: str,
        value: bytes,
        key: bytes | None = None,
        partition: int | None = None,
        report: Callable[..., None] | None = None,
        *_: Any,
    ) -> None:
        if len(self._waiting) >= self.room:
            raise BufferError("Local: Queue full")
        self.sent.append((topic, bytes(value), key, partition))
        self._waiting.append(report)

    def acknowledge(self, count: int | None = None) -> None:
        """Acknowledge the oldest records, or all; the next poll says so."""
        taken = self.sent[len(self.sent) - len(self._waiting) :][:count]
        del self._waiting[: len(taken)]
        for topic, _, _, partition in taken:
            counts = self._acked.setdefault(topic, {})
            counts[partition or 0] = counts.get(partition or 0, 0) + 1
        topics = {
            topic: {"partitions": {str(p): {"acked_msgid": n} for p, n in counts.items()}}
            for topic, counts in self._acked.items()
        }
        self._reports.append(lambda: self._statistics(json.dumps({"topics": topics})))

    def refuse(self, code: int) -> None:
        """Refuse the oldest record for good."""
        topic, value, key, partition = self.sent[len(self.sent) - len(self._waiting)]
        report = self._waiting.pop(0)
        message = Message(topic, value, key, partition=partition or 0)
        self._reports.append(lambda: report and report(KafkaError(code), message))

    def poll(self, _: float) -> int:
        reports, self._reports = self._reports, []
        for report in reports:
            report()
        return len(reports)

    def flush(self, _: float) -> int:
        self.acknowledge()
        return self.poll(0)


class Consumer:
    """Reads `records`, by topic and partition; the offset is the index."""

    def __init__(self, records: dict[tuple[str, int], list[Message]]) -> None:
        self._records = records
        for (topic, partition), found in records.items():
            for offset, message in enumerate(found):
                message.locate(topic, partition, offset)
        self._assigned: list[Any] = []
        self.unreadable: KafkaError | None = None

    def list_topics(self, topic: str = "", timeout: float = 0) -> Any:
        topics: dict[str, Any] = {}
        for name, partition in self._records:
            topics.setdefault(name, SimpleNamespace(partitions={}, error=None))
            topics[name].partitions[partition] = None
        return SimpleNamespace(topics=topics)

    def get_watermark_offsets(self, at: Any, timeout: float = 0) -> tuple[int, int]:
        return 0, len(self._records[at.topic, at.partition])

    def assign(self, partitions: list[Any]) -> None:
        self._assigned = list(partitions)

    def unassign(self) -> None:
        self._assigned = []

    def consume(self, _: int, timeout: float = 0) -> list[Message]:
        found = []
        for at in self._assigned:
            records = self._records[at.topic, at.partition]
            found += records[at.offset :]
            code = self.unreadable or KafkaError(KafkaError._PARTITION_EOF)
            found.append(Message(at.topic, partition=at.partition, error=code))
        self._assigned = []
        return found

    def poll(self, _: float) -> None: ...

    def close(self) -> None: ...
