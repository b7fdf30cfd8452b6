"""The line in which jobs wait to start."""

import asyncio

import pytest
from tapehouse_laptop.flink import line
from tapehouse_laptop.flink.line import Line
from tapehouse_laptop.kubeapi import Key

LAND, REFINE, THIRD = (Key("tapehouse", name) for name in ("land", "refine", "third"))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "HESITATION", 0)


async def _passed(waiting: "asyncio.Task[None]") -> bool:
    """Whether it goes on once every task that can run has run; no timer is due meanwhile."""
    for _ in range(20):
        await asyncio.sleep(0)
    return waiting.done()


async def test_whom_somebody_waits_for_goes_first_though_it_came_later() -> None:
    row = Line(abreast=1)
    row.join(LAND, prompt=False)
    landing = asyncio.create_task(row.turn(LAND))
    await asyncio.sleep(0)
    row.join(REFINE, prompt=True)
    await asyncio.wait_for(row.turn(REFINE), 1)
    assert not await _passed(landing)
    row.leave(REFINE)
    assert await _passed(landing)


async def test_as_many_start_at_once_as_there_is_room_for() -> None:
    row = Line(abreast=2)
    for key in (LAND, REFINE, THIRD):
        row.join(key, prompt=True)
    await asyncio.wait_for(row.turn(LAND), 1)
    await asyncio.wait_for(row.turn(REFINE), 1)
    third = asyncio.create_task(row.turn(THIRD))
    assert not await _passed(third)
    row.leave(LAND)
    assert await _passed(third)


async def test_one_that_never_runs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "PATIENCE", 0.1)
    row = Line(abreast=1)
    row.join(REFINE, prompt=True)
    row.join(LAND, prompt=False)
    await asyncio.wait_for(row.turn(LAND), 1)


async def test_one_that_starts_again_keeps_its_place_and_may_leave_twice() -> None:
    row = Line(abreast=1)
    row.join(LAND, prompt=True)
    row.join(REFINE, prompt=True)
    row.join(LAND, prompt=True)
    await asyncio.wait_for(row.turn(LAND), 1)
    row.leave(LAND)
    row.leave(LAND)
    await asyncio.wait_for(row.turn(REFINE), 1)
