"""Whatever is emitted stands before the vendors' own schemas, and before the API server's."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.operator.kinds.test_environments import ENVIRONMENTS, documents
from tests.support.controlplane import ApiServer
from tests.support.structural import errors
from tests.support.vendorapis import schemas

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
VENDORS = ("kafka.strimzi.io/", "flink.apache.org/")
Schemas = Mapping[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def vendors() -> Schemas:
    return schemas()


def emitted() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of every golden case, and what all environments are made of."""
    for path in sorted(GOLDEN.glob("*/*/*.yaml")):
        if path.name in ("children.yaml", "check.yaml"):
            for body in yaml.load_all(path.read_text(), yaml.CSafeLoader):
                if body and "kind" in body:
                    body.pop("retain", None)  # for the reviewer
                    yield str(path.parent.relative_to(GOLDEN)), body
    for body in documents(ENVIRONMENTS / "local"):
        yield "environments/local", body


def test_everything_for_strimzi_and_flink_is_as_they_want_it(vendors: Schemas) -> None:
    wrong, seen = [], set()
    for where, body in emitted():
        if body["apiVersion"].startswith(VENDORS):
            key = (body["apiVersion"], body["kind"])
            seen.add(body["kind"])
            wrong += [f"{where}: {body['kind']}{e}" for e in errors(vendors[key], known(body))]
    assert wrong == []
    assert seen == {"Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser", "FlinkDeployment"}


def known(body: dict[str, Any]) -> dict[str, Any]:
    """Flink's newest published CRD is older than our Flink: its version is a setting."""
    if body["kind"] != "FlinkDeployment":
        return body
    return {**body, "spec": {**body["spec"], "flinkVersion": "v1_20"}}


@pytest.mark.parametrize(
    ("kind", "path", "value", "said"),
    [
        ("KafkaTopic", "partitions", "six", ".spec.partitions: 'six' is no integer"),
        ("KafkaTopic", "partitons", 6, ".spec.partitons: unknown field"),
        ("KafkaUser", "authentication", {"type": "none"}, ".spec.authentication.type: 'none' is"),
        ("FlinkDeployment", "serviceAccount", None, ".spec.serviceAccount: null"),
        ("FlinkDeployment", "mode", "docker", ".spec.mode: 'docker' is none of"),
    ],
)
def test_what_is_wrong_is_noticed(
    vendors: Schemas, kind: str, path: str, value: object, said: str
) -> None:
    body = next(known(b) for _, b in emitted() if b["kind"] == kind)
    spoilt = {**body, "spec": {**body["spec"], path: value}}
    (found,) = errors(vendors[body["apiVersion"], kind], spoilt)
    assert found.startswith(said)


@pytest.mark.api
def test_everything_else_is_as_the_api_server_wants_it(apiserver: ApiServer) -> None:
    plain = [
        body
        for where, body in emitted()
        if not body["apiVersion"].startswith((*VENDORS, "tapehouse.dev/"))
        and where != "environments/local"
    ]
    assert {b["kind"] for b in plain} >= {"ConfigMap", "Deployment", "Pod"}
    for body in plain:
        body["metadata"] = {**body["metadata"], "namespace": "default"}
    text = yaml.safe_dump_all(plain)
    apiserver.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text
    )
