"""What may happen to calls of the Kubernetes API; `FaultProxy.fault` puts it in place.

They decide at random only by a generator that the test seeds.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from tests.support.calls import CUT, Answer, Call, Cut, Fault, hold, refusal


@dataclass
class Refuse(Fault):
    """Answers every chosen request itself: `Refuse(409, "Conflict")` refuses every write."""

    status: int
    reason: str
    chosen: Callable[[Call], bool] = field(default=lambda call: call.is_write)
    headers: dict[str, str] = field(default_factory=dict)
    count: int = 0
    """How many it has refused."""

    async def call(self, call: Call, forward: Callable[[], Awaitable[Answer]]) -> Answer:
        if not self.chosen(call):
            return await forward()
        self.count += 1
        return refusal(self.status, self.reason, **self.headers)

    async def open(self, call: Call) -> Answer | None:
        if not self.chosen(call):
            return None
        self.count += 1
        return refusal(self.status, self.reason, **self.headers)


class Down(Fault):
    """No request is answered; watches are cut at their next line, or by `end_watches`."""

    async def call(self, call: Call, forward: Callable[[], Awaitable[Answer]]) -> Answer:
        raise Cut

    async def open(self, call: Call) -> Answer | None:
        raise Cut

    async def line(self, call: Call, line: bytes) -> Iterable[bytes]:
        raise Cut


@dataclass
class Slow(Fault):
    """Chosen requests reach the API server late."""

    seconds: float
    chosen: Callable[[Call], bool] = field(default=lambda call: True)

    async def call(self, call: Call, forward: Callable[[], Awaitable[Answer]]) -> Answer:
        if self.chosen(call):
            await asyncio.sleep(self.seconds)
        return await forward()


@dataclass
class Silent(Fault):
    """Chosen requests are taken and never answered, nor passed on: a hole in the network."""

    chosen: Callable[[Call], bool]

    async def call(self, call: Call, forward: Callable[[], Awaitable[Answer]]) -> Answer:
        return await (hold(call) if self.chosen(call) else forward())


@dataclass
class Lossy(Fault):
    """Requests are lost at random, on their way or their answers on the way back."""

    rng: random.Random
    rate: float

    async def call(self, call: Call, forward: Callable[[], Awaitable[Answer]]) -> Answer:
        if self.rng.random() < self.rate / 2:
            raise Cut
        answer = await forward()
        if self.rng.random() < self.rate / 2:
            raise Cut
        return answer


class Frozen(Fault):
    """Watches are accepted and say nothing more, not even bookmarks."""

    async def line(self, call: Call, line: bytes) -> Iterable[bytes]:
        await asyncio.Future()
        return ()


@dataclass
class Truncated(Fault):
    """Every `nth` line of all watches ends in its middle, and the connection with it."""

    nth: int = 2
    count: int = 0

    async def line(self, call: Call, line: bytes) -> Iterable[bytes]:
        self.count += 1
        return (line,) if self.count % self.nth else (line[: len(line) // 2], CUT)


@dataclass
class Muddled(Fault):
    """Events are dropped, sent twice, and sent again long after newer ones.

    Clients cannot know of dropped events until a list: end the watches with a 410 afterwards.
    """

    rng: random.Random
    dropped: int = 0
    replayed: int = 0
    _past: dict[str, list[bytes]] = field(default_factory=dict)

    async def line(self, call: Call, line: bytes) -> Iterable[bytes]:
        past = self._past.setdefault(call.resource, [])
        past.append(line)
        if self.rng.random() < 0.3:
            self.dropped += 1
            return ()
        again = self.rng.choices(past, k=self.rng.randint(0, 2))
        self.replayed += len(again)
        return (line, *again)


@dataclass
class Stop:
    """Where one namespace's writes end, or one of them is lost."""

    index: int
    """Which write, from 0."""
    forwarded: bool
    """Whether that write still reaches the API server."""
    goes_on: bool = False
    """Only the answer is lost: the client is cut off and may try again."""
    seen: int = 0
    at: str = ""
    """The write at which it stopped."""


class Stops(Fault):
    """Stops the writes of each of many namespaces at a point of its own.

    Whatever comes after that point is cut off. Killing the client then leaves every namespace as a
    kill at that very write would have: one process serves many cases.
    """

    def __init__(self, stops: dict[str, Stop]) -> None:
        self.stops = stops

    async def call(self, call: Call, forward: Callable[[], Awaitable[Answer]]) -> Answer:
        stop = self.stops.get(call.namespace)
        if stop is None or not call.is_write or (stop.at and stop.goes_on):
            return await forward()
        if stop.at:
            call.held = True
            raise Cut
        stop.seen += 1
        if stop.seen <= stop.index:
            return await forward()
        stop.at = str(call)
        if stop.forwarded:
            await forward()
        call.held = not stop.goes_on
        raise Cut
