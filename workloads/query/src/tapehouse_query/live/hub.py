"""One stream of events to many subscribers, in bounded memory.

A slow subscriber loses its oldest events first; the loss is counted. A current price is worth more
than a complete but stale series, and the tables contain every row.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from tapehouse_query import metrics

CAPACITY = 256
"""Events that may be queued for one subscriber."""


class Keyed(Protocol):
    """An event that belongs to a symbol."""

    @property
    def symbol(self) -> str:
        """The instrument."""
        ...


E = TypeVar("E", bound=Keyed)


class Subscriber(Generic[E]):
    """A bounded queue with one reader."""

    def __init__(self, capacity: int) -> None:
        self._events: deque[E] = deque(maxlen=capacity)
        self._wake = asyncio.Event()
        self.dropped = 0

    def put(self, event: E) -> None:
        """Add an event; a full queue drops its oldest."""
        self.dropped += len(self._events) == self._events.maxlen
        self._events.append(event)
        self._wake.set()

    async def events(self) -> AsyncIterator[E]:
        """Every event, without end."""
        while True:
            while self._events:
                yield self._events.popleft()
            self._wake.clear()
            await self._wake.wait()


class Hub(Generic[E]):
    """Fans events out by symbol. Belongs to one event loop."""

    def __init__(self, stream: str, capacity: int = CAPACITY) -> None:
        self._stream = stream
        self._capacity = capacity
        self._by_symbol: dict[str | None, set[Subscriber[E]]] = defaultdict(set)

    def publish(self, events: Iterable[E]) -> None:
        """Put events into the queues of their symbol's subscribers and of those to all symbols."""
        for event in events:
            for key in (event.symbol, None):
                for subscriber in self._by_symbol.get(key, ()):
                    subscriber.put(event)

    @contextmanager
    def subscribe(self, symbols: frozenset[str] | None) -> Iterator[Subscriber[E]]:
        """A subscriber to these symbols (None = all) for the length of the block."""
        keys = symbols if symbols is not None else {None}
        subscriber: Subscriber[E] = Subscriber(self._capacity)
        for key in keys:
            self._by_symbol[key].add(subscriber)
        try:
            yield subscriber
        finally:
            metrics.DROPPED.labels(self._stream).inc(subscriber.dropped)
            for key in keys:
                self._by_symbol[key].discard(subscriber)
                if not self._by_symbol[key]:
                    del self._by_symbol[key]
