"""The ingest workload of a feed: its configuration and its Deployment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tapehouse_operator.emit.core import Manifest
from tapehouse_operator.emit.events import Event
from tapehouse_operator.emit.manifests import (
    CONFIG_DIR,
    ROOT,
    Container,
    config_volume,
    deployment,
    document,
    secret_env,
)
from tapehouse_operator.emit.platform import PASSWORD_ENV, PASSWORD_KEY, KafkaAccess

CONFIG_KEY = "feed.json"
METRICS_PORT = 9100
SIMULATOR_PORT = 8765
HEADERS_DIR = "headers"
"""Where Secrets with HTTP headers are mounted, below the configuration."""


@dataclass(frozen=True, slots=True)
class FeedNames:
    """What a feed's children are called."""

    feed: str

    @property
    def workload(self) -> str:
        """The Deployment, its KafkaUser and its ConfigMap."""
        return f"{self.feed}-feed"

    @property
    def schema(self) -> str:
        """The ConfigMap with the accepted schema versions."""
        return f"{self.feed}-schema"

    @property
    def cursor(self) -> str:
        """The topic with the bridge's acknowledged position."""
        return f"{self.feed}.cursor"

    @property
    def dead_letters(self) -> str:
        """The default topic for frames that cannot be taken."""
        return f"{self.feed}.dead-letters"


@dataclass(frozen=True, slots=True)
class Workload:
    """What the ingest Pods need to know."""

    names: FeedNames
    namespace: str
    source: Mapping[str, Any]
    """As in `feed.json`: `type` and the source's own fields."""
    events: tuple[Event, ...]
    mapping: Sequence[Mapping[str, Any]] | None
    dead_letter_topic: str
    continuity: Mapping[str, Any]
    session: Mapping[str, Any] | None
    kafka: KafkaAccess
    log_level: str
    image: str
    replicas: int
    resources: Mapping[str, Any]
    header_secrets: tuple[str, ...] = ()


def feed_config(workload: Workload) -> str:
    """`feed.json`."""
    return document(
        {
            "feed": workload.names.feed,
            "namespace": workload.namespace,
            "source": dict(workload.source),
            "events": [event.document() for event in workload.events],
            "mapping": workload.mapping,
            "deadLetterTopic": workload.dead_letter_topic,
            "cursorTopic": workload.names.cursor,
            "continuity": dict(workload.continuity),
            "session": workload.session,
            "kafka": workload.kafka.librdkafka(),
            "logLevel": workload.log_level,
        }
    )


def feed_deployment(workload: Workload) -> Manifest:
    """The Deployment: the bridge, and the simulator beside it when it is the source."""
    name = workload.names.workload
    containers = [_bridge(workload)]
    if workload.source["type"] == "simulator":
        containers.append(_simulator(workload))
    volumes = [
        config_volume("config", name),
        *(
            {"name": f"headers-{place}", "secret": {"secretName": secret}}
            for place, secret in enumerate(workload.header_secrets)
        ),
    ]
    return deployment(
        name, containers, volumes, config=feed_config(workload), replicas=workload.replicas
    )


def _bridge(workload: Workload) -> Container:
    headers = {
        f"headers-{place}": f"{CONFIG_DIR}/{HEADERS_DIR}/{secret}"
        for place, secret in enumerate(workload.header_secrets)
    }
    return Container(
        name="bridge",
        image=workload.image,
        command=("tapehouse-feed",),
        args=("bridge", f"{ROOT}{CONFIG_DIR}/{CONFIG_KEY}"),
        env=(secret_env(PASSWORD_ENV, workload.names.workload, PASSWORD_KEY),),
        mounts={"config": CONFIG_DIR, **headers},
        ports={"metrics": METRICS_PORT},
        ready=("/readyz", METRICS_PORT),
        resources=workload.resources,
    )


def _simulator(workload: Workload) -> Container:
    return Container(
        name="simulator",
        image=workload.image,
        command=("tapehouse-feed",),
        args=("simulator", f"{ROOT}{CONFIG_DIR}/{CONFIG_KEY}"),
        mounts={"config": CONFIG_DIR},
        ports={"websocket": SIMULATOR_PORT},
    )
