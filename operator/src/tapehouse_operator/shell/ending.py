"""Run Kopf so that it ends when it is asked to, or fails."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

LOOK = 0.5
"""Seconds between two looks at whether Kopf is about to end."""
GRACE = 8.0
"""Seconds that Kopf gets to end by itself; it waits for its handlers for 5."""
WATCHER = "watcher for "
"""How Kopf names the tasks that watch, one for each kind and namespace; they never end well."""


class Stuck(Exception):  # noqa: N818
    """Kopf ought to have ended and did not."""


async def run_until_stopped(operator: Coroutine[Any, Any, None], stop: threading.Event) -> None:
    """Run Kopf in a loop of its own until it is over, or ought to be: `stop` is set, or it fails.

    If one of its watchers fails, Kopf cancels the others once. One that is just asking the API
    server takes that for a pause, goes on, and waits for ever for a login that nobody makes any
    more: the operator would be deaf and not know. So here they are cancelled until they are gone.

    Raises:
        Stuck: it had to be ended.
        Exception: what Kopf failed with.
    """
    running = asyncio.create_task(operator)
    watchers, overdue = 0, 0.0
    while not running.done() and overdue < GRACE:
        await asyncio.wait({running}, timeout=LOOK)
        alive = sum(task.get_name().startswith(WATCHER) for task in asyncio.all_tasks())
        overdue += LOOK if stop.is_set() or alive < watchers else 0.0
        watchers = max(watchers, alive)
    await _end_all()
    if running.cancelled():
        raise Stuck(f"Kopf did not end within {GRACE:.0f} s")
    running.result()


async def _end_all() -> None:
    """Cancel everything else in this loop, as often as it takes."""
    me = asyncio.current_task()
    while others := asyncio.all_tasks() - {me}:
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=LOOK)
