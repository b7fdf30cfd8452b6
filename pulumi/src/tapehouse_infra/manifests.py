"""A namespace and its fences, as Kubernetes objects: pure functions of the stack."""

from collections.abc import Mapping, Sequence
from typing import Any

from tapehouse_infra.stack import Peer, Stack

Manifest = Mapping[str, Any]
POD_SECURITY = "pod-security.kubernetes.io"
NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The label Kubernetes itself puts on every namespace."""
EVERY_POD: Manifest = {"podSelector": {}}


def namespace(name: str, stack: Stack) -> Manifest:
    """A namespace that takes only Pods as restricted as the Pod security standard asks."""
    labels = {
        **{f"{POD_SECURITY}/{mode}": "restricted" for mode in ("enforce", "audit", "warn")},
        "app.kubernetes.io/part-of": "tapehouse",
        "tapehouse.dev/environment": stack.name,
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def fences(stack: Stack) -> list[Manifest]:
    """Everything that bounds the stack's namespace."""
    return [
        _object("v1", "ResourceQuota", "tapehouse", stack, {"hard": dict(stack.quota)}),
        _object("v1", "LimitRange", "tapehouse", stack, {"limits": [_container(stack)]}),
        *network_policies(stack),
    ]


def network_policies(stack: Stack) -> list[Manifest]:
    """Deny everything; then allow the namespace itself, DNS, and what the stack names."""
    same = [EVERY_POD]
    dns = {"to": [_namespace("kube-system")], "ports": _ports([53], "UDP", "TCP")}
    return [
        _policy("deny-all", stack, ingress=[], egress=[]),
        _policy("allow-namespace", stack, ingress=[{"from": same}], egress=[{"to": same}]),
        _policy("allow-dns", stack, egress=[dns]),
        _policy("allow-from", stack, ingress=[_rule("from", p) for p in stack.allowed_from]),
        _policy("allow-to", stack, egress=[_rule("to", p) for p in stack.allowed_to]),
    ]


def _container(stack: Stack) -> Manifest:
    return {"type": "Container", **{key: dict(of) for key, of in stack.limits.items()}}


def _policy(
    name: str,
    stack: Stack,
    *,
    ingress: Sequence[Manifest] | None = None,
    egress: Sequence[Manifest] | None = None,
) -> Manifest:
    """A policy of every Pod; a direction that is None is none of its business."""
    directions = {"Ingress": ingress, "Egress": egress}
    named = {kind: rules for kind, rules in directions.items() if rules is not None}
    spec = {
        **EVERY_POD,
        "policyTypes": list(named),
        **{kind.lower(): list(rules) for kind, rules in named.items()},
    }
    return _object("networking.k8s.io/v1", "NetworkPolicy", name, stack, spec)


def _rule(direction: str, peer: Peer) -> Manifest:
    where = _namespace(peer.namespace) if peer.namespace else {"ipBlock": {"cidr": peer.cidr}}
    return {direction: [where], "ports": _ports(peer.ports, "TCP")}


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: name}}}


def _ports(ports: Sequence[int], *protocols: str) -> list[Manifest]:
    return [{"protocol": protocol, "port": port} for port in ports for protocol in protocols]


def _object(
    api_version: str, kind: str, name: str, stack: Stack, spec: Mapping[str, Any]
) -> Manifest:
    metadata = {"name": name, "namespace": stack.namespace}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
