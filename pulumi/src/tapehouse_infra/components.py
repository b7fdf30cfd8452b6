"""The manifests as Pulumi resources, and the operator's chart as a Helm release."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pulumi_kubernetes.core.v1 import LimitRange, Namespace, ResourceQuota
from pulumi_kubernetes.helm.v3 import Release
from pulumi_kubernetes.networking.v1 import NetworkPolicy

import pulumi
from tapehouse_infra import manifests
from tapehouse_infra.stack import Stack

TYPES: Mapping[str, Callable[..., pulumi.Resource]] = {
    "LimitRange": LimitRange,
    "NetworkPolicy": NetworkPolicy,
    "ResourceQuota": ResourceQuota,
}
PATIENCE = 300
"""Seconds the operator has to become ready before the release is rolled back."""


class Environment(pulumi.ComponentResource):
    """The namespace of an environment: what may run in it, how much, and its network peers."""

    namespace: Namespace

    def __init__(self, name: str, stack: Stack, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tapehouse:infra:Environment", name, None, opts)
        within = pulumi.ResourceOptions(parent=self)
        # Everything the environment owns is in it: it is deleted only on request.
        kept = pulumi.ResourceOptions(parent=self, protect=True)
        self.namespace = _namespace(stack.namespace, stack, kept)
        within.depends_on = [self.namespace]
        for body in manifests.fences(stack):
            where = f"{name}-{body['kind']}-{body['metadata']['name']}".lower()
            TYPES[body["kind"]](where, metadata=body["metadata"], spec=body["spec"], opts=within)
        self.register_outputs({"namespace": self.namespace.metadata.name})


class Platform(pulumi.ComponentResource):
    """The operator that serves one environment, in a namespace beside it."""

    release: Release

    def __init__(
        self, name: str, stack: Stack, chart: Path, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tapehouse:infra:Platform", name, None, opts)
        within = pulumi.ResourceOptions(parent=self)
        home = _namespace(stack.system_namespace, stack, within)
        # A release, as `helm install` makes it: the CRDs' keep policy is Helm's to follow.
        self.release = Release(
            name,
            name=stack.namespace,
            namespace=stack.system_namespace,
            chart=str(chart),
            values=values(stack),
            atomic=True,
            timeout=PATIENCE,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[home]),
        )
        self.register_outputs({"release": self.release.name})


def values(stack: Stack) -> dict[str, Any]:
    """The chart's values: the stack's, and the one namespace its operator may see."""
    return {**stack.operator, "namespaces": [stack.namespace]}


def _namespace(name: str, stack: Stack, opts: pulumi.ResourceOptions) -> Namespace:
    metadata: Any = manifests.namespace(name, stack)["metadata"]
    return Namespace(name, metadata=metadata, opts=opts)
