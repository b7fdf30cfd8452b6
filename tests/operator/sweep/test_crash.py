"""The operator is killed before and after each of its writes: the end is as if it had not been.

First every story is played undisturbed, which tells its writes and its end. Then each case plays
its story in a namespace of its own: the proxy lets through the writes up to one of them, with or
without that one, and none after it; the process is killed; a new one takes over. All cases share
one kill, since what a killed process leaves in a namespace is what it has written there.

`TAPEHOUSE_SWEEP_QUIET` are the seconds of rest at the end, 60 in the whole sweep.
"""

import asyncio
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.operator.sweep.learning import Learnt, deletions, learn, prepare
from tests.operator.sweep.rig import LULL, Rig, rig
from tests.operator.sweep.stories import SHORT, STORIES, Story, in_parallel
from tests.support.apifaults import Stop, Stops
from tests.support.controlplane import ApiServer

pytestmark = pytest.mark.api
LONG = 15.0
"""Seconds without a write, in which the garbage collector may still be at work, and no more."""


@dataclass
class Case:
    """A story disturbed; without a stop, it happens while no operator runs."""

    story: Story
    stop: Stop | None
    namespace: str = ""

    def __str__(self) -> str:
        if self.stop is None:
            return f"{self.story}, away"
        which = f"write {self.stop.index}, {'after' if self.stop.forwarded else 'before'}"
        return f"{self.story}, {which}: {self.stop.at or 'not reached'}"


def cases_of(learnt: dict[Story, Learnt], *, lost: bool) -> list[Case]:
    """Before and after each write and, of crashes, one that nobody saw happen."""
    cases = [
        Case(story, Stop(index, forwarded, goes_on=lost))
        for story, known in learnt.items()
        for index in range(len(known.writes))
        for forwarded in ((True,) if lost else (False, True))
    ]
    return cases if lost else cases + [Case(story, None) for story in learnt]


async def sweep(r: Rig, learnt: dict[Story, Learnt], cases: list[Case], quiet: float) -> None:
    """Play all cases together, and hold each to its story's end."""
    for case, name in zip(cases, await r.ground.namespaces(len(cases)), strict=True):
        case.namespace = name
    await prepare(r, tuple(case.story for case in cases), [case.namespace for case in cases])
    await r.come_to({case.namespace: learnt[case.story].begin for case in cases})
    mark = len(r.proxy.log)
    await disturb(r, cases)
    await r.come_to({case.namespace: learnt[case.story].end for case in cases})
    for case in cases:
        calls = [call for call in r.proxy.writes(mark) if call.namespace == case.namespace]
        assert deletions(calls) == learnt[case.story].deleted, case
    await r.rest(quiet)
    assert r.operator.complaints() == []


async def disturb(r: Rig, cases: list[Case]) -> None:
    """From the deeds until a sound operator has taken over; users are patient meanwhile."""
    seen = [case for case in cases if case.stop]
    crash = not all(case.stop and case.stop.goes_on for case in cases)
    with r.proxy.fault(Stops({case.namespace: case.stop for case in seen if case.stop})):
        deeds = [asyncio.create_task(happen(r, seen))]
        await reached(r, seen)
        if crash:
            await r.operator.kill()
    if crash:
        away = [case for case in cases if case.stop is None]
        deeds.append(asyncio.create_task(happen(r, away)))
        await asyncio.sleep(LULL)  # a deletion ends only after the operator is back
        await r.operator.start()
    await asyncio.gather(*deeds)


async def reached(r: Rig, cases: list[Case]) -> None:
    """Until every stop is reached; a run with fewer writes than the learnt one may not reach it."""
    await asyncio.sleep(2.0)
    while not all(case.stop and case.stop.at for case in cases):
        if time.monotonic() - r.last_write() > LONG:
            return
        await asyncio.sleep(0.5)


async def happen(r: Rig, cases: list[Case]) -> None:
    async def one(case: Case) -> None:
        await case.story.happen(r.ground, case.namespace)

    await in_parallel(one, cases, at_once=len(cases) + 1)


def report(cases: list[Case], started: float) -> None:
    reached = sum(1 for case in cases if case.stop is None or case.stop.at)
    seconds = time.monotonic() - started
    print(f"{len(cases)} cases, {reached} reached, {seconds:.0f} s")


@pytest.mark.e2e
@pytest.mark.parametrize("lost", [False, True], ids=["killed", "lost answers"])
async def test_every_write(apiserver: ApiServer, catalog: str, tmp_path: Path, lost: bool) -> None:
    started = time.monotonic()
    async with rig(apiserver, tmp_path, catalog, f"sweep-{'lost' if lost else 'all'}") as r:
        learnt = await learn(r, STORIES)
        cases = cases_of(learnt, lost=lost)
        await sweep(r, learnt, cases, float(os.environ.get("TAPEHOUSE_SWEEP_QUIET", "60")))
    report(cases, started)


async def test_some_writes(apiserver: ApiServer, catalog: str, tmp_path: Path) -> None:
    """A sample of the above, chosen by `TAPEHOUSE_SEED`."""
    seed = int(os.environ.get("TAPEHOUSE_SEED", "7"))
    rng, started = random.Random(seed), time.monotonic()
    async with rig(apiserver, tmp_path, catalog, "sweep-some") as r:
        learnt = await learn(r, tuple(sorted(rng.sample(SHORT, 6))))
        everything = cases_of(learnt, lost=False)
        cases = rng.sample(everything, min(24, len(everything)))
        await sweep(r, learnt, cases, quiet=3.0)
    report(cases, started)
