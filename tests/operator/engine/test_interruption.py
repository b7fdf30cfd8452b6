"""Whatever call of the operator is its last, the next operator reaches the same world.

Exhaustive over the calls of creating, updating, refusing and deleting a resource.
"""

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest
from tapehouse_kube.objects import Ref
from tapehouse_operator.names import SETTINGS

from tests.operator.engine.faults import CrashAt
from tests.operator.engine.house import NS, House, widget
from tests.operator.engine.virtual import run_virtual
from tests.support.memory_kube import Calm, MemoryKube

FULL = {"size": 3, "parts": ["a", "b"], "topic": "t", "table": "t", "sql": "SELECT 1"}
Deed = Callable[[House], None]


def create(h: House) -> None:
    h.put("w", **FULL, deletionPolicy="Delete")


def update(h: House) -> None:
    h.put("w", **{**FULL, "size": 5, "parts": ["b", "c"], "sql": "SELECT 2"})


def refuse(h: House) -> None:
    h.put("w", **{**FULL, "size": 100})


def uncheck(h: House) -> None:
    h.put("w", **{**FULL, "sql": "SELECT bad", "parts": ["c"]})


def drop_part(h: House) -> None:
    h.kube.remove(Ref("v1", "ConfigMap", NS, "w-a"))


def delete(h: House) -> None:
    h.kube.remove(widget("w"))


def recreate(h: House) -> None:
    h.kube.remove(widget("w"))
    if widget("w") not in h.kube.objects:
        update(h)


STORIES: dict[str, list[Deed]] = {
    "create": [create],
    "update": [create, update],
    "refuse": [create, refuse],
    "uncheck": [create, uncheck],
    "mend": [create, uncheck, update],
    "heal": [create, drop_part],
    "delete": [create, delete],
    "recreate": [update, recreate],
}


async def tell(story: list[Deed], crash: CrashAt | None) -> tuple[dict[str, Any], list[str], bool]:
    """Play a story, its last deed under `crash`; the world at its end, and the calls made."""
    h = House(MemoryKube())
    h.config(SETTINGS, environment="test")
    await h.start()
    *before, last = story
    for deed in before:
        deed(h)
        await h.settle()
    listener = crash or CrashAt(-1, after_effect=False)
    h.kube.interference = listener
    last(h)
    await h.settle()
    if listener.crashed:
        h.kube.interference = Calm()
        await h.stop()
        await h.start()
        await h.settle()
    writes = len(h.kube.writes)
    await h.stop()
    await h.start()
    await h.settle()
    assert h.kube.writes[writes:] == [], "not at rest"
    await h.stop()
    return snapshot(h), listener.calls, listener.crashed


def snapshot(h: House) -> dict[str, Any]:
    """All that matters of a world: no versions, times or identities."""
    world: dict[str, Any] = {"tables": dict(h.shelf.tables)}
    names = {o["metadata"]["uid"]: o["metadata"]["name"] for o in h.kube.objects.values()}
    for ref, body in sorted(h.kube.objects.items()):
        kept = copy.deepcopy(body)
        meta = kept["metadata"]
        owners = [names.get(o["uid"], "gone") for o in meta.get("ownerReferences", ())]
        kept["metadata"] = {
            "labels": meta.get("labels"),
            "owners": owners,
            "finalizers": meta.get("finalizers"),
        }
        for one in (kept.get("status") or {}).get("conditions", ()):
            one.pop("lastTransitionTime")
        for one in (kept.get("status") or {}).get("containerStatuses", ()):
            one["state"]["terminated"].pop("finishedAt")
        if (kept.get("status") or {}).get("observedGeneration") and ref.kind != "Widget":
            kept["status"] = "seen"
        world[f"{ref.kind}/{ref.name}"] = kept
    return world


@pytest.mark.parametrize("name", STORIES)
def test_a_crash_at_any_call_changes_nothing_in_the_end(name: str) -> None:
    async def all_crashes() -> None:
        expected, calls, _ = await tell(STORIES[name], None)
        assert calls
        for index in range(len(calls)):
            for after_effect in (False, True):
                crash = CrashAt(index, after_effect)
                world, _, crashed = await tell(STORIES[name], crash)
                assert crashed
                assert world == expected, f"after a crash at {crash.calls[index]}, {after_effect=}"

    # The crash surfaces in the worker's task group; that is the process going down.
    run_virtual(all_crashes())


def test_the_snapshot_sees_what_it_compares() -> None:
    async def main() -> None:
        one, _, _ = await tell(STORIES["create"], None)
        other, _, _ = await tell(STORIES["update"], None)
        assert one != other
        assert "Deployment/w" in one
        await asyncio.sleep(0)

    run_virtual(main())
