"""Admission: what is refused, what only warns, and that judging asks nothing of the API server."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tapehouse_kube.objects import Ref
from tapehouse_operator.admission import VERDICTS, Answer, Verdict
from tapehouse_operator.api.base import Reason
from tapehouse_operator.emit.core import ObjectKey
from tapehouse_operator.errors import NotReady, SpecError
from tapehouse_operator.kinds.contract import Refs, World
from tapehouse_operator.names import API_VERSION, SETTINGS
from tapehouse_operator.shell.engine import Engine

from tests.operator.engine.house import NS, TableShelf
from tests.operator.engine.widget import Widget, WidgetKind, WidgetPlan
from tests.support.memory_kube import MemoryKube


class StrictKind(WidgetKind):
    """Counts on a column of another widget, named by `needs`; `topic` names a reason to refuse."""

    def refs(self, resource: Widget, settings: Any) -> Refs:
        needs = resource.spec.needs
        return Refs(frozenset({ObjectKey(API_VERSION, "Widget", needs)} if needs else ()))

    def validate(self, resource: Widget, world: World) -> WidgetPlan:
        if resource.spec.topic:
            raise SpecError(Reason.of(resource.spec.topic), "spec.topic", 1, "another value")
        return WidgetPlan(resource.metadata.name, NS, resource.spec, {})


def body(name: str = "new", **spec: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": NS, "uid": f"uid-{name}", "generation": 1}
    return {"apiVersion": API_VERSION, "kind": "Widget", "metadata": meta, "spec": spec}


def with_settings() -> MemoryKube:
    kube = MemoryKube()
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": SETTINGS, "namespace": NS},
            "data": {"kafka": "tape"},
        }
    )
    return kube


async def running(kube: MemoryKube, kind: WidgetKind) -> AsyncIterator[Engine]:
    shelf = TableShelf()
    engine = Engine([kind], kube, lambda settings: shelf, namespaces=[NS], rng=random.Random(1))
    await engine.start()
    yield engine
    await engine.stop()
    assert shelf.calls == [], "the catalog is never asked"


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async for one in running(with_settings(), WidgetKind()):
        yield one


@pytest.fixture
async def strict() -> AsyncIterator[Engine]:
    async for one in running(with_settings(), StrictKind()):
        yield one


async def test_a_wrong_value_is_refused_with_field_value_and_remedy(engine: Engine) -> None:
    said = await engine.judge(body(size=200), None)
    assert said == Answer(False, "spec.size: 200: less than 100 is accepted")
    said = await engine.judge(body(siz=1), None)
    assert not said.allowed
    assert "did you mean size?" in said.message


async def test_a_right_value_gets_no_word(engine: Engine) -> None:
    assert await engine.judge(body(size=2, table="a.b", sql="SELECT 1"), None) == Answer()


async def test_what_is_not_there_yet_is_a_warning(engine: Engine) -> None:
    assert await engine.judge(body(needs="later"), None) == Answer(True, "no ConfigMap later")


async def test_without_settings_a_spec_that_is_wrong_by_itself_is_still_refused() -> None:
    async for engine in running(MemoryKube(), WidgetKind()):
        said = await engine.judge(body(size=1), None)
        assert said == Answer(True, f"namespace {NS} has no ConfigMap {SETTINGS}")
        assert not (await engine.judge(body(siz=1), None)).allowed


async def test_only_a_changed_spec_is_judged(engine: Engine) -> None:
    wrong = body(size=200)
    assert await engine.judge({**wrong, "status": {"phase": "Ready"}}, wrong) == Answer()
    leaving = {**wrong["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert await engine.judge({**wrong, "metadata": leaving}, body(size=1)) == Answer()
    assert not (await engine.judge(wrong, body(size=1))).allowed


async def test_a_thousand_judgements_cost_no_request() -> None:
    kube = with_settings()
    async for engine in running(kube, WidgetKind()):
        await engine.judge(body(), None)
        before = dict(kube.calls)
        for number in range(1000):
            await engine.judge(body(f"w{number}", size=number, topic="t", needs="x"), None)
        assert kube.calls == before


async def test_settings_are_kept_up_to_date() -> None:
    kube, key = with_settings(), ObjectKey("v1", "ConfigMap", SETTINGS)
    async for engine in running(kube, WidgetKind()):
        await engine.judge(body(), None)
        before = engine.backend.cached(NS, {key})[key]
        kube.edit(Ref("v1", "ConfigMap", NS, SETTINGS), {"data": {"kafka": "other"}})
        async with asyncio.timeout(10):
            while engine.backend.cached(NS, {key}).get(key) == before:
                await asyncio.sleep(0)
        assert await engine.judge(body(size=1), None) == Answer()
        assert engine.backend.cached(NS, {key})[key].data == {"kafka": "other"}


async def test_a_reason_that_passes_by_itself_warns(strict: Engine) -> None:
    for reason, verdict in VERDICTS.items():
        said = await strict.judge(body(topic=reason.value), None)
        assert said == Answer(verdict is Verdict.WARN, "spec.topic: 1: another value"), reason


async def test_a_reference_in_motion_turns_a_refusal_into_a_warning(strict: Engine) -> None:
    def other(generation: int, accepted: str) -> dict[str, Any]:
        found = body("other")
        version = str(100 * generation + len(accepted))
        found["metadata"] |= {"generation": generation, "resourceVersion": version}
        condition = {"type": "Accepted", "status": accepted}
        return {**found, "status": {"observedGeneration": 1, "conditions": [condition]}}

    spec = {"needs": "other", "topic": Reason.UNKNOWN_COLUMN.value}
    strict.seen(other(1, "True"))
    assert not (await strict.judge(body(**spec), None)).allowed
    strict.seen(other(2, "True"))
    assert (await strict.judge(body(**spec), None)).allowed, "its newest spec is not seen yet"
    spec["topic"] = Reason.INVALID_TYPE.value
    assert not (await strict.judge(body(**spec), None)).allowed, "wrong whatever it becomes"


async def test_a_dry_run_of_a_whole_change_is_not_refused_for_what_the_change_mends(
    strict: Engine,
) -> None:
    dry = body(topic=Reason.UNKNOWN_COLUMN.value)
    said = await strict.judge(dry, None, dry_run=True)
    assert said == Answer(True, "spec.topic: 1: another value")
    assert not (await strict.judge(dry, None)).allowed
    wrong = body(topic=Reason.INVALID.value)
    assert not (await strict.judge(wrong, None, dry_run=True)).allowed


async def test_a_job_is_not_refused_for_a_feed_that_tools_apply_after_it(
    strict: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any) -> Any:
        raise SpecError(Reason.UNKNOWN_EVENT, "spec.inputs[0].event", "Tick", "declare it")

    monkeypatch.setattr(StrictKind, "validate", unknown)
    said = await strict.judge(body(), None)
    assert said.allowed
    assert "spec.inputs[0].event" in said.message


async def test_what_only_needs_time_is_no_warning(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[NotReady] = []

    def waiting(*_: Any) -> Any:
        raise waits[-1]

    monkeypatch.setattr(WidgetKind, "validate", waiting)
    for reason, silent in ((Reason.FEED_NOT_READY, True), (Reason.KAFKA_NOT_FOUND, False)):
        waits.append(NotReady(reason, "not yet"))
        assert await engine.judge(body(), None) == Answer(True, "" if silent else "not yet")


async def test_a_defect_of_the_operator_refuses_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(WidgetKind, "validate", broken)
    assert await engine.judge(body(), None) == Answer(
        True, "not checked: ZeroDivisionError: a defect"
    )
