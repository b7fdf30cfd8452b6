"""Fan-out: by symbol, in order, in bounded memory."""

import asyncio
from dataclasses import dataclass

from tapehouse_query import metrics
from tapehouse_query.live.hub import Hub, Subscriber


@dataclass
class Tick:
    symbol: str
    number: int


async def take(subscriber: Subscriber[Tick], count: int) -> list[int]:
    found: list[int] = []
    async for event in subscriber.events():
        found.append(event.number)
        if len(found) == count:
            break
    return found


async def test_by_symbol_and_all_in_order() -> None:
    hub: Hub[Tick] = Hub("test", capacity=10)
    with (
        hub.subscribe(frozenset({"A"})) as one,
        hub.subscribe(frozenset({"A", "B"})) as two,
        hub.subscribe(None) as everything,
    ):
        hub.publish([Tick("A", 1), Tick("B", 2), Tick("C", 3), Tick("A", 4)])
        assert await take(one, 2) == [1, 4]
        assert await take(two, 3) == [1, 2, 4]
        assert await take(everything, 4) == [1, 2, 3, 4]


async def test_a_slow_one_loses_the_oldest_and_it_is_counted() -> None:
    dropped = metrics.DROPPED.labels("slow")
    hub: Hub[Tick] = Hub("slow", capacity=5)
    with hub.subscribe(None) as slow, hub.subscribe(None) as quick:
        reader = asyncio.create_task(take(quick, 12))
        for number in range(12):
            hub.publish([Tick("A", number)])
            await asyncio.sleep(0)
        assert await asyncio.wait_for(reader, 5) == list(range(12))
        assert await take(slow, 5) == [7, 8, 9, 10, 11]
    assert dropped._value.get() == 7


async def test_nothing_stays_after_the_last_has_left() -> None:
    hub: Hub[Tick] = Hub("left")
    with hub.subscribe(frozenset({"A", "B"})):
        assert hub._by_symbol
    assert not hub._by_symbol
