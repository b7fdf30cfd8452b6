"""Equal subscriptions share one execution, and nothing of it outlives the last follower."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from tapehouse_query import metrics
from tapehouse_query.live.events import TradeEvent
from tapehouse_query.live.followed import Followed
from tapehouse_query.live.hub import CAPACITY
from tapehouse_query.schema.context import Services

from tests.query.served import follow, get, served
from tests.query.test_server import subscribers, trade


@dataclass
class Result:
    data: Any


class Source:
    """An execution that says what is put into its queue; None ends it."""

    def __init__(self) -> None:
        self.started = self.ended = 0
        self.queue: asyncio.Queue[Any] = asyncio.Queue()

    async def start(self) -> AsyncGenerator[Any, None]:
        self.started += 1
        return self._results()

    async def _results(self) -> AsyncGenerator[Any, None]:
        try:
            while (value := await self.queue.get()) is not None:
                if isinstance(value, Exception):
                    raise value
                yield Result(value)
        finally:
            self.ended += 1


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until the condition holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


def followers(followed: Followed) -> int:
    return sum(len(stream.followers) for stream in followed._streams.values())


async def take(
    followed: Followed, source: Source, count: int, resume: asyncio.Event | None = None
) -> list[Any]:
    """The first results; a reader with `resume` waits for it after the first one."""
    found = []
    async with aclosing(followed.follow("test", "key", source.start)) as results:
        async for result in results:
            found.append(orjson.loads(orjson.dumps(result.data)))
            if resume is not None and len(found) == 1:
                await resume.wait()
            if len(found) == count:
                break
    return found


async def test_one_execution_for_all_and_none_when_the_last_has_left() -> None:
    followed, source = Followed(), Source()
    readers = [asyncio.create_task(take(followed, source, count)) for count in (2, 3, 3)]
    await until(lambda: followers(followed) == 3)
    for number in range(3):
        source.queue.put_nowait(number)
    assert await asyncio.gather(*readers) == [[0, 1], [0, 1, 2], [0, 1, 2]]
    await until(lambda: source.ended == 1)
    assert (source.started, source.ended) == (1, 1)
    assert not followed._streams
    assert metrics.SUBSCRIBERS.labels("test")._value.get() == 0
    source.queue.put_nowait(7)
    assert await take(followed, source, 1) == [7]
    assert source.started == 2


async def test_a_slow_follower_misses_the_oldest_and_delays_no_other() -> None:
    followed, source, many = Followed(), Source(), CAPACITY + 50
    resume = asyncio.Event()
    slow = asyncio.create_task(take(followed, source, CAPACITY + 1, resume))
    quick = asyncio.create_task(take(followed, source, many))
    await until(lambda: followers(followed) == 2)
    before = metrics.DROPPED.labels("test")._value.get()
    for number in range(many):
        source.queue.put_nowait(number)
    assert await asyncio.wait_for(quick, 20) == list(range(many))
    resume.set()
    seen = await asyncio.wait_for(slow, 20)
    assert seen[0] == 0
    assert seen[1:] == list(range(many - CAPACITY, many))
    assert metrics.DROPPED.labels("test")._value.get() - before == many - CAPACITY - 1


async def test_an_end_and_a_fault_end_everyone(caplog: Any) -> None:
    for last in (None, RuntimeError("gone")):
        followed, source = Followed(), Source()
        readers = [asyncio.create_task(take(followed, source, 9)) for _ in range(2)]
        await until(lambda followed=followed: followers(followed) == 2)  # type: ignore[misc]
        source.queue.put_nowait("one")
        source.queue.put_nowait(last)
        assert await asyncio.wait_for(asyncio.gather(*readers), 10) == [["one"], ["one"]]
    assert "gone" in caplog.text


async def test_many_viewers_cost_one_execution(services: Services, caplog: Any) -> None:
    query = "subscription { onNewTrade { tradeId companyName } }"
    async with served(services):
        async with follow(query) as one, follow(query) as two, follow(query) as three:
            await subscribers("onNewTrade", 3)
            services.trades.publish([trade(1)])
            async with asyncio.timeout(20):
                for socket in (one, two, three):
                    received = json.loads(await socket.recv())["payload"]["data"]["onNewTrade"]
                    assert received == {"tradeId": "t1", "companyName": None}
            assert len(services.followed._streams) == 1
            three.transport.abort()
            services.trades.publish([trade(number) for number in range(50)])
            await subscribers("onNewTrade", 2)
        await subscribers("onNewTrade", 0)
        assert not services.followed._streams
        assert (await get("/healthz"))[0] == 200
    assert "Traceback" not in caplog.text


async def test_users_and_variables_are_apart(services: Services) -> None:
    query = "subscription($s: String) { onNewTrade(symbol: $s) { symbol } }"
    now = datetime(2026, 1, 31, tzinfo=UTC)
    async with served(services), follow(query, s="A") as one, follow(query, s="B") as other:
        await subscribers("onNewTrade", 2)
        services.trades.publish([TradeEvent(s, s, 1.0, 1, now) for s in "AB"])
        for socket, symbol in ((one, "A"), (other, "B")):
            received = json.loads(await asyncio.wait_for(socket.recv(), 20))
            assert received["payload"]["data"]["onNewTrade"] == {"symbol": symbol}
