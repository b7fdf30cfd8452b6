"""Kopf's part: it brings events of the kinds, and this module passes them on.

Kopf neither stores anything in the resources nor decides when something is done. What it does
not do is done here: it is started again when an error ends its watches, and what it would list
is listed by the engine, which also learns from it who has gone. It runs in a thread and an event
loop of its own, because it takes over signals and, when it ends, cancels every task it can see.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import aiohttp
from tapehouse_kube.access import Access
from tapehouse_kube.client import SILENCE
from tapehouse_kube.errors import Rejected, Unavailable
from tapehouse_kube.objects import Body, Scope

from tapehouse_operator.decision import AnyKind
from tapehouse_operator.names import API_VERSION, GROUP, VERSION
from tapehouse_operator.shell.ending import run_until_stopped
from tapehouse_operator.shell.engine import Engine
from tapehouse_operator.shell.framework import kopf
from tapehouse_operator.shell.webhook import PATH, Webhook

T = TypeVar("T")

log = logging.getLogger(__name__)
RESTART = (0.5, 30.0)
"""Seconds before Kopf is started again: the first time, and at most."""
PATIENCE = 5.0
"""Seconds that Kopf's start waits at most for a look at what is defined."""
REFUSED = 422
"""The HTTP status of a refusal: the API server understood the request, the spec is wrong."""
INITIAL = "sendInitialEvents"
"""In the query of a watch that begins with everything there is."""


class KopfSource:
    """Feeds the kinds' events into an engine for as long as it runs."""

    def __init__(
        self,
        engine: Engine,
        access: Access,
        kinds: Sequence[AnyKind],
        namespaces: Sequence[str],
        webhook: Webhook | None = None,
    ) -> None:
        self._engine, self._access, self._namespaces = engine, access, tuple(namespaces)
        self._webhook = webhook
        self._kinds = {kind.model.names.plural: kind.model.__name__ for kind in kinds}
        self._waiting: asyncio.Task[None] | None = None
        """For kinds that Kopf lacks: it serves what is defined at the moment it starts."""
        self._pause = threading.Event()
        """Ends the Kopf that is running; unless all is over, another one follows."""
        self._loop: asyncio.AbstractEventLoop
        self._registry = kopf.OperatorRegistry()
        kopf.on.login(registry=self._registry)(self._login)
        for plural in self._kinds:
            kopf.on.event(GROUP, VERSION, plural, registry=self._registry)(self._event)
            if webhook is not None:
                judged = kopf.on.validate(GROUP, VERSION, plural, id=PATH, registry=self._registry)
                judged(self._admit)

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
            if self._waiting is not None:
                self._waiting.cancel()

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
        await self._look_for_kinds()
        operator = kopf.operator(
            registry=self._registry,
            settings=_settings(self._webhook),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=self._pause,
        )
        try:
            await run_until_stopped(operator, self._pause)
        finally:
            self._pause.set()  # Kopf waits for it in a thread, and the loop's end for that thread

    async def _look_for_kinds(self) -> None:
        """Kopf starts without those that are not defined, and again when they are."""
        scopes = self._engine.scopes
        try:
            missing = await asyncio.wait_for(self._ours(self._engine.undefined(scopes)), PATIENCE)
        except (Rejected, Unavailable, TimeoutError):
            missing = scopes
        if missing:
            self._loop.call_soon_threadsafe(self._await_kinds, missing)

    def _await_kinds(self, missing: Sequence[Scope]) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = asyncio.create_task(self._until_defined(missing))

    async def _until_defined(self, missing: Sequence[Scope]) -> None:
        delay = RESTART[0]
        while missing:
            await asyncio.sleep(delay)
            delay = min(delay * 2, RESTART[1])
            with suppress(Rejected, Unavailable):
                missing = await self._engine.undefined(missing)
        self._pause.set()

    async def _event(self, event: Any, **_: Any) -> None:
        tell = self._engine.gone if event["type"] == "DELETED" else self._engine.seen
        self._loop.call_soon_threadsafe(tell, event["object"])

    async def _admit(self, *, body: Body, warnings: list[str], **rest: Any) -> None:
        """The engine judges; Kopf's server passes the answer to the API server."""
        old: Body | None = rest.get("old")
        before, dry_run = dict(old) if old else None, bool(rest.get("dryrun"))
        said = await self._ours(self._engine.judge(dict(body), before, dry_run=dry_run))
        if not said.allowed:
            raise kopf.AdmissionError(said.message, code=REFUSED)
        if said.message:
            warnings.append(said.message)

    async def _after_our_list(
        self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """A watch of Kopf's begins where a list of ours ended, not with everything there is."""
        query = dict(request.url.query)
        if query.pop(INITIAL, ""):
            del query["resourceVersionMatch"]
            scope = self._scope(request)
            try:
                query["resourceVersion"] = await self._ours(self._engine.place(scope))
            except Unavailable as e:
                raise aiohttp.ClientConnectionError(str(e)) from e  # Kopf tries that again
            request.url = request.url.with_query(query)
        return await send(request)

    def _scope(self, request: aiohttp.ClientRequest) -> Scope:
        """From `…/tapehouse.dev/v1alpha1[/namespaces/NAMESPACE]/PLURAL`."""
        *_, collection, namespace, plural = request.url.path.split("/")
        within = namespace if collection == "namespaces" else ""
        return Scope(API_VERSION, self._kinds[plural], within)

    def _ours(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """What the engine does for Kopf is done in the engine's loop."""
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        headers = {"User-Agent": "tapehouse"}
        if token := self._access.authorization():
            headers["Authorization"] = token
        connector = aiohttp.TCPConnector(limit=0, ssl=self._access.tls or False)
        session = aiohttp.ClientSession(
            connector=connector, headers=headers, middlewares=(self._after_our_list,)
        )
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


def _settings(webhook: Webhook | None) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    if webhook is not None:
        settings.admission.server = kopf.WebhookServer(
            addr=webhook.endpoint.address,
            port=webhook.endpoint.port,
            certfile=webhook.certificate,
            pkeyfile=webhook.key,
        )
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.persistence.progress_storage = _NoProgress()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.initial_streaming = True
    settings.watching.inactivity_timeout = SILENCE
    settings.watching.reconnect_backoff = 1.0
    settings.queueing.idle_timeout = 0.1
    settings.queueing.exit_timeout = 1.0
    settings.networking.request_timeout = 30.0
    settings.networking.enforce_retry_after = True
    # Kopf's own last ones are minutes: an outage would outlast itself.
    settings.networking.error_backoffs = (1.0, 2.0, 4.0, 8.0)
    return settings
