"""One Pod: its directory, address, volumes and containers, from its start to its removal."""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from tapehouse_laptop.context import Context
from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.kubeapi import PODS, ApiError, Key, Manifest
from tapehouse_laptop.node import images
from tapehouse_laptop.node.access import Tokens, pod_kubeconfig
from tapehouse_laptop.node.addresses import Addresses
from tapehouse_laptop.node.container import Backoff, Container, Launch, Setting, search_path
from tapehouse_laptop.node.disk import Gate
from tapehouse_laptop.node.environment import Surroundings, command_line, environment
from tapehouse_laptop.node.pulse import Pulse
from tapehouse_laptop.node.records import records
from tapehouse_laptop.node.sources import SourceError, Sources
from tapehouse_laptop.node.status import Record, now, status, waiting
from tapehouse_laptop.node.volumes import Volumes, link

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY = 2.0
REPORT_PAUSE = 0.05
"""Changes that come together make one status."""
SHUTDOWN_GRACE = 15.0
GONE = (404, 409)
"""The Pod was deleted, or made again under its name."""


@dataclass(frozen=True, slots=True)
class House:
    """What all Pods of the node share."""

    ctx: Context
    addresses: Addresses
    sources: Sources
    backoff: Backoff
    gate: Gate
    processes_changed: Callable[[], None]


class PodWorker:
    """Runs one Pod. `update` tells it of changes of the object."""

    def __init__(self, house: House, pod: Manifest) -> None:
        self.pod = pod
        self.containers: list[Container] = []
        self._house = house
        self._address = ""
        self._started = (pod.get("status") or {}).get("startTime") or now()
        self._init = records(pod, "initContainers", "initContainerStatuses")
        self._main = records(pod, "containers", "containerStatuses")
        self._finished = (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
        self._deleted = asyncio.Event()
        self._gone = False
        self._dirty = asyncio.Event()
        self._reported: Manifest = {}
        self._sources_changed = Pulse()
        self._tokens = Tokens(house.ctx.kube, pod)
        self.update(pod)

    @property
    def key(self) -> Key:
        """The Pod's namespace and name."""
        return Key.of(self.pod)

    @property
    def uid(self) -> str:
        """The Pod's uid."""
        return str(self.pod["metadata"]["uid"])

    def update(self, pod: Manifest) -> None:
        """The object has changed."""
        self.pod = pod
        if pod["metadata"].get("deletionTimestamp"):
            self._deleted.set()

    def gone(self) -> None:
        """The object is no more."""
        self._gone = True
        self._deleted.set()

    def sources_changed(self) -> None:
        """A ConfigMap or Secret the Pod refers to has changed."""
        self._sources_changed.beat()

    async def run(self) -> None:
        """Until the Pod is deleted and removed. Cancel it to stop the processes and leave the
        object as it is, for the next start."""
        life = asyncio.create_task(self._live())
        reporter = asyncio.create_task(self._report_changes())
        deletion = asyncio.create_task(self._deleted.wait())
        try:
            await asyncio.wait([life, deletion], return_when=asyncio.FIRST_COMPLETED)
            if not deletion.done():
                life.result()  # raises what ended it
                await deletion
            await _cancelled(life, reporter)
            if not self._gone:
                await self._remove()
            shutil.rmtree(self._directory, ignore_errors=True)
        finally:
            # On the way out of the node nothing is reported: its Pods are to go on.
            await _cancelled(reporter, deletion, life)
            self._house.addresses.release(self.uid)

    async def _remove(self) -> None:
        try:
            await self._report()
        except ApiError as error:
            if error.status not in GONE:
                raise
        await self._house.ctx.kube.delete(PODS, self.key, grace=0, uid=self.uid)

    @property
    def _directory(self) -> Path:
        return self._house.ctx.state.pods / self.uid

    async def _live(self) -> None:
        if self._finished:
            return
        self.containers.clear()
        for record in (*self._init, *self._main):
            record.ready = record.started = False
        self._dirty.set()
        found = await self._images()
        self._address = await self._until_there(lambda: self._house.addresses.take(self.pod))
        volumes = Volumes(
            self.pod,
            self._directory / "volumes",
            self._house.sources,
            self._address,
            self._tokens.get,
        )
        await self._tokens.fetch()
        await self._until_there(volumes.refresh)
        async with asyncio.TaskGroup() as group:
            upkeep = group.create_task(self._keep_fresh(volumes))
            await self._run_containers(found, volumes)
            upkeep.cancel()

    async def _run_containers(self, found: dict[str, images.Image], volumes: Volumes) -> None:
        spec = self.pod["spec"]
        # A failed initialization is tried again unless the policy forbids it.
        policy = "Never" if spec.get("restartPolicy") == "Never" else "OnFailure"
        for item, record in zip(spec.get("initContainers") or (), self._init, strict=True):
            if await self._container(item, record, found[item["name"]], volumes, policy).run():
                return
        policy = spec.get("restartPolicy", "Always")
        async with asyncio.TaskGroup() as group:
            for item, record in zip(spec["containers"], self._main, strict=True):
                if record.exit_code is not None:
                    continue  # it ended for good in an earlier life of the node
                image = found[item["name"]]
                group.create_task(self._container(item, record, image, volumes, policy).run())

    def _container(
        self, item: Manifest, record: Record, image: images.Image, volumes: Volumes, policy: str
    ) -> Container:
        root = self._directory / "roots" / item["name"]
        setting = Setting(
            state=self._house.ctx.state,
            name=f"{self.key}/{item['name']}",
            root=root,
            address=self._address,
            policy=policy,
            grace=self._grace,
            prepare=lambda: self._launch(item, root, image, volumes),
            changed=self._changed,
            backoff=self._house.backoff,
            gate=self._house.gate if image.takes_in else Gate(),
        )
        container = Container(item, record, setting)
        self.containers.append(container)
        return container

    def _grace(self) -> float:
        """Seconds between SIGTERM and SIGKILL, as things stand."""
        if self._gone:
            return 0.0
        meta, spec = self.pod["metadata"], self.pod["spec"]
        usual = float(spec.get("terminationGracePeriodSeconds", 30))
        if self._deleted.is_set():
            return float(meta.get("deletionGracePeriodSeconds", usual))
        return min(usual, SHUTDOWN_GRACE)

    def _changed(self) -> None:
        self._dirty.set()
        self._house.processes_changed()

    def _launch(self, item: Manifest, root: Path, image: images.Image, volumes: Volumes) -> Launch:
        (root / "tmp").mkdir(parents=True, exist_ok=True)
        volumes.mount(item, root)
        for place, target in image.links.items():
            link(root / place, target)
        env = environment(item, self._surroundings(root, image))
        # Relative to the container's root, as the paths in it are.
        cwd = root / str(item.get("workingDir", "")).lstrip("/")
        cwd.mkdir(parents=True, exist_ok=True)
        return Launch(_located(command_line(item, env), env["PATH"]), env, cwd)

    def _surroundings(self, root: Path, image: images.Image) -> Surroundings:
        ctx = self._house.ctx
        defaults = {
            "PATH": search_path(*image.path),
            "HOME": str(root),
            "TMPDIR": str(root / "tmp"),
            "LANG": "C.UTF-8",
            "HOSTNAME": self.key.name,
            "PYTHONUNBUFFERED": "1",
            **image.env,
        }
        fixed = {"TAPEHOUSE_ROOT": str(root), "TAPEHOUSE_DATA": str(ctx.data)}
        kubeconfig = pod_kubeconfig(self.pod, self._directory, ctx.state.kubeconfig)
        if kubeconfig:
            fixed["KUBECONFIG"] = str(kubeconfig)
        return Surroundings(self.pod, self._address, self._house.sources, defaults, fixed)

    async def _images(self) -> dict[str, images.Image]:
        """The stand-ins of all containers; does not return while one has none."""
        spec = self.pod["spec"]
        items = [*(spec.get("initContainers") or ()), *spec["containers"]]
        found: dict[str, images.Image] = {}
        while len(found) < len(items):
            for item, record in zip(items, (*self._init, *self._main), strict=True):
                try:
                    image = await asyncio.to_thread(images.resolve, item["image"])
                except (images.UnknownImageError, LaptopError) as error:
                    record.state = waiting("ErrImagePull", str(error))
                    self._dirty.set()
                else:
                    found[item["name"]] = image
            if len(found) < len(items):
                await asyncio.sleep(30)
        return found

    async def _until_there(self, attempt: Callable[[], T]) -> T:
        while True:
            try:
                return attempt()
            except SourceError as error:
                for record in (*self._init, *self._main):
                    if "waiting" in record.state:
                        record.state = waiting("ContainerCreating", str(error))
                self._dirty.set()
                await self._sources_changed.wait(RETRY)

    async def _keep_fresh(self, volumes: Volumes) -> None:
        while True:
            await self._sources_changed.wait(self._tokens.due())
            try:
                await self._tokens.fetch()
                volumes.refresh()
            except (SourceError, ApiError, aiohttp.ClientError, TimeoutError) as error:
                log.warning("Pod %s: volumes stay as they are: %s", self.key, error)

    async def _report_changes(self) -> None:
        while True:
            await self._dirty.wait()
            await asyncio.sleep(REPORT_PAUSE)
            self._dirty.clear()
            try:
                await self._report()
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                if isinstance(error, ApiError) and error.status in GONE:
                    continue
                log.warning("Pod %s: status not written: %s", self.key, error)
                await asyncio.sleep(RETRY)
                self._dirty.set()

    async def _report(self) -> None:
        new = status(self.pod, self._address, self._started, self._init, self._main)
        if self._finished or new == self._reported:
            return
        patch = {"metadata": {"uid": self.uid}, "status": new}
        self.pod = await self._house.ctx.kube.patch(PODS, self.key, patch, sub="status")
        self._reported = new


def _located(argv: list[str], path: str) -> list[str]:
    # The program is looked for in the container's PATH, not in the node's.
    found = shutil.which(argv[0], path=path) if os.sep not in argv[0] else None
    return [found or argv[0], *argv[1:]]


async def _cancelled(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
