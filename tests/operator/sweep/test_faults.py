"""What the API server and the network can do to the operator, and the end is as without it.

Each fault is in place while users make, change, delete and make anew one resource of each kind.
`make e2e` plays every fault at its full length; `make test` plays those that `TAPEHOUSE_SEED`
chooses, with a fraction of the length and an operator whose patience is as much shorter.
"""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.operator.sweep.learning import Learnt, deletions, learn, prepare
from tests.operator.sweep.rig import Rig, rig
from tests.operator.sweep.stories import SHORT, STORIES, Story, in_parallel
from tests.support.apifaults import Down, Frozen, Lossy, Muddled, Refuse, Truncated
from tests.support.calls import Call, Fault
from tests.support.controlplane import ApiServer

pytestmark = pytest.mark.api
SEED = int(os.environ.get("TAPEHOUSE_SEED", "7"))
HURRY = 30.0
"""How much faster everything is in the sample."""
FACTOR = float(os.environ.get("TAPEHOUSE_SWEEP_HURRY", "1"))
"""And in the whole: 1 is real time."""
Weather = Callable[[Rig, float], contextlib.AbstractAsyncContextManager[None]]
LEARNT: dict[Story, Learnt] = {}
"""Kept between tests: a story ends the same in every rig."""


def lasting(seconds: float, *faults: Callable[[], Fault]) -> Weather:
    """These faults for so long, from a little before the deeds."""

    @contextlib.asynccontextmanager
    async def weather(r: Rig, factor: float) -> AsyncIterator[None]:
        with r.proxy.fault(*(fault() for fault in faults)):
            yield
            await asyncio.sleep(seconds / factor)

    return weather


@contextlib.asynccontextmanager
async def busy(r: Rig, factor: float) -> AsyncIterator[None]:
    """`Retry-After` is heeded: the whole client keeps away."""
    wait = max(1, round(60 / factor))
    too_many = Refuse(429, "TooManyRequests", any_request, {"Retry-After": str(wait)})
    with r.proxy.fault(too_many):
        yield
        await asyncio.sleep(60 / factor)
    assert 0 < too_many.count < 60, "requests in spite of Retry-After"


@contextlib.asynccontextmanager
async def away(r: Rig, factor: float) -> AsyncIterator[None]:
    """Nobody answers for two minutes, and has forgotten everything since."""
    with r.proxy.fault(Down()):
        r.proxy.end_watches()
        yield
        await asyncio.sleep(120 / factor)
    with r.proxy.fault(Refuse(410, "Expired", lambda call: call.watch)):
        await asyncio.sleep(3.0)


@contextlib.asynccontextmanager
async def erring(r: Rig, factor: float) -> AsyncIterator[None]:
    """Every watch ends with an error of the server's own, again and again."""

    async def again() -> None:
        while True:
            r.proxy.end_watches(500)
            await asyncio.sleep(0.7)

    task = asyncio.create_task(again())
    yield
    await asyncio.sleep(30 / factor)
    task.cancel()


@contextlib.asynccontextmanager
async def muddled(r: Rig, factor: float) -> AsyncIterator[None]:
    """Events are dropped and replayed; a list brings out the truth."""
    fault = Muddled(random.Random(SEED))
    with r.proxy.fault(fault):
        yield
        await asyncio.sleep(30 / factor)
    assert fault.dropped
    assert fault.replayed
    r.proxy.end_watches(410)


@contextlib.asynccontextmanager
async def frozen(r: Rig, factor: float) -> AsyncIterator[None]:
    """Watches say nothing; whoever watches must notice by himself."""
    with r.proxy.fault(Frozen()):
        yield
        await asyncio.sleep(160 / factor)


def any_request(call: Call) -> bool:
    return not call.watch


def forbidden(chosen: Callable[[Call], bool]) -> Weather:
    return lasting(30, lambda: Refuse(403, "Forbidden", chosen))


FAULTS: dict[str, Weather] = {
    "conflicts": lasting(30, lambda: Refuse(409, "Conflict")),
    "busy": busy,
    "away": away,
    "erring watches": erring,
    "truncated watches": lasting(30, Truncated),
    "muddled watches": muddled,
    "frozen watches": frozen,
    "lost requests and answers": lasting(30, lambda: Lossy(random.Random(SEED), 0.3)),
    "no right to write": forbidden(lambda call: call.is_write),
    "no right to delete": forbidden(lambda call: call.verb == "DELETE"),
    "no right to read": forbidden(lambda call: call.verb == "GET"),
    "no right to status": forbidden(lambda call: call.sub == "status"),
}


async def brave(r: Rig, weather: Weather, stories: tuple[Story, ...], factor: float) -> None:
    """Play `stories` in bad weather; they end as in good weather, and nobody writes after that."""
    if unknown := tuple(story for story in stories if story not in LEARNT):
        LEARNT.update(await learn(r, unknown))
    names = await r.ground.namespaces(len(stories))
    await prepare(r, stories, names)
    mark = len(r.proxy.log)
    async with weather(r, factor):
        deeds = asyncio.create_task(
            in_parallel(lambda story, name: story.happen(r.ground, name), stories, names)
        )
        await asyncio.sleep(1.0)
    await deeds
    ends = dict(zip(names, (LEARNT[story].end for story in stories), strict=True))
    await r.come_to(ends)
    for story, name in zip(stories, names, strict=True):
        calls = [call for call in r.proxy.writes(mark) if call.namespace == name]
        assert deletions(calls) == LEARNT[story].deleted, story
    await r.rest(3.0)
    assert r.operator.complaints() == []


@pytest.mark.e2e
@pytest.mark.parametrize("name", FAULTS)
async def test_every_fault(apiserver: ApiServer, catalog: str, tmp_path: Path, name: str) -> None:
    prefix = f"fault-{list(FAULTS).index(name)}"
    async with rig(apiserver, tmp_path, catalog, prefix, FACTOR) as r:
        await brave(r, FAULTS[name], STORIES, FACTOR)


async def test_some_faults(apiserver: ApiServer, catalog: str, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    async with rig(apiserver, tmp_path, catalog, "fault-some", HURRY) as r:
        for name in rng.sample(sorted(FAULTS), 2):
            stories = tuple(rng.sample(SHORT, 6))
            try:
                await brave(r, FAULTS[name], stories, HURRY)
            except BaseException as e:
                e.add_note(f"{name}, seed {SEED}: {', '.join(map(str, stories))}")
                raise
