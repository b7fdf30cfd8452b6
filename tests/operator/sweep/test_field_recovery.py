"""A bad value in any field is told, stops nothing else, and is gone once it is set back.

`test_in_memory` is the whole operator on a cluster in memory that checks nothing: what a schema
would refuse reaches the operator as well. `test_on_the_api_server` asks the real one.
"""

import asyncio
import contextlib
import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tapehouse_laptop.kubeapi import ApiError, Key, Kube
from tapehouse_operator.names import API_VERSION
from tapehouse_operator.report import difference

from tests.operator.engine.virtual import run_virtual
from tests.operator.kinds.cluster import Cluster, cluster
from tests.operator.kinds.worlds import KAFKA, SETTINGS
from tests.operator.sweep.fields import SPECS, Change, changes_of, fields_of
from tests.operator.sweep.rig import Rig, is_ready, rig
from tests.operator.sweep.stories import CHAIN, OURS, RESOURCES, gone, in_parallel, remove
from tests.operator.sweep.stories import put as put_real
from tests.support.controlplane import ApiServer

SEED = int(os.environ.get("TAPEHOUSE_SEED", "7"))
SAMPLE, BATCH = 60, 200
ONE_WAY: Mapping[str, str] = {
    "TradeFeed spec.events[].fields[].required: deleted": "IncompatibleSchema",
    "TradeFeed spec.events[].fields[].required: off": "IncompatibleSchema",
    "TradeFeed spec.schema.compatibility: other 2": "AcknowledgementRequired",
}
"""Changes that are accepted and whose way back must be refused, since data was promised meanwhile:
events may lack the field by then; consumers may count on the stricter rule."""
FOUNDATIONS: tuple[Mapping[str, Any], ...] = (
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "tapehouse-platform"},
        "data": SETTINGS,
    },
    {"apiVersion": KAFKA[0], "kind": KAFKA[1], "metadata": {"name": KAFKA[2]}, "spec": {}},
)


def everything() -> list[Change]:
    return [
        change
        for kind in SPECS
        for one in fields_of(kind, RESOURCES[kind]["spec"])
        for change in changes_of(one)
        if change.of(RESOURCES[kind]) is not None
    ]


def put(c: Cluster, body: Mapping[str, Any]) -> None:
    """`kubectl replace`: what is not in `body` goes."""
    name = body["metadata"]["name"]
    former = c.get(API_VERSION, body["kind"], name)["spec"]
    c.patch(body["kind"], name, **deepcopy(difference(former, body["spec"])))


def conditions_of(body: Mapping[str, Any]) -> dict[str, Any]:
    assert body["status"]["observedGeneration"] == body["metadata"]["generation"], "stuck"
    return {one["type"]: one for one in body["status"]["conditions"]}


def judge(found: Mapping[str, Any]) -> str:
    """What is wrong with how a change was taken; empty if nothing."""
    if found["Ready"]["reason"] == "InternalError":
        return f"a defect: {found['Ready']['message']}"
    accepted = found["Accepted"]
    if accepted["status"] == "False" and not accepted.get("message", "").startswith("spec"):
        return f"refused without a path: {accepted}"
    return ""


async def try_all(changes: list[Change], problems: list[str]) -> None:
    """Each change and back, all in one cluster as long as it recovers."""
    waiting = iter(changes)
    while (change := next(waiting, None)) is not None:
        async with cluster([*FOUNDATIONS, *CHAIN]) as c:
            await c.settle()
            assert c.unready() == {}
            while change is not None and await recovers(c, change, problems):
                change = next(waiting, None)


async def recovers(c: Cluster, change: Change, problems: list[str]) -> bool:
    """Whether everything is as before after the change and back; tells what is wrong."""
    kind, base = change.field.kind, RESOURCES[change.field.kind]
    body = change.of(base)
    assert body is not None
    put(c, body)
    await c.settle()
    if wrong := judge(conditions_of(c.get(API_VERSION, kind, base["metadata"]["name"]))):
        problems.append(f"{change}: {wrong}")
    put(c, base)
    await c.settle()
    unready = c.unready()
    if str(change) in ONE_WAY:
        (told,) = unready.values()
        assert told.startswith(ONE_WAY[str(change)])
    elif unready:
        problems.append(f"{change}: not recovered: {unready}")
    return not unready


def check(changes: list[Change], caplog: pytest.LogCaptureFixture) -> None:
    problems: list[str] = []
    with caplog.at_level(logging.ERROR):
        for first in range(0, len(changes), BATCH):
            run_virtual(try_all(changes[first : first + BATCH], problems))
    assert problems == [], "\n".join(["", *problems])
    assert [record.getMessage() for record in caplog.records] == []


def test_some_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    check(random.Random(SEED).sample(everything(), SAMPLE), caplog)


@pytest.mark.e2e
def test_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    check(everything(), caplog)


@dataclass
class Seen:
    """All our resources as they are now, read for everybody at once."""

    kube: Kube
    objects: dict[tuple[str, Key], Mapping[str, Any]] = field(default_factory=dict)

    async def run(self) -> None:
        while True:
            found = {}
            for kind, resource in OURS.items():
                for item in (await self.kube.list(resource))[0]:
                    found[kind, Key.of(item)] = item
            self.objects = found
            await asyncio.sleep(0.3)

    async def until(self, so: Callable[[], bool], patience: float = 120.0) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not so():
                    await asyncio.sleep(0.1)
                return True
        return False

    def all_ready(self, namespace: str) -> bool:
        here = [item for (_, key), item in self.objects.items() if key.namespace == namespace]
        return len(here) == len(CHAIN) and all(map(is_ready, here))

    def looked_at(self, kind: str, key: Key, generation: int) -> bool:
        status = self.objects.get((kind, key), {}).get("status") or {}
        return bool(status.get("observedGeneration", 0) >= generation)


@dataclass
class Tally:
    refused: int = 0
    taken: int = 0
    one_way: int = 0
    """Taken, but the API server does not let it be taken back: made anew."""
    problems: list[str] = field(default_factory=list)


def is_clear(refusal: ApiError) -> bool:
    """Whether the API server names the field, in one of its ways.

    What server-side apply cannot merge into the schema it calls an error of its own, with the path.
    It reads our JSON as YAML, whose keys end at 1,024 characters: beyond that it tells no path.
    """
    said = str(refusal)
    if refusal.status == 500 and "typed patch object" not in said:
        return False
    unread = refusal.status == 400 and "error decoding YAML" in said
    return unread or (refusal.status in (400, 422, 500) and "spec" in said)


async def try_one(r: Rig, seen: Seen, namespace: str, change: Change, tally: Tally) -> None:
    kind, base = change.field.kind, RESOURCES[change.field.kind]
    key, body = Key(namespace, base["metadata"]["name"]), change.of(base)
    assert body is not None
    try:
        await put_real(r.kube, namespace, body)
    except ApiError as refusal:
        tally.refused += 1
        if not is_clear(refusal):
            tally.problems.append(f"{change}: {refusal.status} {refusal}")
        return
    tally.taken += 1
    live = await r.kube.get(OURS[kind], key)
    assert live is not None
    if not await seen.until(lambda: seen.looked_at(kind, key, live["metadata"]["generation"])):
        tally.problems.append(f"{change}: not looked at")
    elif wrong := judge(conditions_of(seen.objects[kind, key])):
        tally.problems.append(f"{change}: {wrong}")
    await set_back(r, namespace, base, tally)
    if str(change) in ONE_WAY:
        await give_up(r, seen, namespace, base)
        await make_anew(r, namespace, base)
        tally.one_way += 1
    if not await seen.until(lambda: seen.all_ready(namespace)):
        tally.problems.append(f"{change}: not recovered")


async def set_back(r: Rig, namespace: str, base: Mapping[str, Any], tally: Tally) -> None:
    try:
        await put_real(r.kube, namespace, base)
    except ApiError:
        tally.one_way += 1
        await make_anew(r, namespace, base)
    await asyncio.sleep(0.7)  # what has been seen is as new as that


async def give_up(r: Rig, seen: Seen, namespace: str, base: Mapping[str, Any]) -> None:
    """Let what was promised of the data go with the resource."""
    kind, key = base["kind"], Key(namespace, base["metadata"]["name"])
    await put_real(
        r.kube, namespace, {**base, "spec": {**base["spec"], "deletionPolicy": "Delete"}}
    )
    live = await r.kube.get(OURS[kind], key)
    assert live is not None
    assert await seen.until(lambda: seen.looked_at(kind, key, live["metadata"]["generation"]))


async def make_anew(r: Rig, namespace: str, base: Mapping[str, Any]) -> None:
    await remove(r.kube, namespace, base)
    await gone(r.kube, namespace, base)
    await r.ground.collected(namespace)
    await put_real(r.kube, namespace, base)


@pytest.mark.api
@pytest.mark.e2e
async def test_on_the_api_server(apiserver: ApiServer, catalog: str, tmp_path: Path) -> None:
    """Many namespaces at a time, each with one resource of every kind."""
    started, tally, waiting = time.monotonic(), Tally(), everything()
    async with rig(apiserver, tmp_path, catalog, "fields") as r:
        names = await r.ground.namespaces(24)
        for body in CHAIN:
            await in_parallel(lambda name, body=body: put_real(r.kube, name, body), names)
        await r.settled(names)
        seen = Seen(r.kube)
        reading = asyncio.create_task(seen.run())

        async def work(namespace: str) -> None:
            while waiting:
                await try_one(r, seen, namespace, waiting.pop(), tally)

        await in_parallel(work, names, at_once=len(names))
        reading.cancel()
        print(f"{tally.refused} refused, {tally.taken} taken, {tally.one_way} of them for good,")
        print(f"{time.monotonic() - started:.0f} s")
        assert tally.problems == [], "\n".join(["", *tally.problems[:50]])
        await r.rest(3.0)
        complaints = r.operator.complaints()
    assert complaints == []
