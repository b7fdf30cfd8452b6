"""The control plane is a real one: authorization, admission, controllers, vendors' kinds."""

import asyncio
import ssl

import pytest
from tapehouse_kube.access import Access, load_access
from tapehouse_laptop.kubeapi import (
    CONFIG_MAPS,
    KAFKA_TOPICS,
    NAMESPACES,
    PODS,
    SERVICE_ACCOUNTS,
    ApiError,
    Key,
    Kube,
)

from tests.support.controlplane import ApiServer

pytestmark = pytest.mark.api


def config_map(namespace: str, name: str, **data: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": name},
        "data": data,
    }


async def namespace(kube: Kube, name: str) -> str:
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await kube.apply(NAMESPACES, manifest)
    for _ in range(100):
        if await kube.get(SERVICE_ACCOUNTS, Key(name, "default")):
            return name
        await asyncio.sleep(0.1)
    raise AssertionError("no default ServiceAccount")


async def test_vendors_kinds_have_their_names_columns_and_status(apiserver: ApiServer) -> None:
    async with apiserver.client() as kube:
        ns = await namespace(kube, "vendors")
        topic = {
            "apiVersion": "kafka.strimzi.io/v1",
            "kind": "KafkaTopic",
            "metadata": {
                "namespace": ns,
                "name": "raw.trades",
                "labels": {"strimzi.io/cluster": "tape"},
            },
            "spec": {"partitions": 6, "replicas": 1, "config": {"retention.ms": 1000}},
        }
        await kube.create(KAFKA_TOPICS, topic)
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        await kube.patch_status(KAFKA_TOPICS, Key(ns, "raw.trades"), ready)
    row = apiserver.kubectl("get", "kt", "-n", ns, "--no-headers").split()
    assert row[:5] == ["raw.trades", "tape", "6", "1", "True"]
    assert "flinkdeployments" in apiserver.kubectl("api-resources", "--api-group=flink.apache.org")


async def test_an_account_may_do_only_what_it_was_granted(apiserver: ApiServer) -> None:
    async with apiserver.client() as admin:
        ns = await namespace(admin, "rbac")
        token = await admin.token(Key(ns, "default"), 3600)
    access = load_access(str(apiserver.kubeconfig))
    anonymous_tls = Access(
        access.server, _without_certificate(apiserver), lambda: f"Bearer {token}", "default"
    )
    async with Kube(anonymous_tls) as kube:
        with pytest.raises(ApiError) as refused:
            await kube.list(PODS, ns)
    assert refused.value.status == 403
    assert f"system:serviceaccount:{ns}:default" in str(refused.value)


def _without_certificate(apiserver: ApiServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(apiserver.directory / "pki" / "ca.crt"))


async def test_a_watch_reports_what_changes_after_the_list(apiserver: ApiServer) -> None:
    async with apiserver.client() as kube:
        ns = await namespace(kube, "watches")
        await kube.create(CONFIG_MAPS, config_map(ns, "before", a="1"))
        items, version = await kube.list(CONFIG_MAPS, ns)
        assert "before" in {item["metadata"]["name"] for item in items}
        large = "x" * 300_000
        await kube.apply(CONFIG_MAPS, config_map(ns, "before", a=large))
        await kube.delete(CONFIG_MAPS, Key(ns, "before"))
        seen = []
        async for event, item in kube.watch(CONFIG_MAPS, version, ns):
            if item["metadata"].get("name") == "before":
                seen.append((event, len(item["data"]["a"])))
            if event == "DELETED":
                break
    assert seen == [("MODIFIED", 300_000), ("DELETED", 300_000)]


async def test_deleting_with_anothers_uid_deletes_nothing(apiserver: ApiServer) -> None:
    async with apiserver.client() as kube:
        ns = await namespace(kube, "uids")
        await kube.create(CONFIG_MAPS, config_map(ns, "kept"))
        assert not await kube.delete(CONFIG_MAPS, Key(ns, "kept"), uid="another")
        assert not await kube.delete(CONFIG_MAPS, Key(ns, "absent"))
        assert await kube.get(CONFIG_MAPS, Key(ns, "kept"))
