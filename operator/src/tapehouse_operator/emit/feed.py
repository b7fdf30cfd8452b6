"""The ingest workload of a feed: its configuration and its Deployment."""

from collections.abc import Iterator, Mapping, Sequence
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
REPORT_KEY = "continuity.json"
SPILL_DIR = "/var/lib/tapehouse/spill"
SPILL_SLACK = 64 * 1024**2
"""Bytes the volume may take beyond the frames, so that the bridge meets its own limit first."""
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
    def report(self) -> str:
        """The ConfigMap in which the bridge tells how the feed is."""
        return f"{self.feed}-continuity"

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
    spill: int
    """Bytes of frames that may wait on disk; 0 is none."""
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
            "spill": {"path": SPILL_DIR, "bytes": workload.spill} if workload.spill else None,
            "report": workload.names.report,
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
    if workload.spill:
        volumes.append({"name": "spill", "emptyDir": {"sizeLimit": workload.spill + SPILL_SLACK}})
    return deployment(
        name,
        containers,
        volumes,
        config=feed_config(workload),
        replicas=workload.replicas,
        account=name,
    )


def feed_access(names: FeedNames, namespace: str) -> Iterator[Manifest]:
    """The workload's account, which may change the feed's own report and nothing else."""
    name, api = names.workload, "rbac.authorization.k8s.io"
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [names.report],
        "verbs": ["patch"],
    }
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    yield {
        "apiVersion": f"{api}/v1",
        "kind": "Role",
        "metadata": {"name": name},
        "rules": [rule],
    }
    yield {
        "apiVersion": f"{api}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": api, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }


def feed_report(names: FeedNames) -> Manifest:
    """The ConfigMap the bridge writes to; what is in it is not the operator's."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": names.report}}


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
        scratch={"spill": SPILL_DIR} if workload.spill else {},
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
