"""`tapehouse-operator run`: everything put together, started in order, stopped in order."""

import asyncio
import functools
import gc
import logging
import random
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from tapehouse_kube.access import load_access
from tapehouse_kube.client import HttpKube

from tapehouse_operator.backends.canary import listen
from tapehouse_operator.backends.lease import Lease
from tapehouse_operator.backends.resync import CachedCatalog
from tapehouse_operator.decision import AnyKind
from tapehouse_operator.kinds import KINDS
from tapehouse_operator.ports import Catalog
from tapehouse_operator.shell.engine import Engine
from tapehouse_operator.shell.handlers import KopfSource
from tapehouse_operator.shell.health import serve_health
from tapehouse_operator.shell.recorder import Recorder
from tapehouse_operator.shell.settings import Settings
from tapehouse_operator.shell.webhook import Endpoint, Webhook

log = logging.getLogger(__name__)
LEASE_NAME = "tapehouse-operator"
COLLECT_EVERY = (50_000, 20, 20)
"""`gc.set_threshold`: what a list brings stays, and is no garbage; with Python's own 700 a third of
filling the caches is looking for some."""


async def run_operator(settings: Settings, kinds: Sequence[AnyKind] = KINDS) -> None:
    """Serve `kinds` until SIGTERM or SIGINT.

    Raises:
        FileNotFoundError, ValueError: there is no way to reach an API server.
        OSError: the metrics port or that of admission is taken.
    """
    gc.set_threshold(*COLLECT_EVERY)
    access = load_access(str(settings.kubeconfig or ""))
    rng = random.Random()  # noqa: S311 - jitter, not a secret
    stop = _stop_on_signals()
    async with HttpKube(access, rng) as kube:
        home = settings.namespaces[0] if settings.namespaces else access.namespace
        lease = Lease(kube, home, LEASE_NAME, settings.identity, rng)
        recorder = Recorder(kube, lambda: datetime.now(UTC), settings.identity, rng)
        engine = Engine(
            kinds,
            kube,
            catalogs(rng),
            namespaces=settings.namespaces,
            workers=settings.workers,
            fence=lease.fence if settings.leader_election else lambda: None,
            rng=rng,
            tell=recorder.tell,
        )
        async with (
            serve_health(engine, settings.address, settings.port),
            _admission(kube, settings, home, kinds) as webhook,
            _started(engine, stop),
        ):
            log.info("serving %s", ", ".join(engine.kind_names))
            source = KopfSource(engine, access, kinds, settings.namespaces, webhook)
            lead = (
                _elected(engine, lease, kube, rng) if settings.leader_election else _alone(engine)
            )
            leading = asyncio.create_task(lead)
            telling = asyncio.create_task(recorder.run())
            for task in (leading, telling):
                task.add_done_callback(lambda ended: _end_with(ended, stop))
            try:
                await source.run(stop)
            finally:
                for task in (telling, leading):
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
    log.info("stopped")


@asynccontextmanager
async def _admission(
    kube: HttpKube, settings: Settings, home: str, kinds: Sequence[AnyKind]
) -> AsyncIterator[Webhook | None]:
    """What Kopf's admission server needs, kept current; None without admission."""
    if not settings.admission_port:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="tapehouse-admission-") as directory:
        webhook = Webhook(
            kube,
            Endpoint(settings.address, settings.admission_port, settings.admission_service),
            Path(directory),
            home=home,
            plurals=[kind.model.names.plural for kind in kinds],
            namespaces=settings.namespaces,
            clock=lambda: datetime.now(UTC),
        )
        await webhook.prepare()
        keeping = asyncio.create_task(webhook.run(), name="admission")
        try:
            yield webhook
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


def catalogs(rng: random.Random) -> Callable[[Mapping[str, str]], Catalog]:
    """One cached catalog for each URI that settings name."""
    known: dict[str, CachedCatalog] = {}

    def catalog(settings: Mapping[str, str]) -> Catalog:
        # PyIceberg is 60 MB: an operator without tables does without.
        from tapehouse_operator.backends.catalog import rest_catalog

        uri = settings.get("catalogUri", "")
        if uri not in known:
            clock = asyncio.get_running_loop().time
            known[uri] = CachedCatalog(rest_catalog(uri), clock, rng)
        return known[uri]

    return catalog


@asynccontextmanager
async def _started(engine: Engine, stop: asyncio.Event) -> AsyncIterator[None]:
    """Caches are filled, unless the process is told to stop before."""
    starting = asyncio.create_task(engine.start())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            gc.freeze()  # the caches, in which no collection would find anything
        yield
    finally:
        stopping.cancel()
        starting.cancel()
        await engine.stop()


def _end_with(task: asyncio.Task[None], stop: asyncio.Event) -> None:
    """A process that has lost one of its parts ends, and is started again."""
    if not task.cancelled() and task.exception() is not None:
        stop.set()


async def _alone(engine: Engine) -> None:
    engine.lead()


async def _elected(engine: Engine, lease: Lease, kube: HttpKube, rng: random.Random) -> None:
    """Lead when the lease says so; hearing of it proves that watches work, even at rest."""
    canary = engine.backend.canary
    async with asyncio.TaskGroup() as group:
        group.create_task(listen(kube, lease.ref, canary, rng).run(), name="canary")
        known = functools.partial(canary.known, lease.ref.kind)
        group.create_task(lease.run(engine.lead, engine.follow, known), name="lease")


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
