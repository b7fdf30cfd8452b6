"""Strimzi's KafkaTopic and KafkaUser, as its `v1` API has them (1.0 and later)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tapehouse_operator.emit.core import Manifest
from tapehouse_operator.emit.records import ANNOTATION_COLUMNS
from tapehouse_operator.names import LABEL_CLUSTER

API_VERSION = "kafka.strimzi.io/v1"
KEEP_FOREVER = -1


@dataclass(frozen=True, slots=True)
class Topic:
    """What is wanted of a topic; its object has its own name."""

    name: str
    partitions: int
    replicas: int
    min_insync_replicas: int
    retention: timedelta | None = None
    """None keeps records for ever."""
    cleanup: str = "delete"
    max_message_bytes: int | None = None
    """None leaves it to the broker."""
    columns: str = ""
    """What its records hold, if a job writes them: see `records`."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One thing a user may do."""

    resource: str
    """`topic` or `group`."""
    name: str
    operations: tuple[str, ...]
    prefix: bool = False
    """Whether `name` is a prefix of what is meant."""

    def manifest(self) -> dict[str, Any]:
        """The entry of `spec.authorization.acls`."""
        return {
            "type": "allow",
            "resource": {
                "type": self.resource,
                "name": self.name,
                "patternType": "prefix" if self.prefix else "literal",
            },
            "operations": list(self.operations),
        }


def kafka_topic(topic: Topic, cluster: str) -> Manifest:
    """The KafkaTopic; `cluster` is the Kafka resource it belongs to."""
    config: dict[str, Any] = {
        "cleanup.policy": topic.cleanup,
        "min.insync.replicas": min(topic.min_insync_replicas, topic.replicas),
    }
    if topic.cleanup != "compact":
        config["retention.ms"] = (
            topic.retention // timedelta(milliseconds=1) if topic.retention else KEEP_FOREVER
        )
    if topic.max_message_bytes is not None:
        config["max.message.bytes"] = topic.max_message_bytes
    metadata: dict[str, Any] = {"name": topic.name, "labels": {LABEL_CLUSTER: cluster}}
    if topic.columns:
        metadata["annotations"] = {ANNOTATION_COLUMNS: topic.columns}
    return {
        "apiVersion": API_VERSION,
        "kind": "KafkaTopic",
        "metadata": metadata,
        "spec": {"partitions": topic.partitions, "replicas": topic.replicas, "config": config},
    }


def kafka_user(name: str, cluster: str, grants: Sequence[Grant]) -> Manifest:
    """A KafkaUser with a generated SCRAM password and nothing but `grants`."""
    return {
        "apiVersion": API_VERSION,
        "kind": "KafkaUser",
        "metadata": {"name": name, "labels": {LABEL_CLUSTER: cluster}},
        "spec": {
            "authentication": {"type": "scram-sha-512"},
            "authorization": {"type": "simple", "acls": [grant.manifest() for grant in grants]},
        },
    }


def reads(*topics: str) -> list[Grant]:
    """Grants to read topics."""
    return [Grant("topic", topic, ("Describe", "Read")) for topic in topics]


def writes(*topics: str) -> list[Grant]:
    """Grants to write topics."""
    return [Grant("topic", topic, ("Describe", "Write")) for topic in topics]


def group(prefix: str) -> Grant:
    """The grant to use consumer groups whose names start with `prefix`."""
    return Grant("group", prefix, ("Read",), prefix=True)
