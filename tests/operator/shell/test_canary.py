"""An operator that hears nothing, or gets nothing done, says so."""

import asyncio
import random
from typing import Any

import aiohttp
from tapehouse_kube.objects import Ref
from tapehouse_operator.backends.canary import PATIENCE, Canary, listen
from tapehouse_operator.shell.health import OLDEST, serve_health, troubles

from tests.operator.engine.house import NS, house, widget
from tests.operator.engine.virtual import run_virtual
from tests.support.memory_kube import MemoryKube

LEASE = Ref("coordination.k8s.io/v1", "Lease", NS, "me")


class TestCanary:
    def test_it_is_quiet_about_what_comes_back(self) -> None:
        canary = Canary(lambda: 0.0)
        canary.known("Widget", 2)
        assert canary.unheard() == {}
        canary.heard("Widget", 3)
        canary.known("Widget", 5)
        assert canary.unheard() == {"Widget": 0.0}
        canary.heard("Widget", 4)
        assert canary.unheard() == {"Widget": 0.0}
        canary.heard("Widget", 7)
        canary.known("Widget", 6)  # the answer came after its event
        assert canary.unheard() == {}

    def test_it_counts_from_the_first_version_that_was_missed(self) -> None:
        now = [0.0]
        canary = Canary(lambda: now[0])
        canary.heard("Widget", 1)
        canary.known("Widget", 5)
        now[0] = 60.0
        canary.known("Widget", 9)
        canary.heard("Gadget", 20)
        assert canary.unheard() == {"Widget": 60.0}
        canary.heard("Widget", 5)
        assert canary.unheard() == {}


def freeze(kube: MemoryKube, kind: str) -> None:
    """Its watches stay open and tell nothing more."""
    kube._watchers = [watcher for watcher in kube._watchers if watcher.scope.kind != kind]


def test_a_watch_that_froze_is_noticed_by_the_operators_own_writes() -> None:
    async def scene() -> None:
        async with house() as one:
            one.put("w", size=1)
            await one.settle()
            assert troubles(one.engine) == []
            await asyncio.sleep(2 * PATIENCE)
            assert troubles(one.engine) == []  # at rest nothing is owed

            freeze(one.kube, "Widget")
            one.controllers.paused = True
            (deployment,) = (ref for ref in one.kube.objects if ref.kind == "Deployment")
            one.kube.remove(deployment)  # it comes back, not ready: a status is written
            await asyncio.sleep(PATIENCE - 1)
            assert troubles(one.engine) == []
            await asyncio.sleep(2)
            (trouble,) = troubles(one.engine)
            assert trouble.startswith("watch of Widget is deaf: ")

    run_virtual(scene())


def test_what_is_gone_owes_nothing() -> None:
    async def scene() -> None:
        async with house() as one:
            one.put("w", size=1)
            await one.settle()
            canary = one.engine.backend.canary
            version = int(one.kube.objects[widget("w")]["metadata"]["resourceVersion"])
            canary._streams["Widget"].missed = version
            one.kube.remove(widget("w"))
            await one.settle()
            assert canary.unheard() == {}

    run_virtual(scene())


def test_at_rest_the_lease_tells() -> None:
    async def scene() -> None:
        kube, canary = MemoryKube(), Canary()
        metadata = {"name": LEASE.name, "namespace": NS}
        body: dict[str, Any] = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "spec": {}}
        kube.create({**body, "metadata": metadata})
        informer = asyncio.create_task(listen(kube, LEASE, canary, random.Random(1)).run())

        async def renew(number: int) -> None:
            after = kube.edit(LEASE, {"spec": {"n": number}})
            canary.known(LEASE.kind, int(after["metadata"]["resourceVersion"]))
            await asyncio.sleep(8)

        await asyncio.sleep(1)
        for number in range(50):
            await renew(number)
            assert canary.unheard() == {}
        freeze(kube, LEASE.kind)
        for number in range(50, 80):
            await renew(number)
        assert canary.unheard()[LEASE.kind] > PATIENCE
        informer.cancel()

    run_virtual(scene())


def test_a_resource_that_is_stuck_is_noticed() -> None:
    async def scene() -> None:
        async with house() as one:

            async def hang(_: object) -> None:
                await asyncio.sleep(10 * OLDEST)

            one.engine.queue._work = hang
            one.put("w", size=1)
            await asyncio.sleep(OLDEST / 2)
            assert troubles(one.engine) == []
            await asyncio.sleep(OLDEST)
            assert "has been waiting or in work for" in troubles(one.engine)[0]

    run_virtual(scene())


async def test_the_probe_fails_with_the_reason() -> None:
    url = "http://127.83.0.1:9104/healthz"
    async with (
        house() as one,
        serve_health(one.engine, "127.83.0.1", 9104),
        aiohttp.ClientSession() as session,
    ):
        async with session.get(url) as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        canary = one.engine.backend.canary
        canary.heard("Widget", 1)
        canary.known("Widget", 2**60)
        canary._streams["Widget"].since -= PATIENCE
        async with session.get(url) as answer:
            assert answer.status == 503
            assert "watch of Widget is deaf" in await answer.text()
