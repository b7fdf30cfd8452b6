"""Stand-ins for the vendors' CRDs (Strimzi, Flink operator) in the laptop's API server.

They have the vendors' names, versions, short names, columns and status subresources, and accept
any spec: what the laptop cannot do is refused by its controllers. On a cluster the vendors' own
are installed instead.
"""

from dataclasses import dataclass
from typing import Any

from tapehouse_laptop.kubeapi import (
    FLINK_DEPLOYMENTS,
    KAFKA_NODE_POOLS,
    KAFKA_TOPICS,
    KAFKA_USERS,
    KAFKAS,
    Manifest,
    Resource,
)

CLUSTER = ("Cluster", r".metadata.labels.strimzi\.io/cluster")
OPEN: dict[str, Any] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True, slots=True)
class Vendor:
    """One kind as its vendor's operator registers it."""

    resource: Resource
    short: str
    columns: tuple[tuple[str, str], ...]
    category: str = ""


READY_COLUMN = ("Ready", '.status.conditions[?(@.type=="Ready")].status')
VENDORS = (
    Vendor(KAFKAS, "k", (READY_COLUMN, ("Kafka version", ".status.kafkaVersion")), "strimzi"),
    Vendor(KAFKA_NODE_POOLS, "knp", (CLUSTER, ("Roles", ".status.roles")), "strimzi"),
    Vendor(
        KAFKA_TOPICS,
        "kt",
        (
            CLUSTER,
            ("Partitions", ".spec.partitions"),
            ("Replication factor", ".spec.replicas"),
            READY_COLUMN,
        ),
        "strimzi",
    ),
    Vendor(
        KAFKA_USERS,
        "ku",
        (
            CLUSTER,
            ("Authentication", ".spec.authentication.type"),
            ("Authorization", ".spec.authorization.type"),
            READY_COLUMN,
        ),
        "strimzi",
    ),
    Vendor(
        FLINK_DEPLOYMENTS,
        "flinkdep",
        (
            ("Job Status", ".status.jobStatus.state"),
            ("Lifecycle State", ".status.lifecycleState"),
        ),
    ),
)


def manifests() -> list[Manifest]:
    """The CustomResourceDefinitions, ready to apply."""
    return [_crd(vendor) for vendor in VENDORS]


def _crd(vendor: Vendor) -> Manifest:
    group, version = vendor.resource.api_version.split("/")
    names: Manifest = {
        "kind": vendor.resource.kind,
        "listKind": f"{vendor.resource.kind}List",
        "plural": vendor.resource.plural,
        "singular": vendor.resource.kind.lower(),
        "shortNames": [vendor.short],
    }
    if vendor.category:
        names["categories"] = [vendor.category]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{vendor.resource.plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": names,
            "versions": [_version(version, vendor)],
        },
    }


def _version(name: str, vendor: Vendor) -> Manifest:
    columns = [
        {"name": title, "type": _type(path), "jsonPath": path} for title, path in vendor.columns
    ]
    age = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    return {
        "name": name,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [*columns, age],
        "schema": {
            "openAPIV3Schema": {"type": "object", "properties": {"spec": OPEN, "status": OPEN}}
        },
    }


def _type(path: str) -> str:
    return "integer" if path in {".spec.partitions", ".spec.replicas"} else "string"
