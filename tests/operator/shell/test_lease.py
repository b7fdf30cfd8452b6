"""Leader election on a real API server."""

import asyncio
import random

import pytest
from tapehouse_kube.access import load_access
from tapehouse_kube.client import HttpKube
from tapehouse_kube.errors import Unavailable
from tapehouse_operator.backends import lease as module
from tapehouse_operator.backends.lease import Lease
from tapehouse_operator.errors import Fenced

from tests.support.controlplane import ApiServer

pytestmark = pytest.mark.api


class Candidate:
    """One process that would lead."""

    def __init__(self, kube: HttpKube, name: str, lease: str) -> None:
        self.kube, self.leading = kube, False
        self.lease = Lease(kube, "default", lease, name, random.Random(1))
        self.task = asyncio.create_task(self.lease.run(self._lead, self._follow))

    def _lead(self) -> None:
        self.leading = True

    async def _follow(self) -> None:
        self.leading = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DURATION", 4.0)
    monkeypatch.setattr(module, "RENEW", 0.5)
    monkeypatch.setattr(module, "REQUEST_TIMEOUT", 1.0)


async def until(so, what: str, timeout: float = 20.0) -> None:
    async with asyncio.timeout(timeout):
        while not so():
            await asyncio.sleep(0.05)


async def test_one_leads_and_hands_over_at_once_when_it_stops(apiserver: ApiServer) -> None:
    async with HttpKube(load_access(str(apiserver.kubeconfig))) as kube:
        one = Candidate(kube, "one", "hand-over")
        await until(lambda: one.leading, "one")
        two = Candidate(kube, "two", "hand-over")
        await asyncio.sleep(2)
        assert one.leading
        assert not two.leading
        with pytest.raises(Fenced):
            two.lease.fence()
        one.lease.fence()
        await one.stop()
        await until(lambda: two.leading, "two", timeout=3)
        await two.stop()


async def test_a_leader_that_cannot_renew_is_fenced_before_another_leads(
    apiserver: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = load_access(str(apiserver.kubeconfig))
    async with HttpKube(access) as kube, HttpKube(access) as cut_off:
        one = Candidate(cut_off, "one", "fence")
        await until(lambda: one.leading, "one")
        two = Candidate(kube, "two", "fence")

        async def unreachable(*_: object, **__: object) -> None:
            raise Unavailable("cut off")

        monkeypatch.setattr(cut_off, "get", unreachable)
        fenced_first = False
        async with asyncio.timeout(20):
            while not two.leading:
                fenced_first = fenced_first or not one.lease.is_leading
                assert not (two.lease.is_leading and one.lease.is_leading)
                await asyncio.sleep(0.02)
        assert fenced_first
        assert not one.leading
        await one.stop()
        await two.stop()
