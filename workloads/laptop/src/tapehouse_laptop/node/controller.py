"""The laptop's only node: registers itself, and has a worker for every Pod assigned to it."""

import asyncio
import contextlib
import logging
import platform
import shutil
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from tapehouse_laptop.context import Context
from tapehouse_laptop.controller import BACKOFF, Mirror
from tapehouse_laptop.kubeapi import CONFIG_MAPS, NODES, PODS, SECRETS, Key, Manifest
from tapehouse_laptop.node import logfiles, logserver
from tapehouse_laptop.node.addresses import Addresses
from tapehouse_laptop.node.container import Backoff
from tapehouse_laptop.node.disk import Gate, Guard
from tapehouse_laptop.node.sources import Sources
from tapehouse_laptop.node.status import now
from tapehouse_laptop.node.worker import House, PodWorker

log = logging.getLogger(__name__)

NODE = "laptop"
ROW = "node"
CAPACITY = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "500"}
"""Requests are sized for clusters and not enforced here: the node takes every Pod."""
CONFIG_MAP_KEYS = ("configMap", "configMapKeyRef", "configMapRef")
SECRET_KEYS = ("secret", "secretKeyRef", "secretRef")


async def run(ctx: Context, backoff: Backoff | None = None) -> None:
    """Run Pods until cancelled; then stop their processes and leave their objects as they are."""
    await Node(ctx, backoff or Backoff()).run()


class Node:
    """The workers of all Pods."""

    def __init__(self, ctx: Context, backoff: Backoff) -> None:
        self._ctx = ctx
        self._pods = Mirror(ctx.kube, PODS)
        config_maps, secrets = Mirror(ctx.kube, CONFIG_MAPS), Mirror(ctx.kube, SECRETS)
        self._mirrors = (config_maps, secrets, self._pods)
        self._house = House(
            ctx,
            Addresses(ctx.net),
            Sources(config_maps, secrets),
            backoff,
            Gate(),
            self._show_processes,
        )
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._pods.on_change(self._pod_changed)
        config_maps.on_change(lambda key, *_: self._source_changed("ConfigMap", key))
        secrets.on_change(lambda key, *_: self._source_changed("Secret", key))

    async def run(self) -> None:
        """Until cancelled."""
        self._ctx.components.set(ROW, "Starting")
        await self._register()
        try:
            async with self._logs_served(), asyncio.TaskGroup() as group:
                for mirror in self._mirrors:
                    group.create_task(mirror.run())
                    # Sources before Pods: a Pod never starts on a view that lacks them.
                    await mirror.synced()
                self._remove_leftovers()
                group.create_task(self._keep_logs_small())
                group.create_task(self._guard().run())
                self._show_processes()
        finally:
            await self._stop_all()
            self._ctx.components.set(ROW, "Stopped", pids={})

    def _logs_served(self) -> AbstractAsyncContextManager[None]:
        state = self._ctx.state
        if not logserver.possible(state):
            return contextlib.nullcontext()
        return logserver.serving(state, self._ctx.net.control_plane, self._runs)

    def _runs(self, name: str) -> bool:
        return name in self._pids()

    def _guard(self) -> Guard:
        return Guard(self._ctx.data, self._house.gate, self._ctx.components)

    async def _register(self) -> None:
        await self._ctx.kube.apply(NODES, _node())
        await self._ctx.kube.apply(NODES, _node_status(self._ctx.net.control_plane), "status")

    def _pod_changed(self, key: Key, old: Manifest | None, new: Manifest | None) -> None:
        if old and (new is None or _uid(old) != _uid(new)) and (w := self._workers.get(_uid(old))):
            w.gone()
        if new is None or new["spec"].get("nodeName") != NODE:
            return
        if worker := self._workers.get(_uid(new)):
            worker.update(new)
            return
        worker = self._workers[_uid(new)] = PodWorker(self._house, new)
        self._tasks[_uid(new)] = asyncio.create_task(self._tend(worker), name=f"pod {key}")

    async def _tend(self, worker: PodWorker) -> None:
        pause = BACKOFF[0]
        try:
            while True:
                try:
                    await worker.run()
                except Exception as error:  # one Pod must not take the others with it
                    log.exception("Pod %s: %s; again in %.1f s", worker.key, error, pause)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, BACKOFF[1])
                else:
                    return
        finally:
            self._workers.pop(worker.uid, None)
            self._tasks.pop(worker.uid, None)
            self._show_processes()

    def _remove_leftovers(self) -> None:
        for directory in self._ctx.state.pods.iterdir():
            if directory.name not in self._workers:
                shutil.rmtree(directory, ignore_errors=True)

    async def _stop_all(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _source_changed(self, kind: str, key: Key) -> None:
        for worker in self._workers.values():
            if worker.key.namespace == key.namespace and (kind, key.name) in set(
                referred(worker.pod["spec"])
            ):
                worker.sources_changed()

    def _show_processes(self) -> None:
        self._ctx.components.set(ROW, "Ready", pids=self._pids())

    def _pids(self) -> dict[str, int]:
        return {
            container.setting.name: container.process.pid
            for worker in self._workers.values()
            for container in worker.containers
            if container.process
        }

    async def _keep_logs_small(self) -> None:
        await asyncio.to_thread(logfiles.prune, self._ctx.state.logs)
        while True:
            await asyncio.sleep(logfiles.ROTATE_EVERY)
            await asyncio.to_thread(logfiles.rotate, self._ctx.state.logs)


def referred(spec: Any) -> Iterator[tuple[str, str]]:
    """The ConfigMaps and Secrets a Pod spec names, as (kind, name)."""
    if isinstance(spec, list):
        for item in spec:
            yield from referred(item)
    elif isinstance(spec, dict):
        for key, value in spec.items():
            if key in CONFIG_MAP_KEYS and "name" in value:
                yield "ConfigMap", value["name"]
            elif key in SECRET_KEYS and (name := value.get("secretName", value.get("name"))):
                yield "Secret", name
            else:
                yield from referred(value)


def _uid(pod: Manifest) -> str:
    return str(pod["metadata"]["uid"])


def _node() -> Manifest:
    labels = {
        "kubernetes.io/hostname": NODE,
        "kubernetes.io/os": platform.system().lower(),
        "kubernetes.io/arch": platform.machine(),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE, "labels": labels},
        "spec": {},
    }


def _node_status(address: str) -> Manifest:
    moment = now()
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "ProcessesRun",
        "message": "Pods run as processes of this machine",
        "lastHeartbeatTime": moment,
        "lastTransitionTime": moment,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE},
        "status": {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "conditions": [ready],
            "addresses": [{"type": "InternalIP", "address": address}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": logserver.PORT}},
        },
    }
