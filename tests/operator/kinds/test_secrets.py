"""Every workload has an identity of its own, may do what it must, and follows its Secret."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tapehouse_kube.objects import Ref
from tapehouse_operator.emit.rotation import Rotation, Used, rotation

from tests.operator.engine.virtual import run_virtual
from tests.operator.kinds.cluster import NS, Cluster, cluster
from tests.operator.kinds.test_cluster import LOCAL
from tests.operator.kinds.test_environments import ENVIRONMENTS, documents

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
DEPLOYMENT = ("apps/v1", "Deployment")
FLINK = ("flink.apache.org/v1beta1", "FlinkDeployment")
ONE, TWO = Used("u", {"password": "1"}), Used("u", {"password": "2"})


class TestRotation:
    def test_what_is_there_from_the_beginning_is_seen(self) -> None:
        told = rotation(None, [ONE])
        assert told == Rotation(told.seen, "")
        assert len(told.seen) == 10

    def test_what_appears_later_restarts_nothing(self) -> None:
        assert rotation(None, [None]) == Rotation()
        assert rotation({}, [ONE]) == rotation(None, [ONE])
        assert rotation({}, [ONE, None]) == Rotation()

    def test_a_change_is_told_once_and_stays(self) -> None:
        live = annotations(rotation(None, [ONE]))
        changed = rotation(live, [TWO])
        assert changed.rotated == changed.seen != live["tapehouse.dev/secrets-seen"]
        assert rotation(annotations(changed), [TWO]) == changed

    def test_one_that_is_made_again_changes_nothing_before_it_is_there(self) -> None:
        live = annotations(rotation(None, [ONE]))
        assert rotation(live, [None]) == rotation(None, [ONE])
        assert rotation(live, [Used("v", ONE.values)]).rotated


def annotations(told: Rotation) -> dict[str, str]:
    both = {
        "tapehouse.dev/secrets-seen": told.seen,
        "tapehouse.dev/secrets-rotated": told.rotated,
    }
    return {name: value for name, value in both.items() if value}


def template(c: Cluster, kind: tuple[str, str], name: str) -> Any:
    spec = c.get(*kind, name)["spec"]
    return spec.get("template") or spec["podTemplate"]


def test_a_rotated_secret_starts_its_workload_again_and_no_other() -> None:
    workloads = ((DEPLOYMENT, "market-feed"), (FLINK, "land"), (FLINK, "refine"))

    async def scene() -> None:
        async with cluster(LOCAL) as c:
            await c.settle()
            before = {w: template(c, *w) for w in workloads}
            assert not any("secrets-rotated" in str(t) for t in before.values())
            for ref, password, moved in (
                ("land-job", "new", (FLINK, "land")),
                ("market-feed", "new", (DEPLOYMENT, "market-feed")),
            ):
                secret = Ref("v1", "Secret", NS, ref)
                c.kube.edit(secret, {"metadata": {"labels": {"touched": "yes"}}})
                await c.settle()
                assert {w: template(c, *w) for w in workloads} == before
                c.kube.edit(secret, {"data": {"password": password}})
                await c.settle()
                after = {w: template(c, *w) for w in workloads}
                assert [w for w in workloads if after[w] != before[w]] == [moved]
                before = after
            c.kube.remove(Ref("v1", "Secret", NS, "land-job"))  # Strimzi makes it again
            await c.settle()
            assert template(c, FLINK, "land") != before[FLINK, "land"]
            writes = len(c.kube.writes)
            await c.settle(quiet_for=60)
            assert len(c.kube.writes) == writes

    run_virtual(scene())


# -- identities --------------------------------------------------------------------------------


def bodies() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Everything that is emitted for the golden cases, and what every environment shares."""
    for path in sorted(GOLDEN.glob("*/*/children.yaml")):
        yield str(path.relative_to(GOLDEN)), list(yaml.safe_load_all(path.read_text()))
    yield "environments", list(documents(ENVIRONMENTS / "base" / "platform"))


def all_of(kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [(where, b) for where, found in bodies() for b in found if b.get("kind") == kind]


def test_nobody_may_do_everything() -> None:
    users = all_of("KafkaUser")
    assert len(users) > 10
    for where, user in users:
        assert user["spec"]["authorization"]["type"] == "simple", where
        for acl in user["spec"]["authorization"]["acls"]:
            assert acl.get("type", "allow") == "allow"
            assert acl["resource"]["name"] not in ("", "*"), where
            assert acl["resource"]["type"] in ("topic", "group"), where
            assert set(acl["operations"]) <= {"Read", "Write", "Describe", "Delete"}, where


def test_the_broker_denies_what_is_not_granted() -> None:
    (kafka,) = (b for w, b in all_of("Kafka") if w == "environments")
    authorization = kafka["spec"]["kafka"]["authorization"]
    assert authorization == {"type": "simple"}
    assert "allow.everyone.if.no.acl.found" not in kafka["spec"]["kafka"].get("config", {})


@pytest.mark.parametrize("kind", ["Deployment", "FlinkDeployment", "Pod"])
def test_whoever_has_a_password_has_his_own(kind: str) -> None:
    for where, found in bodies():
        users = {b["metadata"]["name"] for b in found if b.get("kind") == "KafkaUser"}
        for body in (b for b in found if b.get("kind") == kind):
            names = set(passwords(body))
            assert names <= users, where
            assert len(names) <= 1, where


def passwords(node: Any) -> Iterator[str]:
    """The Secrets from which `KAFKA_PASSWORD` is taken anywhere below `node`."""
    if isinstance(node, dict):
        if node.get("name") == "KAFKA_PASSWORD":
            yield node["valueFrom"]["secretKeyRef"]["name"]
        for value in node.values():
            yield from passwords(value)
    elif isinstance(node, list):
        for value in node:
            yield from passwords(value)
