"""What a stack's program declares, seen by the engine; and what an API server says of it."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from tapehouse_infra import manifests
from tapehouse_infra.stack import load

import pulumi
from tests.pulumi.engine import ROOT, Declared, deployed
from tests.support.controlplane import ApiServer

ENVIRONMENTS = ROOT / "environments"
NAMESPACE = "tapehouse-staging"


def policies(declared: Declared) -> dict[str, Mapping[str, Any]]:
    found = declared.of(":NetworkPolicy")
    return {body["metadata"]["name"]: body["spec"] for body in found}


def test_both_namespaces_take_restricted_pods_only(staging: Declared) -> None:
    found = {b["metadata"]["name"]: b["metadata"]["labels"] for b in staging.of(":Namespace")}
    assert set(found) == {NAMESPACE, f"{NAMESPACE}-system"}
    for labels in found.values():
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
        assert labels["tapehouse.dev/environment"] == "staging"


def test_quota_and_limits_are_the_stacks(staging: Declared) -> None:
    stack = load(ENVIRONMENTS, "staging")
    (quota,), (limits,) = staging.of(":ResourceQuota"), staging.of(":LimitRange")
    assert quota["metadata"]["namespace"] == NAMESPACE
    assert quota["spec"] == {"hard": stack.quota}
    assert limits["spec"] == {"limits": [{"type": "Container", **stack.limits}]}


def test_everything_is_denied_but_what_is_named(staging: Declared) -> None:
    found = policies(staging)
    assert found.pop("deny-all") == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
        "egress": [],
    }
    sources = [rule["from"] for spec in found.values() for rule in spec.get("ingress", ())]
    targets = [rule["to"] for spec in found.values() for rule in spec.get("egress", ())]
    assert [] not in sources + targets
    names = {
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for peers in sources + targets
        for peer in peers
        if "namespaceSelector" in peer
    }
    assert names == {
        "kube-system",
        "flink-operator",
        "strimzi",
        "monitoring",
        "ingress",
        "lakehouse",
    }


def test_names_are_resolved_over_both_protocols(staging: Declared) -> None:
    (rule,) = policies(staging)["allow-dns"]["egress"]
    assert {(p["protocol"], p["port"]) for p in rule["ports"]} == {("UDP", 53), ("TCP", 53)}


def test_the_operator_is_a_release_that_sees_one_namespace(staging: Declared) -> None:
    (release,) = staging.of(":Release")
    assert release["chart"] == str(ROOT / "charts/tapehouse")
    assert (release["name"], release["namespace"]) == (NAMESPACE, f"{NAMESPACE}-system")
    assert release["atomic"] is True
    assert release["values"] == {
        "namespaces": [NAMESPACE],
        "replicas": 2,
        "logLevel": "INFO",
        "crds": {"install": True},
    }


def test_a_stack_without_files_is_one_sentence() -> None:
    with pytest.raises(pulumi.RunError, match="the stacks are dev, prod, staging"):
        deployed("nowhere")


@pytest.mark.api
@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_an_api_server_takes_the_fences(apiserver: ApiServer, name: str) -> None:
    stack = load(ENVIRONMENTS, name)
    home = manifests.namespace(stack.namespace, stack)
    apiserver.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(home))
    fences = yaml.safe_dump_all(manifests.fences(stack))

    said = apiserver.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=fences)

    assert said.count("serverside-applied") == 7
