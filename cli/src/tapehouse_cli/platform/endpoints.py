"""Where everything answers: what `tapehouse info` prints."""

import base64
from collections.abc import Iterator
from typing import Any

from tapehouse_laptop.components import read_components
from tapehouse_laptop.directory import SETTINGS
from tapehouse_laptop.kubeapi import CONFIG_MAPS, KAFKAS, PODS, SECRETS, Key, Kube, Manifest
from tapehouse_laptop.net import Net
from tapehouse_laptop.state import State

QUERY_PORT = 8080
DEVELOPER = "developer"
"""The KafkaUser whose password a person at this machine uses."""
METRICS_PORT = "metrics"
QUERY_APP = "query"
JOBS = "flink/"
"""Components with several processes of the same names."""
APP_LABEL = "app.kubernetes.io/name"


async def gather(kube: Kube, state: State, net: Net, namespaces: list[str]) -> dict[str, Any]:
    """All endpoints; what is not there yet is None."""
    settings: dict[str, str] = {}
    home = namespaces[0]
    for namespace in namespaces:
        if found := await kube.get(CONFIG_MAPS, Key(namespace, SETTINGS)):
            settings, home = found.get("data") or {}, namespace
            break
    pods = [pod for name in namespaces for pod in (await kube.list(PODS, name))[0]]
    return {
        "kubeconfig": str(state.kubeconfig),
        "namespace": home,
        "graphql": graphql_url(net),
        "page": graphql_url(net).removesuffix("graphql"),
        "kafka": await _kafka(kube, home, settings),
        "catalog": _catalog(settings),
        "metrics": dict(_metrics(state, pods)),
        "pids": _pids(state),
    }


def graphql_url(net: Net) -> str:
    """Where GraphQL answers."""
    return f"http://{net.address(0, 11)}:{QUERY_PORT}/graphql"


async def _kafka(kube: Kube, namespace: str, settings: dict[str, str]) -> dict[str, str] | None:
    """A configuration for librdkafka clients, as the user `developer`."""
    cluster = await kube.get(KAFKAS, Key(namespace, settings.get("kafkaCluster", "tape")))
    secret = await kube.get(SECRETS, Key(namespace, DEVELOPER))
    listeners = ((cluster or {}).get("status") or {}).get("listeners") or ()
    wanted = settings.get("kafkaListener", "internal")
    bootstrap = next(
        (each["bootstrapServers"] for each in listeners if each["name"] == wanted), None
    )
    if bootstrap is None or secret is None:
        return None
    return {
        "bootstrap.servers": bootstrap,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": DEVELOPER,
        "sasl.password": base64.b64decode(secret["data"]["password"]).decode(),
    }


def _catalog(settings: dict[str, str]) -> dict[str, str] | None:
    """Properties for `pyiceberg.catalog.load_catalog`."""
    uri = settings.get("catalogUri")
    return {"type": "rest", "uri": uri} if uri else None


def _metrics(state: State, pods: list[Manifest]) -> Iterator[tuple[str, str]]:
    for row in read_components(state).values():
        if row.metrics:
            yield row.name, row.metrics
    for pod in pods:
        address = (pod.get("status") or {}).get("podIP")
        labels = pod["metadata"].get("labels") or {}
        for container in pod["spec"]["containers"] if address else ():
            for port in container.get("ports") or ():
                if port.get("name") == METRICS_PORT or labels.get(APP_LABEL) == QUERY_APP:
                    name = f"{pod['metadata']['name']}/{container['name']}"
                    yield name, f"http://{address}:{port['containerPort']}/metrics"


def _pids(state: State) -> dict[str, int]:
    """Process ids by name; `flink/NAMESPACE/JOB/jobmanager` for those of a job."""
    return {
        f"{row.name}/{name}" if row.name.startswith(JOBS) else name: pid
        for row in read_components(state).values()
        for name, pid in row.pids.items()
    }
