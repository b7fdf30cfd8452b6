"""Things go in an order that nobody would choose, and nothing stays behind or gets stuck."""

import asyncio
import json
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tapehouse_laptop.kubeapi import (
    CONFIG_MAPS,
    CRDS,
    KAFKA_TOPICS,
    NAMESPACES,
    ApiError,
    Key,
    Resource,
)
from tapehouse_operator.names import FINALIZER, SETTINGS
from tapehouse_operator.reconcile import TEARDOWN_DEADLINE

from tests.operator.sweep.rig import Rig, condition, rig
from tests.operator.sweep.stories import CHAIN, OURS, RESOURCES, changed, gone, put, remove
from tests.support.apifaults import Down
from tests.support.controlplane import ApiServer

pytestmark = pytest.mark.api
HURRY = 30.0
FEED, TABLE, DASHBOARD = (RESOURCES[k] for k in ("TradeFeed", "LakehouseTable", "Dashboard"))
DEPLOYMENTS = Resource("apps/v1", "Deployment", "deployments")
REVISIONS = Resource("apps/v1", "ControllerRevision", "controllerrevisions")


async def status(r: Rig, name: str, body: Any) -> dict[str, Any]:
    live = await r.kube.get(OURS[body["kind"]], Key(name, body["metadata"]["name"]))
    assert live is not None
    return live


@pytest.mark.e2e
async def test_whatever_goes_first(apiserver: ApiServer, catalog: str, tmp_path: Path) -> None:
    async with rig(apiserver, tmp_path, catalog, "removal", HURRY) as r:
        await a_definition_goes(r)
        await a_namespace_goes(r)
        await the_catalog_is_away(r)
        await the_settings_go(r)
        await a_child_and_its_owner_go_unseen(r)
        await a_successor_keeps_its_children(r)
        assert r.operator.complaints() == []


async def a_definition_goes(r: Rig) -> None:
    """The CRD of a kind is deleted before its resources, and comes back."""
    (name,) = await r.ground.namespaces(1)
    for body in CHAIN:
        await put(r.kube, name, body)
    await r.settled([name])
    key = Key("", f"{OURS['Dashboard'].plural}.tapehouse.dev")
    definition = await r.kube.get(CRDS, key)
    assert definition is not None
    await r.kube.delete(CRDS, key)
    while await r.kube.get(CRDS, key) is not None:
        await asyncio.sleep(0.2)
    await put(r.kube, name, changed(FEED))
    await looked_at(r, name, FEED)
    await r.operator.stop()
    await r.operator.start(without="Dashboard")
    await put(r.kube, name, FEED)
    await looked_at(r, name, FEED)
    metadata = {"name": key.name}
    await r.kube.create(CRDS, {**definition, "metadata": metadata, "status": None})
    await when_served(r, name, DASHBOARD)
    await r.settled([name])
    await r.kube.patch(OURS["Dashboard"], Key(name, "prices"), {"spec": {"title": "Again"}})
    await r.settled([name])


async def looked_at(r: Rig, name: str, body: Any) -> None:
    """Others go on."""
    async with asyncio.timeout(60):
        while True:
            live = await status(r, name, body)
            if live["status"]["observedGeneration"] == live["metadata"]["generation"]:
                return
            await asyncio.sleep(0.2)


async def when_served(r: Rig, name: str, body: Any) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                return await put(r.kube, name, body)
            except ApiError:
                await asyncio.sleep(0.2)


async def a_namespace_goes(r: Rig) -> None:
    """With everything in it, in whatever order the API server likes."""
    (name,) = await r.ground.namespaces(1)
    for body in CHAIN:
        await put(r.kube, name, body)
    await r.settled([name])
    await r.kube.delete(NAMESPACES, Key("", name))
    async with asyncio.timeout(60):
        while await r.kube.get(NAMESPACES, Key("", name)) is not None:
            await asyncio.sleep(0.5)


async def the_catalog_is_away(r: Rig) -> None:
    """Nobody answers when the table is to be dropped: told at once, given up at the deadline."""
    (name,) = await r.ground.namespaces(1)
    await put(r.kube, name, TABLE)
    await r.settled([name])
    away = {"data": {"catalogUri": "http://127.0.0.1:9"}}
    await r.kube.patch(CONFIG_MAPS, Key(name, SETTINGS), away)
    started = time.monotonic()
    await remove(r.kube, name, TABLE)
    await asyncio.sleep(1.0)
    told = condition(await status(r, name, TABLE), "Ready")
    assert told["reason"] == "DeleteFailed"
    assert "tried again" in told["message"]
    await gone(r.kube, name, TABLE, TEARDOWN_DEADLINE / HURRY + 35)
    assert time.monotonic() - started >= TEARDOWN_DEADLINE / HURRY - 1


async def the_settings_go(r: Rig) -> None:
    """Nobody knows the catalog any more: as if it were away."""
    (name,) = await r.ground.namespaces(1)
    await put(r.kube, name, TABLE)
    await r.settled([name])
    assert FINALIZER in (await status(r, name, TABLE))["metadata"]["finalizers"]
    await r.kube.delete(CONFIG_MAPS, Key(name, SETTINGS))
    await remove(r.kube, name, TABLE)
    await gone(r.kube, name, TABLE, TEARDOWN_DEADLINE / HURRY + 35)


async def a_child_and_its_owner_go_unseen(r: Rig) -> None:
    """Deleted while the operator hears nothing: noticed after the next list."""
    one, two = await r.ground.namespaces(2)
    for name in (one, two):
        await put(r.kube, name, FEED)
    await r.settled([one, two])
    with r.proxy.fault(Down()):
        r.proxy.end_watches()
        await r.kube.delete(DEPLOYMENTS, Key(one, "ticks-feed"))
        await remove(r.kube, two, FEED)
        await asyncio.sleep(1.0)
    await exists(r, Key(one, "ticks-feed"), True)
    await exists(r, Key(two, "ticks-feed"), False)
    await r.settled([one])
    await asyncio.sleep(3.0)
    mark = len(r.proxy.log)
    topic = await r.kube.get(KAFKA_TOPICS, Key(two, "raw.ticks"))
    assert topic is not None, "what holds data is retained"
    await asyncio.sleep(2.0)
    assert r.proxy.writes(mark) == []


async def exists(r: Rig, deployment: Key, wanted: bool) -> None:
    async with asyncio.timeout(60):
        while (await r.kube.get(DEPLOYMENTS, deployment) is not None) is not wanted:
            await asyncio.sleep(0.2)


async def a_successor_keeps_its_children(r: Rig) -> None:
    """Deleted and made again while nobody looks: the children are the new one's, and stay."""
    for successor in (FEED, changed(FEED)):
        (name,) = await r.ground.namespaces(1)
        await put(r.kube, name, FEED)
        await r.settled([name])
        before = (await status(r, name, FEED))["metadata"]["uid"]
        with r.proxy.fault(Down()):
            r.proxy.end_watches()
            await remove(r.kube, name, FEED)
            await gone(r.kube, name, FEED)
            await put(r.kube, name, successor)
            await asyncio.sleep(1.0)
        await r.ground.collected(name)
        await r.settled([name])
        feed = await status(r, name, FEED)
        assert feed["metadata"]["uid"] != before
        for resource, child in (
            (DEPLOYMENTS, "ticks-feed"),
            (REVISIONS, feed["status"]["currentRevision"]),
        ):
            live = await r.kube.get(resource, Key(name, child))
            assert live is not None, child
            owners = [owner["uid"] for owner in live["metadata"]["ownerReferences"]]
            assert owners == [feed["metadata"]["uid"]], child


async def test_what_others_change(apiserver: ApiServer, catalog: str, tmp_path: Path) -> None:
    """Foreign fields stay; our own are set back, told, or left alone, as `driftPolicy` says."""
    topic = Key("", "raw.ticks")
    policies = ("Enforce", "Warn", "Ignore")
    async with rig(apiserver, tmp_path, catalog, "drift") as r:
        names = dict(zip(policies, await r.ground.namespaces(3), strict=True))
        for policy, name in names.items():
            feed = deepcopy(dict(FEED))
            feed["spec"]["driftPolicy"] = policy
            await put(r.kube, name, feed)
        await r.settled(names.values())
        meddled = {
            "metadata": {"annotations": {"note": "mine"}},
            "spec": {"config": {"retention.ms": 17}},
        }
        for name in names.values():
            await r.kube.patch(KAFKA_TOPICS, topic._replace(namespace=name), meddled)
        await asyncio.sleep(1.0)
        await r.lull()
        for policy, name in names.items():
            live = await r.kube.get(KAFKA_TOPICS, topic._replace(namespace=name))
            assert live is not None
            assert live["metadata"]["annotations"]["note"] == "mine"
            left = live["spec"]["config"]["retention.ms"] == 17
            assert left is (policy != "Enforce"), policy
            told = condition(await status(r, name, FEED), "Drifted")
            assert (told["status"] == "True") is (policy == "Warn"), policy
            assert ("retention.ms" in json.dumps(told)) is (policy == "Warn")
        assert r.operator.complaints() == []
