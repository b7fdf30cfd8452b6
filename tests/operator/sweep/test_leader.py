"""Two replicas on one API server: whatever is cut off from the leader, never do two write."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest
from tapehouse_kube.client import REQUEST_TIMEOUT
from tapehouse_laptop.kubeapi import Kube
from tapehouse_operator.backends.lease import DURATION

from tests.operator.sweep.rig import OperatorProcess, behind, give_rights, until
from tests.operator.sweep.stories import OURS, RESOURCES, Ground, put
from tests.support.apifaults import Frozen, Silent, Slow
from tests.support.calls import Call, Fault
from tests.support.controlplane import ApiServer
from tests.support.faultproxy import FaultProxy

pytestmark = pytest.mark.api
HURRY = 5.0
SLACK = 0.15
"""Seconds between two clocks' readings of the same moment."""


@dataclass
class Replicas:
    kube: Kube
    ground: Ground
    one: OperatorProcess
    two: OperatorProcess


@contextlib.asynccontextmanager
async def replicas(server: ApiServer, directory: Path, prefix: str) -> AsyncIterator[Replicas]:
    """`one` leads, `two` waits."""
    access, net = give_rights(server), server.net.prefix
    async with contextlib.AsyncExitStack() as stack:
        kube = await stack.enter_async_context(server.client())
        made = []
        for host in (f"{net}.9.11", f"{net}.9.12"):
            proxy = await stack.enter_async_context(FaultProxy(access, host))
            path = behind(proxy, access, directory)
            made.append(OperatorProcess(directory, proxy, path, host, HURRY, election=True))
        both = Replicas(kube, Ground(kube, prefix, "http://127.0.0.1:9"), *made)
        try:
            await both.one.start()
            await until(lambda: renewed(both.one), "the first to lead")
            await both.two.start()
            yield both
        finally:
            for operator in made:
                await operator.stop()
            await both.ground.clear()


def renewed(operator: OperatorProcess) -> list[Call]:
    """The renewals that arrived."""
    return [
        call
        for call in operator.proxy.log
        if call.resource == "leases" and call.verb != "GET" and 200 <= call.forwarded < 300
    ]


@contextlib.asynccontextmanager
async def restless_user(r: Replicas) -> AsyncIterator[str]:
    """A resource that is changed several times a second."""
    (name,) = await r.ground.namespaces(1)
    feed = deepcopy(dict(RESOURCES["TradeFeed"]))

    async def change() -> None:
        for n in itertools.count():
            feed["spec"]["source"] = {"websocket": {"url": f"wss://stream{n}.example.com"}}
            await put(r.kube, name, feed)
            await asyncio.sleep(0.15)

    task = asyncio.create_task(change())
    try:
        yield name
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def is_renewal(call: Call) -> bool:
    return call.resource == "leases"


CUTS: dict[str, Callable[[], tuple[Fault, ...]]] = {
    "renewals": lambda: (Silent(is_renewal),),
    "renewals, and writes take long": lambda: (
        Silent(is_renewal),
        Slow(REQUEST_TIMEOUT / HURRY * 0.8, lambda call: call.is_write),
    ),
    "everything": lambda: (Silent(lambda call: True), Frozen()),
}


SAMPLE = "renewals"
LONG = [pytest.param(name, marks=pytest.mark.e2e) for name in CUTS if name != SAMPLE]


@pytest.mark.parametrize("cut", [SAMPLE, *LONG])
async def test_never_two_writers(apiserver: ApiServer, tmp_path: Path, cut: str) -> None:
    prefix = f"leader-{list(CUTS).index(cut)}"  # the former one's namespaces are still going
    async with replicas(apiserver, tmp_path, prefix) as r, restless_user(r) as name:
        first, second = r.one.proxy, r.two.proxy
        await until(first.writes, "the leader to write")
        with first.fault(*CUTS[cut]()):
            await until(second.writes, "the other to take over", DURATION / HURRY * 3)
            await asyncio.sleep(1.0)

        deadline = renewed(r.one)[-1].started + (DURATION - REQUEST_TIMEOUT) / HURRY
        begun = [call.started for call in first.writes() if call.forwarded]
        assert max(begun) < deadline + SLACK, "a write began too late to end within the lease"
        ended = max(call.ended for call in first.writes() if call.forwarded)
        assert ended < second.writes()[0].started, "two writers"

        mark, taken_over = len(first.log), len(second.log)
        await asyncio.sleep(2.0)
        assert first.writes(mark) == [], "the old leader writes again"
        assert second.writes(taken_over)
        assert r.one.running
        assert r.one.complaints() == r.two.complaints() == []

        await r.two.kill()
        await until(lambda: first.writes(mark), "the first to lead again", DURATION / HURRY * 3)
        live = await r.kube.list(OURS["TradeFeed"], name)
        assert len(live[0]) == 1
