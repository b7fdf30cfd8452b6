"""Plain Kubernetes objects: ConfigMaps, and Pods as restricted as the Pod security standard asks.

Every container carries `TAPEHOUSE_ROOT`, the directory its paths are relative to: empty on a
cluster, set by whoever runs Pods as processes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tapehouse_operator.emit.core import Manifest
from tapehouse_operator.names import GROUP, LABEL_APP, digest

ANNOTATION_CONFIG = f"{GROUP}/config-hash"
"""On Pod templates: a changed configuration is a changed template, so Pods restart."""
ROOT = "$(TAPEHOUSE_ROOT)"
CONFIG_DIR = "/etc/tapehouse"
TERMINATION_LOG = "/dev/termination-log"


@dataclass(frozen=True, slots=True)
class Container:
    """One container, in the terms all of ours share."""

    name: str
    image: str
    command: tuple[str, ...]
    args: tuple[str, ...] = ()
    env: tuple[Mapping[str, Any], ...] = ()
    mounts: Mapping[str, str] = field(default_factory=dict)
    """Mount path by volume name; read only."""
    scratch: Mapping[str, str] = field(default_factory=dict)
    """Mount path by volume name; for the container to write to."""
    ports: Mapping[str, int] = field(default_factory=dict)
    ready: tuple[str, int] | None = None
    """Path and port of the readiness probe."""
    resources: Mapping[str, Any] = field(default_factory=dict)

    def manifest(self) -> dict[str, Any]:
        """The entry of `spec.containers`."""
        body: dict[str, Any] = {
            "name": self.name,
            "image": self.image,
            "command": list(self.command),
            "args": list(self.args),
            "env": [root_env(), pod_ip_env(), *self.env],
            "securityContext": container_security(),
        }
        if self.mounts or self.scratch:
            body["volumeMounts"] = [
                *(
                    {"name": name, "mountPath": path, "readOnly": True}
                    for name, path in self.mounts.items()
                ),
                *({"name": name, "mountPath": path} for name, path in self.scratch.items()),
            ]
        if self.ports:
            body["ports"] = [
                {"name": name, "containerPort": port} for name, port in self.ports.items()
            ]
        if self.ready:
            path, port = self.ready
            body["readinessProbe"] = {"httpGet": {"path": path, "port": port}, "periodSeconds": 2}
        if self.resources:
            body["resources"] = dict(self.resources)
        return body


def config_map(name: str, data: Mapping[str, str], labels: Mapping[str, str] = {}) -> Manifest:
    """A ConfigMap."""
    metadata: dict[str, Any] = {"name": name}
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}


def deployment(
    name: str,
    containers: Sequence[Container],
    volumes: Sequence[Mapping[str, Any]],
    *,
    config: str,
    replicas: int = 1,
    account: str = "",
) -> Manifest:
    """A Deployment whose old Pods are gone before new ones start.

    Args:
        name: also its label and selector.
        containers: in order.
        volumes: in Kubernetes' shape.
        config: what the Pods read; they restart when it changes.
        replicas: how many Pods.
        account: the service account to reach the API with; empty for no access.
    """
    labels = {LABEL_APP: name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": {ANNOTATION_CONFIG: digest(config)}},
                "spec": pod_spec(containers, volumes, account),
            },
        },
    }


def pod_spec(
    containers: Sequence[Container], volumes: Sequence[Mapping[str, Any]] = (), account: str = ""
) -> dict[str, Any]:
    """A Pod's spec: no API access but by `account`, no root, default seccomp profile."""
    access: dict[str, Any] = {"automountServiceAccountToken": bool(account)}
    if account:
        access["serviceAccountName"] = account
    return {
        **access,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "containers": [container.manifest() for container in containers],
        "volumes": [dict(volume) for volume in volumes],
    }


def pod_security() -> dict[str, Any]:
    """What Pod security standard `restricted` asks of a Pod."""
    return {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def container_security() -> dict[str, Any]:
    """What Pod security standard `restricted` asks of a container."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def root_env() -> dict[str, Any]:
    """`TAPEHOUSE_ROOT`: empty, unless whoever runs the Pod overrides it."""
    return {"name": "TAPEHOUSE_ROOT", "value": ""}


def pod_ip_env() -> dict[str, Any]:
    """`POD_IP`: the one address servers bind to."""
    return {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}


def secret_env(name: str, secret: str, key: str) -> dict[str, Any]:
    """A variable from a Secret's key."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def config_volume(name: str, config: str) -> dict[str, Any]:
    """A volume that holds a ConfigMap's keys as files."""
    return {"name": name, "configMap": {"name": config}}


def document(value: Mapping[str, Any]) -> str:
    """JSON for a ConfigMap: read by people too, and the same for the same value."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n"
