"""What Kopf is given to watch: everything from where a list of the engine ended."""

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import pytest
from tapehouse_kube.access import Access
from tapehouse_operator.kinds.contract import Key
from tapehouse_operator.names import API_VERSION
from tapehouse_operator.shell import handlers
from tapehouse_operator.shell.engine import Engine
from tapehouse_operator.shell.handlers import KopfSource
from yarl import URL

from tests.operator.engine.house import NS, widget
from tests.operator.engine.widget import WidgetKind
from tests.support.memory_kube import MemoryKube

SERVER = "https://api.example/k8s"
WIDGETS = f"{SERVER}/apis/{API_VERSION}/namespaces/{NS}/widgets"
FULL_WATCH = {"watch": "true", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}


def started() -> tuple[MemoryKube, Engine]:
    kube = MemoryKube()
    kube.create(
        {
            "apiVersion": API_VERSION,
            "kind": "Widget",
            "metadata": {"name": "one", "namespace": NS},
            "spec": {"size": 1, "parts": ["a"]},
        }
    )
    made = Engine([WidgetKind()], kube, no_catalog, namespaces=[NS], rng=random.Random(1))
    return kube, made


def no_catalog(settings: Any) -> Any:
    raise AssertionError("nobody asks")


def source(engine: Engine) -> KopfSource:
    made = KopfSource(engine, Access(SERVER, None, lambda: "", NS), [WidgetKind()], [NS])
    made._loop = asyncio.get_running_loop()
    return made


async def sent(source: KopfSource, url: URL) -> URL:
    """What becomes of a request for `url`."""
    found: list[URL] = []

    async def send(request: Any) -> Any:
        found.append(request.url)

    request: Any = SimpleNamespace(url=url)
    await source._after_our_list(request, send)
    return found[0]


async def test_a_watch_goes_on_where_the_first_list_ended_and_a_later_one_needs_its_own() -> None:
    kube, engine = started()
    await engine.start()
    try:
        lists, version = kube.calls["list"], kube.objects[widget("one")]["metadata"]
        url = await sent(source(engine), URL(WIDGETS).with_query(FULL_WATCH))
        assert dict(url.query) == {
            "watch": "true",
            "resourceVersion": version["resourceVersion"],
        }
        assert kube.calls["list"] == lists, "at a start nothing is listed twice"

        kube.remove(widget("one"))
        await sent(source(engine), URL(WIDGETS).with_query(FULL_WATCH))
        assert kube.calls["list"] == lists + 1
        key = Key("Widget", NS, "one")
        assert engine.backend.subject(key) is None, "nobody told that it has gone but the list"
    finally:
        await engine.stop()


async def test_other_requests_are_left_alone() -> None:
    _, engine = started()
    for url in (
        URL(f"{SERVER}/apis/{API_VERSION}"),
        URL(f"{WIDGETS}?watch=true&resourceVersion=7"),
    ):
        assert await sent(source(engine), url) == url


async def test_what_a_watch_told_during_a_list_is_not_taken_for_gone() -> None:
    kube, engine = started()
    await engine.start()
    try:
        body = kube.objects[widget("one")]
        later = str(int(body["metadata"]["resourceVersion"]) + 10)
        meta = {**body["metadata"], "name": "two", "uid": "two", "resourceVersion": later}
        engine.seen({**body, "metadata": meta})
        await engine.place(engine.scopes[0])
        await engine.place(engine.scopes[0])
        assert engine.backend.subject(Key("Widget", NS, "two")) is not None
    finally:
        await engine.stop()


async def test_a_kopf_that_fails_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    _, engine = started()
    begun, stop = 0, asyncio.Event()
    loop = asyncio.get_running_loop()

    async def operator(*, stop_flag: Any, **_: Any) -> None:
        nonlocal begun
        begun += 1
        if begun == 2:
            loop.call_soon_threadsafe(stop.set)
        waiting = asyncio.get_running_loop().run_in_executor(None, stop_flag.wait)  # as Kopf does
        await asyncio.wait({waiting}, timeout=0.01)
        raise ValueError("a watch has failed")

    monkeypatch.setattr(handlers.kopf, "operator", operator)
    async with asyncio.timeout(20):
        await KopfSource(engine, Access(SERVER, None, lambda: "", NS), [WidgetKind()], [NS]).run(
            stop
        )
    assert begun == 2
