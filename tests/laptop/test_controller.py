"""Mirrors and queues: nothing is missed, nothing runs twice at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from tapehouse_laptop.controller import Mirror, Workqueue
from tapehouse_laptop.kubeapi import CONFIG_MAPS, ApiError, Key


def item(name: str, version: int, uid: str = "u") -> dict[str, Any]:
    meta = {"namespace": "n", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": meta}


class ExpiringServer:
    """Lists what it is told; every watch ends with 410 after its events."""

    def __init__(self, *rounds: tuple[list[dict], list[tuple[str, dict]]]) -> None:
        self.rounds = list(rounds)
        self.done = asyncio.Event()
        self.events: list[tuple[str, dict]] = []

    async def list(self, *_: Any) -> tuple[list[dict], str]:
        if not self.rounds:
            self.done.set()
            await asyncio.Event().wait()
        items, self.events = self.rounds.pop(0)
        return items, "1"

    async def watch(self, *_: Any) -> AsyncIterator[tuple[str, dict]]:
        for event in self.events:
            yield event
        raise ApiError(410, "Expired", "too old resource version")


async def changes(*rounds: tuple[list[dict], list[tuple[str, dict]]]) -> list[tuple]:
    server = ExpiringServer(*rounds)
    mirror = Mirror(server, CONFIG_MAPS)  # type: ignore[arg-type]
    seen: list[tuple] = []
    mirror.on_change(lambda key, old, new: seen.append((key.name, bool(old), bool(new))))
    task = asyncio.create_task(mirror.run())
    await asyncio.wait_for(server.done.wait(), 10)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return seen


async def test_what_vanished_while_nobody_watched_is_reported_deleted() -> None:
    seen = await changes(
        ([item("a", 1), item("b", 1)], []),
        ([item("b", 2)], [("DELETED", item("b", 3))]),
    )
    assert seen == [
        ("a", False, True),
        ("b", False, True),
        ("a", True, False),
        ("b", True, True),
        ("b", True, False),
    ]


async def test_an_unchanged_object_is_not_reported_again() -> None:
    seen = await changes(([item("a", 1)], []), ([item("a", 1)], []))
    assert seen == [("a", False, True)]


async def test_an_object_made_again_under_its_name_is_a_change() -> None:
    seen = await changes(([item("a", 1, "first")], []), ([item("a", 1, "second")], []))
    assert seen == [("a", False, True), ("a", True, True)]


async def run_queue(queue: Workqueue[Key], handle: Any, until: asyncio.Event) -> None:
    task = asyncio.create_task(queue.run(handle))
    await asyncio.wait_for(until.wait(), 10)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_key_added_while_it_is_handled_is_handled_once_more() -> None:
    queue: Workqueue[str] = Workqueue()
    running, calls, done = 0, 0, asyncio.Event()

    async def handle(key: str) -> None:
        nonlocal running, calls
        running += 1
        assert running == 1
        calls += 1
        if calls == 1:
            for _ in range(5):
                queue.add(key)
        await asyncio.sleep(0.02)
        running -= 1
        if calls == 2:
            asyncio.get_running_loop().call_later(0.1, done.set)

    queue.add("k")
    await run_queue(queue, handle, done)
    assert calls == 2


async def test_a_failing_key_comes_back_and_others_go_on() -> None:
    queue: Workqueue[str] = Workqueue()
    handled: list[str] = []
    done = asyncio.Event()

    async def handle(key: str) -> None:
        handled.append(key)
        if handled.count("bad") == 1 and key == "bad":
            raise ValueError("once")
        if handled.count("bad") == 2:
            done.set()

    queue.add("bad")
    queue.add("good")
    await run_queue(queue, handle, done)
    assert "good" in handled


async def test_the_earliest_of_two_delays_wins() -> None:
    queue: Workqueue[str] = Workqueue()
    done = asyncio.Event()

    async def handle(key: str) -> None:
        done.set()

    queue.add("k", after=60)
    queue.add("k", after=0.01)
    queue.add("k", after=90)
    await run_queue(queue, handle, done)
