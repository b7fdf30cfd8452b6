"""Stories undisturbed: what they write, delete and end with."""

import re
from dataclasses import dataclass

from tests.operator.sweep.picture import Picture
from tests.operator.sweep.rig import Rig
from tests.operator.sweep.stories import Story, in_parallel, put
from tests.support.calls import Call


@dataclass
class Learnt:
    """A story undisturbed."""

    begin: Picture
    end: Picture
    writes: list[str]
    deleted: list[str]


async def learn(r: Rig, stories: tuple[Story, ...]) -> dict[Story, Learnt]:
    """Play every story once, undisturbed and all at the same time."""
    names = await r.ground.namespaces(len(stories))
    await prepare(r, stories, names)
    begin = await r.pictures(names)
    mark = len(r.proxy.log)
    await in_parallel(lambda story, name: story.happen(r.ground, name), stories, names)
    await r.ground.collected(*names)
    await r.settled(names)
    end = await r.pictures(names)
    found = {}
    for story, name in zip(stories, names, strict=True):
        calls = [call for call in r.proxy.writes(mark) if call.namespace == name]
        writes = [str(call) for call in calls]
        found[story] = Learnt(begin[name], end[name], writes, deletions(calls))
    return found


async def prepare(r: Rig, stories: tuple[Story, ...], names: list[str]) -> None:
    """Bring about what is there when the stories begin."""

    async def one(story: Story, name: str) -> None:
        for body in story.before():
            await put(r.kube, name, body)

    await in_parallel(one, stories, names)
    await r.settled(names)


def deletions(calls: list[Call]) -> list[str]:
    """What was deleted: deletions that found nothing do not count."""
    done = [call for call in calls if call.verb == "DELETE" and 200 <= call.forwarded < 300]
    # Checks are named after what they check, which names its namespace.
    return sorted(re.sub(r"-check-[0-9a-f]+$", "-check", str(call)) for call in done)
