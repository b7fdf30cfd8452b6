"""The lease counts how often its holder changed, as client-go and kubectl expect."""

import asyncio
import random
from copy import deepcopy
from typing import Any

import pytest
from tapehouse_operator.backends import lease as module
from tapehouse_operator.backends.lease import Lease


class OneLease:
    """A Kubernetes API that stores one Lease."""

    def __init__(self) -> None:
        self.live: dict[str, Any] | None = None
        self.version = 0

    async def get(self, _: object) -> dict[str, Any] | None:
        return deepcopy(self.live)

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._store(body)

    async def replace(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._store(body)

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.live = deepcopy(body)
        self.live["metadata"]["resourceVersion"] = str(self.version)
        return deepcopy(self.live)

    @property
    def spec(self) -> dict[str, Any]:
        assert self.live is not None
        return self.live["spec"]


async def lead_once(kube: Any, name: str) -> None:
    """Acquire the lease, and give it back."""
    leads = asyncio.Event()

    async def follow() -> None:
        leads.clear()

    lease = Lease(kube, "default", "operator", name, random.Random(1))
    task = asyncio.create_task(lease.run(leads.set, follow))
    await asyncio.wait_for(leads.wait(), 5)
    assert kube.spec["holderIdentity"] == name
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW", 0.05)


async def test_transitions_count_over_hand_overs() -> None:
    kube = OneLease()
    for number, name in enumerate(("one", "two", "three")):
        await lead_once(kube, name)
        assert kube.spec["holderIdentity"] == ""
        assert kube.spec["leaseTransitions"] == number


async def test_a_renewal_is_no_transition() -> None:
    kube = OneLease()
    kube.live = {
        "metadata": {"resourceVersion": "0"},
        "spec": {"holderIdentity": "one", "leaseTransitions": 6},
    }
    await lead_once(kube, "one")
    assert kube.spec["leaseTransitions"] == 6
