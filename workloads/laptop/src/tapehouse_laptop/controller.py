"""The frame of a controller: a live copy of some objects, and a queue of keys to look at."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, TypeVar

import aiohttp

from tapehouse_laptop.kubeapi import ApiError, Key, Kube, Manifest, Resource

log = logging.getLogger(__name__)

K = TypeVar("K")
Listener = Callable[[Key, Manifest | None, Manifest | None], None]

BACKOFF = (0.1, 30.0)
"""First and longest pause after a failure, in seconds."""


class Mirror:
    """A live copy of all objects of one kind: listed once, then watched.

    `run` keeps it up to date for ever. Objects that vanished while the watch was broken are
    reported as deleted by the list that follows.
    """

    def __init__(
        self, kube: Kube, resource: Resource, namespace: str = "", selector: str = ""
    ) -> None:
        self._kube = kube
        self._resource = resource
        self._scope = (namespace, selector)
        self._objects: dict[Key, Manifest] = {}
        self._listeners: list[Listener] = []
        self._synced = asyncio.Event()

    def on_change(self, listener: Listener) -> None:
        """Call `listener(key, old, new)` on every change; `new` is None after a deletion."""
        self._listeners.append(listener)

    def get(self, namespace: str, name: str) -> Manifest | None:
        """The object as last seen. Do not change it."""
        return self._objects.get(Key(namespace, name))

    def __iter__(self) -> Iterator[Manifest]:
        return iter(list(self._objects.values()))

    async def synced(self) -> None:
        """Return once the first list is in."""
        await self._synced.wait()

    async def run(self) -> None:
        """List and watch until cancelled; any failure is followed by a pause and another try."""
        pause = BACKOFF[0]
        while True:
            try:
                version = await self._relist()
                pause = BACKOFF[0]
                while True:
                    version = await self._follow(version)
            except ApiError as error:
                if error.status != 410:
                    log.warning("watching %s: %s", self._resource.plural, error)
                    await asyncio.sleep(pause)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                log.debug("watching %s: %s", self._resource.plural, error)
                await asyncio.sleep(pause)
            pause = min(pause * 2, BACKOFF[1])

    async def _relist(self) -> str:
        items, version = await self._kube.list(self._resource, *self._scope)
        fresh = {Key.of(item): item for item in items}
        for key in self._objects.keys() - fresh.keys():
            self._put(key, None)
        for key, item in fresh.items():
            self._put(key, item)
        self._synced.set()
        return version

    async def _follow(self, version: str) -> str:
        async for event, item in self._kube.watch(self._resource, version, *self._scope):
            version = item["metadata"]["resourceVersion"]
            if event != "BOOKMARK":
                self._put(Key.of(item), None if event == "DELETED" else item)
        return version

    def _put(self, key: Key, new: Manifest | None) -> None:
        old = self._objects.get(key)
        if new is None:
            self._objects.pop(key, None)
        else:
            self._objects[key] = new
        if _version(old) == _version(new):
            return
        for listener in self._listeners:
            listener(key, old, new)


def _version(item: Manifest | None) -> tuple[str, str] | None:
    if item is None:
        return None
    return item["metadata"]["uid"], item["metadata"]["resourceVersion"]


class Workqueue(Generic[K]):
    """Keys to look at: each at most once in the queue and never by two workers at a time."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[K] = asyncio.Queue()
        self._waiting: set[K] = set()
        self._busy: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}

    def add(self, key: K, after: float = 0.0) -> None:
        """Look at `key`, after so many seconds. The earliest request wins."""
        if after > 0:
            self._schedule(key, after)
            return
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._busy:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._queue.put_nowait(key)

    def _schedule(self, key: K, after: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + after
        if (timer := self._timers.get(key)) and timer.when() <= due:
            return
        if timer:
            timer.cancel()
        self._timers[key] = loop.call_at(due, self.add, key)

    async def run(self, handle: Callable[[K], Awaitable[float | None]], workers: int = 4) -> None:
        """Call `handle(key)` for ever. It may return seconds after which to look again.

        An exception is logged and the key comes back with growing pauses.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work(handle))

    async def _work(self, handle: Callable[[K], Awaitable[float | None]]) -> None:
        while True:
            key = await self._queue.get()
            self._waiting.discard(key)
            self._busy.add(key)
            try:
                again = await self._attempt(handle, key)
            finally:
                self._busy.discard(key)
            if again is not None:
                self.add(key, max(again, 0.001))
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    async def _attempt(
        self, handle: Callable[[K], Awaitable[float | None]], key: K
    ) -> float | None:
        try:
            again = await handle(key)
        except Exception as error:  # a controller must outlive any one object
            count = self._failures[key] = self._failures.get(key, 0) + 1
            log.warning("%s: %s: %s", key, type(error).__name__, error)
            log.debug("%s", key, exc_info=error)
            pause = min(BACKOFF[0] * float(2 ** min(count, 16)), BACKOFF[1])
            return pause * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        self._failures.pop(key, None)
        return again
