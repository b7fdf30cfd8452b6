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
from tests.operator.sweep.stories import SHORT, STORIES, Story
from tests.support.apifaults import Stop, Stops
from tests.support.controlplane import ApiServer

pytestmark = pytest.mark.api
LONG = 30.0
"""Seconds in which nobody writes, though the garbage collector may still be at work."""
REACHED = 0.9
"""Of the stops, at least; a run with fewer writes than the learnt one does not reach them all."""


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
        deeds = [asyncio.create_task(happen(r, case)) for case in seen]
        await reached(r, seen, deeds)
        if crash:
            await r.operator.kill()
    if crash:
        deeds += [asyncio.create_task(happen(r, case)) for case in cases if case.stop is None]
        await asyncio.sleep(LULL)  # a deletion ends only after the operator is back
        await r.operator.start()
    await asyncio.gather(*deeds)


async def happen(r: Rig, case: Case) -> None:
    await case.story.happen(r.ground, case.namespace)


async def reached(r: Rig, cases: list[Case], deeds: list[asyncio.Task[None]]) -> None:
    """Until every stop is reached, or neither users nor the operator do anything any more."""
    done, since = 0, time.monotonic()
    while not all(case.stop and case.stop.at for case in cases):
        if (now := sum(deed.done() for deed in deeds)) > done:
            done, since = now, time.monotonic()
        if time.monotonic() - max(since, r.last_write()) > LONG:
            break
        await asyncio.sleep(0.5)
    count = sum(1 for case in cases if case.stop and case.stop.at)
    print(f"{count} of {len(cases)} stops reached")
    assert count >= REACHED * len(cases)


@pytest.mark.e2e
@pytest.mark.parametrize("lost", [False, True], ids=["killed", "lost answers"])
async def test_every_write(apiserver: ApiServer, catalog: str, tmp_path: Path, lost: bool) -> None:
    started = time.monotonic()
    async with rig(apiserver, tmp_path, catalog, f"sweep-{'lost' if lost else 'all'}") as r:
        learnt = await learn(r, STORIES)
        cases = cases_of(learnt, lost=lost)
        await sweep(r, learnt, cases, float(os.environ.get("TAPEHOUSE_SWEEP_QUIET", "60")))
    print(f"{len(cases)} cases, {time.monotonic() - started:.0f} s")


async def test_some_writes(apiserver: ApiServer, catalog: str, tmp_path: Path) -> None:
    """A sample of the above, chosen by `TAPEHOUSE_SEED`."""
    seed = int(os.environ.get("TAPEHOUSE_SEED", "7"))
    rng, started = random.Random(seed), time.monotonic()
    async with rig(apiserver, tmp_path, catalog, "sweep-some") as r:
        learnt = await learn(r, tuple(sorted(rng.sample(SHORT, 6))))
        everything = cases_of(learnt, lost=False)
        cases = rng.sample(everything, min(24, len(everything)))
        await sweep(r, learnt, cases, quiet=3.0)
    print(f"{len(cases)} cases, {time.monotonic() - started:.0f} s")
