"""A real operator process behind a fault proxy, on a real API server and a real catalog."""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tapehouse_kube.access import Access, load_access
from tapehouse_laptop.kubeapi import Kube, Resource
from tapehouse_operator.kinds import KINDS
from tapehouse_operator.shell.rbac import manifests

from tests.operator.sweep.picture import Picture, differences, pictures
from tests.operator.sweep.stories import OURS, Ground
from tests.support.calls import WRITES
from tests.support.controlplane import ApiServer
from tests.support.faultproxy import FaultProxy
from tests.support.vendors import Vendors

EVENTS = Resource("v1", "Event", "events")
HOME = "sweep-home"
ROOT = Path(__file__).parents[3]
LULL = 1.5
"""Seconds without a write after which it is worth while to look."""
PATIENCE = 240.0
"""Seconds for hundreds of namespaces on a busy machine."""


@dataclass
class OperatorProcess:
    """`tapehouse-operator run --all-namespaces` that knows the API server only by a proxy."""

    directory: Path
    proxy: FaultProxy
    kubeconfig: Path
    host: str
    factor: float = 1.0
    election: bool = False
    process: asyncio.subprocess.Process | None = None

    async def start(self, without: str = "") -> None:
        """Returns once it watches; `without` is a kind that is not installed."""
        seen = len(self.proxy.log)
        election = () if self.election else ("--no-leader-election",)
        command = ["-m", "tests.operator.sweep.hurried", str(self.factor), "run", "-A"]
        with self._log().open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *(*command, "--address", self.host, *election),
                env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

        def watches() -> bool:
            plurals = {resource.plural for kind, resource in OURS.items() if kind != without}
            return plurals <= {call.resource for call in self.proxy.log[seen:] if call.watch}

        await until(lambda: watches() or not self.running, "the operator to watch", 120)
        assert self.running, self._log().read_text()[-2_000:]

    async def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is said."""
        await self._end(lambda process: process.kill())

    async def stop(self) -> None:
        await self._end(lambda process: process.terminate())

    async def _end(self, act: Callable[[asyncio.subprocess.Process], None]) -> None:
        process, self.process = self.process, None
        if process is not None:
            if process.returncode is None:
                act(process)
            await process.wait()

    def _log(self) -> Path:
        return self.directory / f"operator-{self.host}.log"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def complaints(self) -> list[str]:
        """Lines of its log that tell of a defect; Kopf calls every failed request an error, and
        fails in callbacks of its own when it ends."""
        found = []
        for line in self._log().read_text().splitlines():
            entry = json.loads(line) if line.startswith("{") else {}
            bad = entry.get("level") in ("ERROR", "CRITICAL") or not entry
            kopf = entry.get("logger", "").startswith("kopf") or "/kopf/" in line
            if bad and not kopf:
                found.append(line[:1_000])
        return found


@dataclass
class Rig:
    """Everything a fault test needs."""

    server: ApiServer
    kube: Kube
    proxy: FaultProxy
    operator: OperatorProcess
    ground: Ground
    catalog: str
    directory: Path

    async def pictures(self, namespaces: Iterable[str]) -> dict[str, Picture]:
        return await pictures(self.kube, namespaces, self.catalog)

    async def lull(self, seconds: float = LULL) -> None:
        """Wait until the operator has not written for so long."""
        while True:
            quiet = time.monotonic() - self.last_write()
            if quiet >= seconds:
                return
            await asyncio.sleep(seconds - quiet + 0.05)

    async def _all_told(self) -> None:
        """Wait until the operator has no Event left to post."""
        told = -1
        while told != (told := sum(1 for call in self.proxy.log if call.resource == "events")):
            await asyncio.sleep(2.0)

    def last_write(self) -> float:
        """When the newest write ended; now, while one is under way."""
        now = time.monotonic()
        recent = [c for c in self.proxy.log[-2_000:] if c.is_write and not c.held]
        return max((c.ended or now for c in recent), default=0.0)

    async def settled(self, namespaces: Iterable[str], patience: float = PATIENCE) -> None:
        """Wait until every resource in `namespaces` is Ready as it is declared now."""
        names, deadline = set(namespaces), time.monotonic() + patience
        while True:
            await self.lull()
            waiting = [text async for text in self._unready(names)]
            if not waiting:
                return
            assert time.monotonic() < deadline, "\n".join(["still not Ready:", *waiting[:10]])
            await asyncio.sleep(0.5)

    async def _unready(self, names: set[str]) -> AsyncIterator[str]:
        for resource in OURS.values():
            for item in (await self.kube.list(resource))[0]:
                meta = item["metadata"]
                if meta["namespace"] in names and not is_ready(item):
                    ready = condition(item, "Ready")
                    yield f"{resource.kind} {meta['namespace']}/{meta['name']}: {ready}"

    async def come_to(self, expected: Mapping[str, Picture], patience: float = PATIENCE) -> None:
        """Wait until every namespace looks as expected; fails with the differences."""
        deadline = time.monotonic() + patience
        while True:
            await self.lull()
            found = await self.pictures(expected)
            wrong = {n: d for n in expected if (d := differences(expected[n], found[n]))}
            if not wrong:
                return
            told = [f"{n}: {line}" for n, lines in sorted(wrong.items()) for line in lines[:6]]
            assert time.monotonic() < deadline, "\n".join(["expected != found", *told[:40]])
            await asyncio.sleep(1.0)

    async def rest(self, seconds: float) -> None:
        """Nobody writes for so long: neither the operator as it is, nor a new one."""
        await self._all_told()
        before = len(self.proxy.log)
        await asyncio.sleep(seconds)
        await self.operator.stop()
        await self.operator.start()
        await asyncio.sleep(min(seconds, 5.0))
        calls = [
            call
            for call in self.proxy.log[before:]
            if call.verb in WRITES and call.namespace in self.ground.made
        ]
        if calls:
            written = [f"{call.namespace}: {call}" for call in calls]
            told = [await self._told(name) for name in {call.namespace for call in calls[:20]}]
            raise AssertionError("\n".join(["writes at rest:", *written[:50], *told]))

    async def _told(self, namespace: str) -> str:
        """The newest Events of a namespace."""
        items = (await self.kube.list(EVENTS, namespace))[0]
        items = [item for item in items if item["involvedObject"]["kind"] in OURS]
        items.sort(key=lambda item: item["lastTimestamp"])
        lines = [f"{item['lastTimestamp']} {item['reason']}: {item['message']}" for item in items]
        return "\n".join([f"told in {namespace}:", *lines[-6:]])


def condition(item: Mapping[str, Any], kind: str) -> dict[str, Any]:
    found = (item.get("status") or {}).get("conditions") or ()
    return next((c for c in found if c["type"] == kind), {})


def is_ready(item: Mapping[str, Any]) -> bool:
    """Ready, and not only as it was declared before."""
    current = (item.get("status") or {}).get("observedGeneration") == item["metadata"]["generation"]
    alive = "deletionTimestamp" not in item["metadata"]
    return alive and current and condition(item, "Ready").get("status") == "True"


async def until(so: Callable[[], Any], what: str, timeout: float = 30.0) -> None:
    deadline = time.monotonic() + timeout
    while not so():
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s for {what}"
        await asyncio.sleep(0.05)


def give_rights(server: ApiServer) -> Access:
    """The operator's account with the rights it prints itself; how it reaches the API server."""
    server.kubectl("create", "namespace", HOME, check=False)
    rbac = manifests(KINDS, [], f"{HOME}/tapehouse-operator")
    server.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(rbac))
    token = server.kubectl("create", "token", "tapehouse-operator", "-n", HOME).strip()
    config = yaml.safe_load(server.kubeconfig.read_text())
    config["users"] = [{"name": "operator", "user": {"token": token}}]
    config["contexts"][0]["context"] |= {"user": "operator", "namespace": HOME}
    path = server.directory / "sweep.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return load_access(str(path))


def behind(proxy: FaultProxy, access: Access, directory: Path) -> Path:
    """A kubeconfig that leads to the proxy."""
    cluster = {"name": "proxy", "cluster": {"server": proxy.address}}
    user = {"name": "operator", "user": {"token": access.authorization().removeprefix("Bearer ")}}
    context = {"cluster": "proxy", "user": "operator", "namespace": HOME}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [user],
        "contexts": [{"name": "proxy", "context": context}],
        "current-context": "proxy",
    }
    path = directory / f"{proxy.address.rpartition('/')[2].replace(':', '-')}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@contextlib.asynccontextmanager
async def rig(
    server: ApiServer, directory: Path, catalog: str, prefix: str, factor: float = 1.0
) -> AsyncIterator[Rig]:
    """A running operator without faults, and vendors that make everything ready."""
    access, host = give_rights(server), f"{server.net.prefix}.9.10"
    async with server.client() as kube, FaultProxy(access, host) as proxy:
        operator = OperatorProcess(directory, proxy, behind(proxy, access, directory), host, factor)
        ground = Ground(kube, prefix, catalog)
        playing = asyncio.create_task(Vendors(kube, lambda name: name.startswith(prefix)).run())
        made = Rig(server, kube, proxy, operator, ground, catalog, directory)
        try:
            await operator.start()
            yield made
        finally:
            await operator.stop()
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
            await ground.clear()
