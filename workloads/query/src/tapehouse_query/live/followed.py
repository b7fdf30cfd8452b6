"""Equal subscriptions share one execution and one encoding.

A hundred viewers of one subscription cost one execution per event and a hundred sends. Each
follower has a bounded queue; a slow one loses the oldest results.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Hashable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from tapehouse_query import metrics
from tapehouse_query.live.hub import CAPACITY, Subscriber

log = logging.getLogger(__name__)

Start: TypeAlias = Callable[[], Awaitable[AsyncGenerator[Any, None]]]
"""Starts an execution; its results are GraphQL's, with `data` and `errors`."""


@dataclass(eq=False, slots=True)
class _Stream:
    """One execution and its followers; the result None means that it has ended."""

    followers: set[Subscriber[Any]] = field(default_factory=set)
    task: asyncio.Task[None] | None = None

    def put(self, result: Any) -> None:
        for follower in self.followers:
            follower.put(result)


class Followed:
    """The executions with followers. Belongs to one event loop."""

    def __init__(self) -> None:
        self._streams: dict[Hashable, _Stream] = {}

    async def follow(self, name: str, key: Hashable, start: Start) -> AsyncIterator[Any]:
        """Future results of the execution with this key, which is started if necessary.

        `name` labels the metrics.
        """
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream()
            stream.task = asyncio.create_task(self._run(key, stream, start))
        follower: Subscriber[Any] = Subscriber(CAPACITY)
        stream.followers.add(follower)
        metrics.SUBSCRIBERS.labels(name).inc()
        try:
            async for result in follower.events():
                if result is None:
                    return
                yield result
        finally:
            metrics.SUBSCRIBERS.labels(name).dec()
            metrics.DROPPED.labels(name).inc(follower.dropped)
            stream.followers.discard(follower)
            if not stream.followers and stream.task:
                self._forget(key, stream)
                stream.task.cancel()

    async def _run(self, key: Hashable, stream: _Stream, start: Start) -> None:
        try:
            async with aclosing(await start()) as results:
                async for result in results:
                    if getattr(result, "data", None) is not None:
                        result.data = orjson.Fragment(orjson.dumps(result.data))
                    stream.put(result)
                    await asyncio.sleep(0)  # a burst is sent as it is executed, not after it
        except Exception:
            log.exception("a subscription ended")
        finally:
            self._forget(key, stream)
            stream.put(None)

    def _forget(self, key: Hashable, stream: _Stream) -> None:
        if self._streams.get(key) is stream:
            del self._streams[key]
