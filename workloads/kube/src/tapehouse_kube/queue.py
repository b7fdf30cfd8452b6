"""A work queue: one flag per key, N workers, back-off per key."""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

BACKOFF = (0.1, 30.0)
"""Seconds before the first and at most before any later repetition."""


class WakeQueue(Generic[K]):
    """Runs `work` for woken keys, never twice at once for the same key.

    A key woken many times before its turn has one turn; one woken during its turn has another.
    """

    def __init__(
        self, work: Callable[[K], Awaitable[None]], workers: int, rng: random.Random
    ) -> None:
        self._work, self._count, self._random = work, workers, rng
        self._ready: OrderedDict[K, float] = OrderedDict()
        self._busy: dict[K, float] = {}
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._arrived = asyncio.Event()

    def wake(self, key: K) -> None:
        """Look at `key` as soon as a worker is free."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._busy:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = asyncio.get_running_loop().time()
            self._arrived.set()

    def wake_after(self, key: K, seconds: float) -> None:
        """Look at `key` again in a while, unless something wakes it before."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self.wake, key)

    def retry(self, key: K, at_least: float = 0.0) -> None:
        """Look at `key` again with back-off: twice as long each time it fails, jittered."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(BACKOFF[0] * 2.0 ** min(failures, 16), BACKOFF[1])
        self.wake_after(key, max(at_least, delay * self._random.uniform(0.5, 1.0)))

    def settled(self, key: K) -> None:
        """It went well: the next failure starts from the shortest delay."""
        self._failures.pop(key, None)

    def forget(self, key: K) -> None:
        """The key is no more."""
        self.settled(key)
        self._ready.pop(key, None)
        if timer := self._timers.pop(key, None):
            timer.cancel()

    def clear(self) -> None:
        """Forget what waits; what is under way ends by itself."""
        for key in {*self._ready, *self._timers}:
            self.forget(key)
        self._again.clear()

    @property
    def depth(self) -> int:
        """How many keys wait for a worker."""
        return len(self._ready)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is under way; timers do not count."""
        return not self._ready and not self._busy

    def oldest(self) -> float:
        """Seconds that the key which has waited or worked longest has done so."""
        now = asyncio.get_running_loop().time()
        return max((now - t for t in (*self._ready.values(), *self._busy.values())), default=0.0)

    async def run(self) -> None:
        """Work until cancelled; turns under way are cancelled with it."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._count):
                group.create_task(self._worker(), name=f"worker {number}")

    async def _worker(self) -> None:
        while True:
            while not self._ready:
                self._arrived.clear()
                await self._arrived.wait()
            key, since = self._ready.popitem(last=False)
            self._busy[key] = since
            try:
                await self._work(key)
            finally:
                del self._busy[key]
                if key in self._again:
                    self._again.discard(key)
                    self.wake(key)
            # After a restart nearly no look waits for anything; watches, lease and health must not
            # wait for thousands of them.
            await asyncio.sleep(0)
