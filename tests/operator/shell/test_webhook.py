"""How admission is registered: certificates shared by replicas, one configuration, never fatal."""

import socket
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tapehouse_kube.objects import Ref
from tapehouse_operator.shell.certificates import LIFETIME
from tapehouse_operator.shell.webhook import NAME, Endpoint, Webhook, configuration

from tests.support.memory_kube import MemoryKube

HOME = "tapehouse-system"
SECRET = Ref("v1", "Secret", HOME, NAME)
CONFIGURATION = Ref("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "", NAME)
SERVICE = Endpoint("127.0.0.1", 0, f"{HOME}/admission")
ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": NAME},
}


class Clock:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def installed() -> MemoryKube:
    kube = MemoryKube()
    meta = {"name": NAME, "namespace": HOME}
    kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta})
    kube.create(ROLE)
    return kube


def replica(kube: MemoryKube, directory: Path, clock: Clock) -> Webhook:
    directory.mkdir(exist_ok=True)
    return Webhook(
        kube, SERVICE, directory, home=HOME, plurals=["tradefeeds"], namespaces=[], clock=clock
    )


async def test_replicas_serve_one_certificate_and_renew_it_together(tmp_path: Path) -> None:
    kube, clock = installed(), Clock()
    first, second = (replica(kube, tmp_path / name, clock) for name in ("a", "b"))
    await first.prepare()
    await second.prepare()
    before = first.certificate.read_bytes()
    assert second.certificate.read_bytes() == before
    assert first.key.stat().st_mode & 0o077 == 0, "only its owner reads the key"

    clock.now += LIFETIME - timedelta(days=1)
    await second.refresh()
    await first.refresh()
    assert first.certificate.read_bytes() == second.certificate.read_bytes() != before


async def test_the_configuration_trusts_what_is_served_and_belongs_to_the_role(
    tmp_path: Path,
) -> None:
    kube = installed()
    await replica(kube, tmp_path, Clock()).prepare()
    body = kube.objects[CONFIGURATION]
    (owner,) = body["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("ClusterRole", NAME)
    client = body["webhooks"][0]["clientConfig"]
    assert client["caBundle"] == kube.objects[SECRET]["data"]["ca.crt"]
    assert client["service"] == {
        "namespace": HOME,
        "name": "admission",
        "port": 443,
        "path": "/tapehouse",
    }


async def test_at_rest_nothing_is_written(tmp_path: Path) -> None:
    kube = installed()
    webhook = replica(kube, tmp_path, Clock())
    await webhook.prepare()
    before = list(kube.writes)
    await webhook.refresh()
    assert kube.writes == before


async def test_without_its_secret_the_operator_starts_all_the_same(tmp_path: Path) -> None:
    kube = MemoryKube()
    webhook = replica(kube, tmp_path, Clock())
    await webhook.prepare()
    assert webhook.certificate.read_bytes()
    assert CONFIGURATION not in kube.objects


def test_a_taken_port_is_named_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"127.0.0.1:{port}.*--admission-port"):
            Endpoint("127.0.0.1", port).check_free()


def test_only_changed_specs_of_served_namespaces_are_judged_and_never_wait_long() -> None:
    made: Any = configuration(Endpoint("127.77.0.99", 9443), b"ca", ["tradefeeds"], ["one", "two"])
    (webhook,) = made["webhooks"]
    assert made["metadata"]["name"] == f"{NAME}-one"
    assert webhook["clientConfig"]["url"] == "https://127.77.0.99:9443/tapehouse"
    assert b64decode(webhook["clientConfig"]["caBundle"]) == b"ca"
    assert webhook["rules"][0]["operations"] == ["CREATE", "UPDATE"]
    assert webhook["rules"][0]["resources"] == ["tradefeeds"], "no status, no other subresource"
    assert webhook["failurePolicy"] == "Ignore"
    assert webhook["sideEffects"] == "None"
    assert 2 <= webhook["timeoutSeconds"] <= 5
    (expression,) = webhook["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["one", "two"]
