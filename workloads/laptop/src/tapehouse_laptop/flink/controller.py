"""Plays the Flink Kubernetes Operator's part: one task for each FlinkDeployment."""

import asyncio

import aiohttp

from tapehouse_laptop.context import Context
from tapehouse_laptop.controller import Mirror
from tapehouse_laptop.flink.attempts import Shared
from tapehouse_laptop.flink.config import FIRST_ADDRESS, LAST_ADDRESS
from tapehouse_laptop.flink.deployment import Deployment
from tapehouse_laptop.flink.line import Line
from tapehouse_laptop.flink.record import Record
from tapehouse_laptop.flink.wheel import Wheel
from tapehouse_laptop.kubeapi import CONFIG_MAPS, FLINK_DEPLOYMENTS, SECRETS, Key, Manifest
from tapehouse_laptop.node.sources import Sources


async def run(ctx: Context) -> None:
    """Until cancelled; the processes end on the way out, the jobs' state stays."""
    wheel = await asyncio.to_thread(Wheel.find)
    async with aiohttp.ClientSession() as session:
        await Controller(ctx, wheel, session).run()


class Controller:
    """Watches FlinkDeployments and what they mount."""

    def __init__(self, ctx: Context, wheel: Wheel, session: aiohttp.ClientSession) -> None:
        self._deployments = Mirror(ctx.kube, FLINK_DEPLOYMENTS)
        self._config_maps = Mirror(ctx.kube, CONFIG_MAPS)
        self._secrets = Mirror(ctx.kube, SECRETS)
        sources = Sources(self._config_maps, self._secrets)
        self._shared = Shared(ctx, wheel, session, sources, self._find, Line())
        self._running: dict[Key, tuple[Deployment, asyncio.Task[None]]] = {}
        self._changes: asyncio.Queue[Key] = asyncio.Queue()
        self._deployments.on_change(lambda key, old, new: self._changes.put_nowait(key))

    async def run(self) -> None:
        """Until cancelled."""
        mirrors = (self._deployments, self._config_maps, self._secrets)
        async with asyncio.TaskGroup() as group:
            for mirror in mirrors:
                group.create_task(mirror.run())
            for mirror in mirrors:
                await mirror.synced()
            while True:
                self._follow(await self._changes.get(), group)

    def _find(self, key: Key) -> Manifest | None:
        return self._deployments.get(*key)

    def _follow(self, key: Key, group: asyncio.TaskGroup) -> None:
        """Wake the deployment's task, or make one."""
        known = self._running.get(key)
        if known and not known[1].done():
            known[0].wake()
        elif self._find(key) is not None:
            deployment = Deployment(self._shared, key, self._record(key))
            self._running[key] = deployment, group.create_task(deployment.run())

    def _record(self, key: Key) -> Record:
        """The deployment's record: an earlier one of that name goes on where it stopped."""
        file = self._shared.record_file(key)
        if (known := Record.load(file)) is not None:
            return known
        fresh = Record(slot=self._free_slot())
        fresh.save(file)
        return fresh

    def _free_slot(self) -> int:
        files = (self._shared.ctx.data / "flink-jobs").glob("*/*.json")
        taken = {record.slot for file in files if (record := Record.load(file))}
        for slot in range(LAST_ADDRESS - FIRST_ADDRESS + 1):
            if slot not in taken:
                return slot
        raise RuntimeError(f"more than {len(taken)} Flink jobs on one machine")
