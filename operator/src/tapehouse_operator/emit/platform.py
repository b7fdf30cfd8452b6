"""An environment's settings, typed: what differs between namespaces is data and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from tapehouse_operator.api.base import Reason, duration
from tapehouse_operator.errors import NotReady
from tapehouse_operator.names import SETTINGS

T = TypeVar("T")
PASSWORD_ENV = "KAFKA_PASSWORD"  # noqa: S105  (the name of a variable)
PASSWORD_KEY = "password"  # noqa: S105  (the key Strimzi gives it)


@dataclass(frozen=True, slots=True)
class Platform:
    """The ConfigMap `tapehouse-platform` of one namespace."""

    kafka_cluster: str
    kafka_listener: str
    catalog_uri: str
    catalog_prefix: str
    state_uri: str
    image_feed: str
    image_streams: str
    flink_version: str
    topic_partitions: int
    topic_replicas: int
    min_insync_replicas: int
    topic_retention: timedelta
    dead_letter_partitions: int
    dead_letter_retention: timedelta
    parallelism: int
    checkpoint_interval: str
    max_future_skew: str
    log_level: str

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> "Platform":
        """Read the settings.

        Raises:
            NotReady: the ConfigMap is missing, or a key of it is missing or wrong.
        """
        read = _Reader(settings)
        return cls(
            kafka_cluster=read.text("kafkaCluster"),
            kafka_listener=read.text("kafkaListener"),
            catalog_uri=read.text("catalogUri"),
            catalog_prefix=settings.get("catalogPrefix", ""),
            state_uri=read.text("stateUri").rstrip("/"),
            image_feed=read.text("imageFeed"),
            image_streams=read.text("imageStreams"),
            flink_version=read.text("flinkVersion"),
            topic_partitions=read.number("topicPartitions"),
            topic_replicas=read.number("topicReplicas"),
            min_insync_replicas=read.number("minInsyncReplicas"),
            topic_retention=read.duration("topicRetention"),
            dead_letter_partitions=read.number("deadLetterPartitions"),
            dead_letter_retention=read.duration("deadLetterRetention"),
            parallelism=read.number("parallelism"),
            checkpoint_interval=read.as_is("checkpointInterval", duration),
            max_future_skew=read.as_is("maxFutureSkew", duration),
            log_level=read.text("logLevel"),
        )


@dataclass(frozen=True, slots=True)
class _Reader:
    settings: Mapping[str, str]

    def text(self, key: str) -> str:
        if not self.settings:
            raise NotReady(
                Reason.SETTINGS_MISSING, f"ConfigMap {SETTINGS} is missing from this namespace"
            )
        value = self.settings.get(key, "")
        if not value:
            raise NotReady(Reason.SETTINGS_MISSING, f"ConfigMap {SETTINGS} lacks the key {key}")
        return value

    def number(self, key: str) -> int:
        return self._read(key, _positive)

    def duration(self, key: str) -> timedelta:
        return self._read(key, duration)

    def as_is(self, key: str, check: Callable[[str], object]) -> str:
        self._read(key, check)
        return self.text(key)

    def _read(self, key: str, parse: Callable[[str], T]) -> T:
        text = self.text(key)
        try:
            return parse(text)
        except ValueError as error:
            raise NotReady(
                Reason.SETTINGS_MISSING, f"ConfigMap {SETTINGS}, key {key}: {error}"
            ) from error


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """How one user reaches the brokers; its password comes from the environment."""

    bootstrap: str
    user: str
    protocol: str = "SASL_PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"

    def librdkafka(self) -> dict[str, str]:
        """Client configuration without the password."""
        return {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": self.protocol,
            "sasl.mechanism": self.mechanism,
            "sasl.username": self.user,
        }

    def java(self) -> dict[str, str]:
        """Client configuration that takes the password from the environment as it connects."""
        return {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": self.protocol,
            "sasl.mechanism": self.mechanism,
            "sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required "
                f'username="{self.user}" password="${{env:{PASSWORD_ENV}}}";'
            ),
            "config.providers": "env",
            "config.providers.env.class": (
                "org.apache.kafka.common.config.provider.EnvVarConfigProvider"
            ),
        }


def bootstrap(kafka: str, status: Mapping[str, Any] | None, listener: str) -> str:
    """The bootstrap address of `listener` in the status of the Kafka resource `kafka`.

    Raises:
        NotReady: the cluster or the listener is not there yet.
    """
    if status is None:
        raise NotReady(Reason.KAFKA_NOT_FOUND, f"Kafka {kafka} is not in this namespace")
    listeners: Sequence[Mapping[str, Any]] = status.get("listeners") or ()
    for found in listeners:
        if found.get("name") == listener and found.get("bootstrapServers"):
            return str(found["bootstrapServers"])
    raise NotReady(
        Reason.KAFKA_NOT_READY, f"Kafka {kafka} has no address for its listener {listener} yet"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is not a whole number of at least 1")
    return int(text)
