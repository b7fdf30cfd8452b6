"""The queue: one turn for many wakes, never two at once, back-off for each key alone."""

import asyncio
import random

from tapehouse_kube.queue import WakeQueue
from tapehouse_operator.kinds.contract import Key

from tests.operator.engine.virtual import run_virtual

A, B = Key("Widget", "n", "a"), Key("Widget", "n", "b")


def test_many_wakes_are_one_turn_and_a_wake_during_a_turn_is_another() -> None:
    async def main() -> None:
        turns: list[Key] = []

        async def work(key: Key) -> None:
            turns.append(key)
            if len(turns) == 1:
                queue.wake(key)
                queue.wake(key)
            await asyncio.sleep(1)

        queue = WakeQueue(work, 2, random.Random(1))
        for _ in range(5):
            queue.wake(A)
        running = asyncio.create_task(queue.run())
        await asyncio.sleep(10)
        running.cancel()
        assert turns == [A, A]
        assert queue.idle

    run_virtual(main())


def test_a_failing_key_backs_off_and_slows_no_other() -> None:
    async def main() -> None:
        turns: dict[Key, list[float]] = {A: [], B: []}

        async def work(key: Key) -> None:
            turns[key].append(asyncio.get_running_loop().time())
            if key == A:
                queue.retry(key)

        queue = WakeQueue(work, 1, random.Random(1))
        running = asyncio.create_task(queue.run())
        queue.wake(A)
        for _ in range(100):
            queue.wake(B)
            await asyncio.sleep(3)
        running.cancel()
        gaps = [b - a for a, b in zip(turns[A], turns[A][1:], strict=False)]
        assert gaps[0] <= 0.1
        assert max(gaps) <= 30
        assert min(gaps[-3:]) >= 15
        assert len(turns[B]) == 100

    run_virtual(main())


def test_the_server_decides_how_long_it_is_left_alone() -> None:
    async def main() -> None:
        turns: list[float] = []

        async def work(key: Key) -> None:
            turns.append(asyncio.get_running_loop().time())
            if len(turns) == 1:
                queue.retry(key, at_least=60)

        queue = WakeQueue(work, 1, random.Random(1))
        running = asyncio.create_task(queue.run())
        queue.wake(A)
        await asyncio.sleep(120)
        running.cancel()
        assert turns[1] - turns[0] >= 60

    run_virtual(main())


def test_a_stuck_turn_shows_its_age() -> None:
    async def main() -> None:
        async def work(key: Key) -> None:
            await asyncio.sleep(10_000)

        queue = WakeQueue(work, 1, random.Random(1))
        running = asyncio.create_task(queue.run())
        queue.wake(A)
        await asyncio.sleep(300)
        assert queue.oldest() >= 300
        running.cancel()

    run_virtual(main())


def test_turns_that_wait_for_nothing_leave_room_for_others() -> None:
    async def main() -> None:
        done: list[Key] = []

        async def work(key: Key) -> None:
            done.append(key)

        queue = WakeQueue(work, 2, random.Random(1))
        for number in range(100):
            queue.wake(Key("Widget", "n", str(number)))
        running = asyncio.create_task(queue.run())
        for _ in range(10):
            await asyncio.sleep(0)
        assert 0 < len(done) < 100
        running.cancel()

    run_virtual(main())
