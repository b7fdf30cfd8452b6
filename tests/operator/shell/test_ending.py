"""Kopf always ends: it would not by itself if a watcher takes a cancellation for a pause."""

import asyncio
import threading

import pytest
from tapehouse_operator.shell import ending
from tapehouse_operator.shell.ending import Stuck, run_until_stopped


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "LOOK", 0.01)
    monkeypatch.setattr(ending, "GRACE", 0.05)


async def deaf() -> None:
    """As Kopf's watcher: the first cancellation is lost, and nobody will answer."""
    for _ in range(2):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def operator(watchers: dict[str, "asyncio.Task[None]"], *, ends: bool) -> None:
    watchers["fails"] = asyncio.create_task(asyncio.sleep(0.05), name="watcher for a")
    watchers["deaf"] = asyncio.create_task(deaf(), name="watcher for b")
    await watchers["fails"]
    if ends:
        raise ValueError("410")
    await asyncio.wait({watchers["deaf"]})


def test_a_watcher_that_fails_ends_the_others_and_kopf() -> None:
    watchers: dict[str, asyncio.Task[None]] = {}
    with pytest.raises(Stuck):
        asyncio.run(run_until_stopped(operator(watchers, ends=False), threading.Event()))
    assert all(task.done() for task in watchers.values())


def test_what_kopf_fails_with_is_told() -> None:
    watchers: dict[str, asyncio.Task[None]] = {}
    with pytest.raises(ValueError, match="410"):
        asyncio.run(run_until_stopped(operator(watchers, ends=True), threading.Event()))
    assert all(task.done() for task in watchers.values())


def test_it_ends_when_it_is_told_to() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stuck):
        asyncio.run(run_until_stopped(asyncio.sleep(60), stop))
