"""Random deeds in random weather: once it calms down, the world is as declared and stays so.

A failing seed replays: it is in the note of the error; call `run_virtual(simulate(seed))`.
"""

import asyncio
import random
from typing import Any

import pytest
from tapehouse_kube.errors import Rejected, Unavailable
from tapehouse_kube.objects import Ref
from tapehouse_operator.names import LABEL_OWNER, SETTINGS

from tests.operator.engine.faults import Weather
from tests.operator.engine.house import NS, House, widget
from tests.operator.engine.virtual import run_virtual
from tests.support.memory_kube import Calm, MemoryKube

SEEDS, BATCH = 1_000, 50
NAMES = ("one", "two", "three")


def any_spec(rng: random.Random, name: str) -> dict[str, Any]:
    """A spec that is fine more often than not."""
    spec: dict[str, Any] = {"size": rng.choice([1, 2, 3, 100])}
    spec["parts"] = rng.sample(["a", "b", "c", "d"], rng.randint(1, 3))
    if rng.random() < 0.3:
        spec["needs"] = "extra"
    if rng.random() < 0.3:
        spec["topic"] = f"{name}-topic"
    if rng.random() < 0.3:
        spec |= {"table": f"{name}-table"}
    if rng.random() < 0.3:
        spec["deletionPolicy"] = "Delete"
    if rng.random() < 0.3:
        spec["sql"] = rng.choice(["SELECT 1", "SELECT 2", "SELECT bad"])
    return spec


class Player:
    """Does what users, other controllers and fate do."""

    def __init__(self, h: House, rng: random.Random) -> None:
        self.h, self.rng = h, rng
        self.deeds = [
            (8, self.put),
            (2, self.remove),
            (2, self.remove_child),
            (3, self.edit_child),
            (1, self.toggle_extra),
            (1, self.break_watches),
            (1, self.expire),
            (1, self.restart),
            (1, self.catalog),
        ]

    async def play(self, steps: int) -> None:
        weights = [w for w, _ in self.deeds]
        for _ in range(steps):
            deed = self.rng.choices([d for _, d in self.deeds], weights)[0]
            await deed()
            await asyncio.sleep(self.rng.choice([0.0, 0.01, 0.5, 5.0]))
            self.h.controllers.play()

    async def put(self) -> None:
        name = self.rng.choice(NAMES)
        self.h.put(name, **any_spec(self.rng, name))

    async def remove(self) -> None:
        self.h.kube.remove(widget(self.rng.choice(NAMES)))

    async def remove_child(self) -> None:
        if ref := self.child():
            self.h.kube.remove(ref)

    async def edit_child(self) -> None:
        ref = self.child()
        if ref and ref.kind == "ConfigMap":
            self.h.kube.edit(ref, {"data": {"size": "77", "foreign": "yes"}})
        elif ref and ref.kind == "Deployment":
            self.h.kube.edit(ref, {"spec": {"replicas": 77}})

    def child(self) -> Ref | None:
        owned = [
            ref
            for ref, body in self.h.kube.objects.items()
            if LABEL_OWNER in (body["metadata"].get("labels") or {})
        ]
        return self.rng.choice(owned) if owned else None

    async def toggle_extra(self) -> None:
        ref = Ref("v1", "ConfigMap", NS, "extra")
        if ref in self.h.kube.objects and self.rng.random() < 0.5:
            self.h.kube.remove(ref)
        else:
            self.h.config("extra", colour=self.rng.choice(["red", "blue"]))

    async def break_watches(self) -> None:
        self.h.kube.break_watches(self.rng.choice([Unavailable("EOF"), Rejected(500, "X", "y")]))

    async def expire(self) -> None:
        self.h.kube.expire()

    async def restart(self) -> None:
        await self.h.stop()
        await self.h.start()

    async def catalog(self) -> None:
        self.h.shelf.down = not self.h.shelf.down


async def simulate(seed: int) -> None:
    rng = random.Random(seed)
    h = House(MemoryKube(), seed=seed, workers=rng.choice([1, 2, 8]))
    h.config(SETTINGS, environment="test")
    await h.start()
    h.kube.interference = Weather(rng, rng.choice([0.0, 0.05, 0.3]))
    await Player(h, rng).play(steps=rng.randint(5, 25))
    h.kube.interference = Calm()
    h.shelf.down = False
    h.config("extra", colour="red")
    await h.settle(400)
    check_world(h)
    await check_rest(h)
    await h.stop()


def check_world(h: House) -> None:
    for name in NAMES:
        if widget(name) in h.kube.objects:
            check_widget(h, name)
        else:
            orphans = [ref for ref in owned_by(h, name) if ref.kind != "KafkaTopic"]
            assert orphans == [], f"{name} is gone"


def check_widget(h: House, name: str) -> None:
    body = h.kube.objects[widget(name)]
    spec, status = body["spec"], body["status"]
    assert status["observedGeneration"] == body["metadata"]["generation"], name
    accepted, reason, message = h.condition(name, "Accepted")
    expected = {100: "Invalid"}.get(spec["size"], "Accepted")
    if expected == "Accepted" and "bad" in spec.get("sql", ""):
        expected = "InvalidSql"
    assert reason == expected, (name, accepted, message)
    if expected != "Accepted":
        return
    assert h.condition(name, "Ready")[0] == "True", (name, h.condition(name, "Ready"))
    parts = {ref.name for ref in owned_by(h, name) if ref.kind == "ConfigMap"}
    assert parts == {f"{name}-{part}" for part in spec["parts"]}, name
    for part in parts:
        data = h.kube.objects[Ref("v1", "ConfigMap", NS, part)]["data"]
        assert data["size"] == str(spec["size"]), part
        assert data["revision"] == str(status["revision"]), part
    deployment = h.kube.objects[Ref("apps/v1", "Deployment", NS, name)]
    assert deployment["spec"]["replicas"] == spec["size"]
    assert (f"{name}-table" in h.shelf.tables) or "table" not in spec
    latest = max(ref.name for ref in owned_by(h, name) if ref.kind == "ControllerRevision")
    assert status["currentRevision"] == latest


def owned_by(h: House, name: str) -> list[Ref]:
    return [
        ref
        for ref, body in h.kube.objects.items()
        if (body["metadata"].get("labels") or {}).get(LABEL_OWNER) == f"widget.{name}"
    ]


async def check_rest(h: House) -> None:
    writes = len(h.kube.writes)
    await asyncio.sleep(60)
    assert h.kube.writes[writes:] == [], "writes at rest"
    await h.stop()
    await h.start()
    await h.settle(60)
    assert h.kube.writes[writes:] == [], "writes after a restart"


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_the_world_comes_to_match(first: int) -> None:
    for seed in range(first, first + BATCH):
        try:
            run_virtual(simulate(seed))
        except BaseException as e:
            e.add_note(f"seed {seed}")
            raise
