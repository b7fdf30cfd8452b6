"""The overlays as kustomize renders them: accepted, sized as decided, within their quota."""

import re
import subprocess
from collections.abc import Iterable
from functools import cache
from math import ceil
from typing import Any

import pytest
import yaml
from tapehouse_laptop.controlplane import binaries
from tapehouse_operator.api.base import Resource, parse
from tapehouse_operator.emit.platform import Platform
from tapehouse_operator.kinds import KINDS

from tests.charts.helm import ROOT, Object, one
from tests.operator.kinds.test_environments import accept
from tests.operator.kinds.worlds import world
from tests.support.controlplane import ApiServer

ENVIRONMENTS = ROOT / "environments"
NAMES = ("dev", "staging", "prod")
MODELS: dict[str, type[Resource]] = {kind.model.__name__: kind.model for kind in KINDS}
UNITS = {"": 1.0, "m": 0.001, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
DECIDED = {
    "dev": ("6", "7d", "60s", "4", "DEBUG", "warn", "7d"),
    "staging": ("6", "7d", "30s", "8", "INFO", "warn", "7d"),
    "prod": ("12", "30d", "10s", "16", "WARNING", "fail", "30d"),
}
KEYS = (
    "topicPartitions",
    "topicRetention",
    "checkpointInterval",
    "parallelism",
    "logLevel",
    "quality",
    "deadLetterRetention",
)


@cache
def rendered(name: str) -> tuple[Object, ...]:
    kubectl = binaries.find_or_build()["kubectl"]
    text = subprocess.run(
        [kubectl, "kustomize", ENVIRONMENTS / name], capture_output=True, text=True, check=True
    ).stdout
    return tuple(body for body in yaml.safe_load_all(text) if body)


def of(name: str, *kinds: str) -> list[Object]:
    return [body for body in rendered(name) if body["kind"] in kinds]


def settings(name: str) -> dict[str, str]:
    (found,) = [b for b in of(name, "ConfigMap") if b["metadata"]["name"] == "tapehouse-platform"]
    return found["data"]


@pytest.mark.parametrize("name", NAMES)
def test_all_of_it_is_accepted(name: str) -> None:
    ours = of(name, *MODELS)
    for body in ours:
        parse(MODELS[body["kind"]], body)

    assert {body["kind"] for body in ours} >= {"TradeFeed", "StreamJob", "LakehouseTable"}
    assert {body["metadata"]["namespace"] for body in rendered(name)} == {f"tapehouse-{name}"}
    assert accept(ours, world(settings=settings(name))) == {}


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_the_decided_ones(name: str) -> None:
    found = settings(name)

    Platform.of(found)
    assert tuple(found[key] for key in KEYS) == DECIDED[name]
    assert (found["deadLetterPartitions"], found["topicReplicas"]) == ("3", "3")
    assert set(found) == set(settings("dev"))


def test_no_two_environments_share_anything() -> None:
    for key in ("environment", "catalogPrefix", "stateUri"):
        assert len({settings(name)[key] for name in NAMES}) == len(NAMES), key


def test_the_market_is_the_decided_one() -> None:
    source = {name: one(list(rendered(name)), "TradeFeed")["spec"]["source"] for name in NAMES}

    simulated = {name: source[name]["simulator"] for name in ("dev", "staging")}
    sizes = {n: (len(s["symbols"]), s["tradesPerSecond"]) for n, s in simulated.items()}
    assert sizes == {"dev": (3, 100), "staging": (10, 1000)}
    assert set(source["prod"]) == {"websocket"}


@pytest.mark.parametrize("name", NAMES)
def test_a_cluster_is_no_laptop(name: str) -> None:
    deployments = {body["metadata"]["name"]: body for body in of(name, "Deployment")}

    assert set(deployments) == {"publisher", "query"}
    assert one(list(rendered(name)), "KafkaNodePool")["spec"]["replicas"] == 3
    text = yaml.safe_dump_all(rendered(name))
    assert not re.search(r"127\.\d|TAPEHOUSE_DATA|:dev\b|tapehouse.dev/pod-ip", text)


@pytest.mark.parametrize(
    ("name", "replicas", "most"), [("dev", 1, 1), ("staging", 2, 2), ("prod", 3, 8)]
)
def test_answers_come_from_as_many_as_decided(name: str, replicas: int, most: int) -> None:
    (query,) = [b for b in of(name, "Deployment") if b["metadata"]["name"] == "query"]
    scaled = [
        (body["spec"]["minReplicas"], body["spec"]["maxReplicas"])
        for body in of(name, "HorizontalPodAutoscaler")
    ]

    assert bool(scaled) is ("replicas" not in query["spec"])
    assert (scaled or [(query["spec"].get("replicas"),) * 2]) == [(replicas, most)]


@pytest.mark.parametrize("name", NAMES)
def test_two_generations_of_every_job_fit_the_quota(name: str) -> None:
    quota = yaml.safe_load((ENVIRONMENTS / f"stacks/{name}.yaml").read_text())["quota"]
    for resource in ("cpu", "memory"):
        asked = 2 * sum(flink(name, resource)) + sum(others(name, resource))
        assert asked <= amount(quota[f"requests.{resource}"]), resource
    pool = one(list(rendered(name)), "KafkaNodePool")["spec"]
    stored = pool["replicas"] * amount(pool["storage"]["size"])
    assert stored <= amount(quota["requests.storage"])


def flink(name: str, resource: str) -> Iterable[float]:
    parallelism = int(settings(name)["parallelism"])
    for job in of(name, "StreamJob"):
        sizes = job["spec"]["resources"]
        workers = ceil(parallelism / sizes["taskSlots"])
        yield amount(sizes["jobManager"][resource])
        yield amount(sizes["taskManager"][resource]) * workers


def others(name: str, resource: str) -> Iterable[float]:
    pool = one(list(rendered(name)), "KafkaNodePool")["spec"]
    yield pool["replicas"] * amount(pool["resources"]["requests"][resource])
    most = [body["spec"]["maxReplicas"] for body in of(name, "HorizontalPodAutoscaler")]
    for body in of(name, "Deployment"):
        (container,) = body["spec"]["template"]["spec"]["containers"]
        copies = body["spec"].get("replicas") or most[0]
        yield (copies + 1) * amount(container["resources"]["requests"][resource])


def amount(quantity: str) -> float:
    found = re.fullmatch(r"([\d.]+)(\D*)", quantity)
    assert found, quantity
    number, unit = found.groups()
    return float(number) * UNITS[unit]


@pytest.mark.api
@pytest.mark.parametrize("name", NAMES)
def test_an_api_server_takes_all_of_it(apiserver: ApiServer, name: str) -> None:
    namespace: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": f"tapehouse-{name}",
            "labels": {"pod-security.kubernetes.io/warn": "restricted"},
        },
    }
    given = yaml.safe_dump(namespace)
    apiserver.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=given)
    bodies = rendered(name)

    said = apiserver.kubectl(
        *("apply", "--server-side", "--dry-run=server", "-f", "-"), stdin=yaml.safe_dump_all(bodies)
    )

    assert said.count("serverside-applied") == len(bodies)
    assert "Warning" not in said
