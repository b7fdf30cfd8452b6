"""The door: Kopf brings events of the kinds, this module hands them on. Nothing else.

Kopf neither stores anything in the resources nor decides when something is done. What it does
not do is done here: it is started again when an error ends its watches, and resources that went
while it was not watching are looked for after each of its lists. It runs in a thread and an event
loop of its own, because it takes over signals and, when it ends, cancels every task it can see.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

import aiohttp

from tapehouse_operator.backends.access import Access
from tapehouse_operator.backends.client import SILENCE
from tapehouse_operator.decision import AnyKind
from tapehouse_operator.names import GROUP, VERSION
from tapehouse_operator.shell.engine import Engine
from tapehouse_operator.shell.framework import kopf

log = logging.getLogger(__name__)
RESTART = (0.5, 30.0)
"""Seconds before Kopf is started again: the first time, and at most."""
PATIENCE = 5.0
"""Seconds that Kopf's start waits at most for a look at what is defined."""
SWEEP_AFTER = 2.0
"""Seconds after the first event of a list at which the list is surely over."""


class Door:
    """Feeds the kinds' events into an engine for as long as it runs."""

    def __init__(
        self, engine: Engine, access: Access, kinds: Sequence[AnyKind], namespaces: Sequence[str]
    ) -> None:
        self._engine, self._access, self._namespaces = engine, access, tuple(namespaces)
        self._sweep: asyncio.Task[Any] | None = None
        self._listed_since = False
        """Whether there has been a list since the sweep under way began."""
        self._blind = False
        """Whether Kopf may lack a kind: it serves what is defined at the moment it starts."""
        self._pause = threading.Event()
        """Ends the Kopf that is running; unless all is over, another one follows."""
        self._loop: asyncio.AbstractEventLoop
        self._registry = kopf.OperatorRegistry()
        kopf.on.login(registry=self._registry)(self._login)
        for kind in kinds:
            plural = kind.model.names.plural
            kopf.on.event(GROUP, VERSION, plural, registry=self._registry)(self._event)

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop` is set, whatever happens to Kopf."""
        self._loop = asyncio.get_running_loop()
        stopped = threading.Event()
        watching = asyncio.create_task(asyncio.to_thread(self._watch, stopped))
        try:
            await stop.wait()
        finally:
            stopped.set()
            self._pause.set()
            await watching
            if self._sweep is not None:
                self._sweep.cancel()

    def _watch(self, stopped: threading.Event) -> None:
        delay = RESTART[0]
        while True:
            self._pause.clear()
            if stopped.is_set():  # asked after the pause is cleared: it is set after this
                return
            started = time.monotonic()
            try:
                asyncio.run(self._operate())
            except Exception as e:
                log.warning("watching the resources is started again: %s", e)
            delay = RESTART[0] if time.monotonic() - started > RESTART[1] else delay
            if not stopped.wait(delay):
                delay = min(delay * 2, RESTART[1])

    async def _operate(self) -> None:
        if not await self._sees_all():
            self._loop.call_soon_threadsafe(self._sweep_soon, True)
        await kopf.operator(
            registry=self._registry,
            settings=_settings(),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=self._pause,
        )

    async def _sees_all(self) -> bool:
        """Whether every kind can be listed now."""
        sweep = asyncio.run_coroutine_threadsafe(self._engine.sweep(), self._loop)
        answer: asyncio.Future[list[str]] = asyncio.wrap_future(sweep)
        try:
            return not await asyncio.wait_for(answer, PATIENCE)
        except TimeoutError:
            return False

    async def _event(self, event: Any, **_: Any) -> None:
        kind, body = event["type"], event["object"]
        tell = self._engine.gone if kind == "DELETED" else self._engine.seen
        self._loop.call_soon_threadsafe(tell, body)
        if kind is None:
            self._loop.call_soon_threadsafe(self._sweep_soon)

    def _sweep_soon(self, blind: bool = False) -> None:
        """Events without a type come from a list, which tells of nobody who has gone."""
        self._listed_since = True
        self._blind |= blind
        if self._sweep is None or self._sweep.done():
            self._sweep = asyncio.create_task(self._sweep_later())

    async def _sweep_later(self) -> None:
        while self._listed_since:
            await asyncio.sleep(SWEEP_AFTER)
            self._listed_since = False
            await self._sweep_all()
            if self._blind:
                self._blind = False
                self._pause.set()

    async def _sweep_all(self) -> None:
        delay = SWEEP_AFTER
        while failed := await self._engine.sweep():
            self._blind = True
            log.info("looking for resources that went will be tried again: %s", failed[0])
            delay = min(delay * 2, RESTART[1])
            await asyncio.sleep(delay)

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        headers = {"User-Agent": "tapehouse"}
        if token := self._access.authorization():
            headers["Authorization"] = token
        connector = aiohttp.TCPConnector(limit=0, ssl=self._access.tls or False)
        session = aiohttp.ClientSession(connector=connector, headers=headers)
        return kopf.AiohttpSession(
            server=self._access.server,
            aiohttp_session=session,
            default_namespace=self._access.namespace,
        )


class _NoDiffs(kopf.DiffBaseStorage):
    """Kopf computes diffs for handlers that know them: for events that is half of the work."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        pass


class _NoProgress(kopf.ProgressStorage):
    """Nor is there any progress to look for."""

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        pass

    def purge(self, **_: Any) -> None:
        pass

    def touch(self, **_: Any) -> None:
        pass

    def clear(self, *, essence: Any) -> Any:
        return essence


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.persistence.progress_storage = _NoProgress()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.chunk_size = 500
    settings.watching.inactivity_timeout = SILENCE
    settings.watching.reconnect_backoff = 1.0
    settings.queueing.idle_timeout = 0.1
    settings.queueing.exit_timeout = 1.0
    settings.networking.request_timeout = 30.0
    settings.networking.enforce_retry_after = True
    # Kopf's own last ones are minutes: an outage would outlast itself.
    settings.networking.error_backoffs = (1.0, 2.0, 4.0, 8.0)
    return settings
