"""The running operator without its door: caches, queue, workers and what to do with outcomes."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from tapehouse_operator.backends.cluster import ClusterBackend
from tapehouse_operator.backends.informer import BACKOFF
from tapehouse_operator.backends.kube import Body, Kube, Ref, Scope
from tapehouse_operator.decision import AnyKind
from tapehouse_operator.errors import Fenced, Rejected, Unavailable
from tapehouse_operator.kinds.contract import Key, Subject
from tapehouse_operator.names import API_VERSION
from tapehouse_operator.notices import Notice
from tapehouse_operator.ports import Catalog
from tapehouse_operator.reconcile import Outcome, Reconciler
from tapehouse_operator.shell.metrics import Metrics
from tapehouse_operator.shell.queue import WakeQueue

log = logging.getLogger(__name__)
RESYNC = (600.0, 720.0)
"""Seconds between two looks at what sends no events."""


class Engine:
    """Everything between a Kubernetes API and the kinds. Leads only when told to."""

    def __init__(
        self,
        kinds: Sequence[AnyKind],
        kube: Kube,
        catalogs: Callable[[Mapping[str, str]], Catalog],
        *,
        namespaces: Sequence[str] = (),
        workers: int = 16,
        fence: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: random.Random | None = None,
        tell: Callable[[Subject, Sequence[Notice]], None] = lambda subject, notices: None,
    ) -> None:
        self._kube, self._namespaces = kube, tuple(namespaces) or ("",)
        self._random = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self.backend = ClusterBackend(
            kube,
            {owned for kind in kinds for owned in kind.owned},
            namespaces=namespaces,
            wake=self._woken,
            fence=fence,
            clock=clock,
            rng=self._random,
        )
        self.reconciler = Reconciler(kinds, self.backend, catalogs, tell)
        self.queue = WakeQueue(self._work, workers, self._random)
        self.metrics = Metrics(self.backend.store, self.queue, kube.calls)
        self.synced = False
        self._leading: asyncio.Task[None] | None = None

    @property
    def kind_names(self) -> tuple[str, ...]:
        """The kinds this engine serves."""
        return tuple(self.reconciler.kinds)

    # watching

    async def start(self) -> None:
        """Fill the caches; a kind that is not installed holds up none of the others."""
        children = asyncio.create_task(self.backend.start())
        delay = BACKOFF[0]
        while missing := await self.sweep(complete=True):
            log.warning("waiting for: %s", "; ".join(missing))
            await asyncio.sleep(delay)
            delay = min(delay * 2, BACKOFF[1])
        await children
        self.synced = True

    async def sweep(self, *, complete: bool = False) -> list[str]:
        """Notice resources that went while nobody watched; `complete` reads all others as well.

        Returns what could not be listed, and why.
        """
        failed: list[str] = []
        for kind in self.kind_names:
            for namespace in self._namespaces:
                scope = Scope(API_VERSION, kind, namespace, metadata_only=not complete)
                try:
                    await self._list(scope)
                except (Rejected, Unavailable) as e:
                    undefined = isinstance(e, Rejected) and e.status == 404
                    if undefined:
                        self.backend.resources_listed(scope, frozenset())
                    if not (undefined and complete):
                        failed.append(f"{scope}: {e}")
        return failed

    async def _list(self, scope: Scope) -> None:
        present: set[Ref] = set()
        async for page in self._kube.list(scope):
            for item in page.items:
                meta = item["metadata"]
                present.add(Ref(API_VERSION, scope.kind, meta.get("namespace", ""), meta["name"]))
                if not scope.metadata_only:
                    self.seen({**item, "apiVersion": API_VERSION, "kind": scope.kind})
            await asyncio.sleep(0)
        self.backend.resources_listed(scope, frozenset(present))

    def seen(self, body: Body) -> None:
        """A resource as it is."""
        self.backend.resource_seen(body)

    def gone(self, body: Body) -> None:
        """A resource that has just gone."""
        meta = body["metadata"]
        ref = Ref(API_VERSION, body["kind"], meta.get("namespace", ""), meta["name"])
        self.backend.resource_gone(ref, meta["uid"])

    # leading

    def lead(self) -> None:
        """Look at everything once, then at whatever changes."""
        for kind in self.kind_names:
            for ref in self.backend.store.refs(API_VERSION, kind):
                self.queue.wake(Key(kind, ref.namespace, ref.name))
        self._leading = asyncio.create_task(self.queue.run(), name="workers")

    async def follow(self) -> None:
        """Stop writing, keep watching."""
        leading, self._leading = self._leading, None
        if leading is not None:
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)
        self.queue.clear()

    async def stop(self) -> None:
        """Stop everything."""
        await self.follow()
        await self.backend.stop()

    def _woken(self, key: Key) -> None:
        if self._leading is not None:
            self.queue.wake(key)

    # working

    async def _work(self, key: Key) -> None:
        with self.metrics.timed(key):
            try:
                outcome = await self.reconciler.reconcile(key)
            except Unavailable as e:
                log.info("%s will be tried again: %s", _name(key), e)
                self.queue.retry(key, e.retry_after)
            except Fenced as e:
                log.info("%s left to the leader: %s", _name(key), e)
            except Exception as e:
                log.exception("defect while reconciling %s", _name(key))
                self.queue.retry(key)
                await self._confess(key, e)
            else:
                self._after(key, outcome)

    def _after(self, key: Key, outcome: Outcome) -> None:
        self.metrics.reconciled(key, outcome)
        if outcome.gone:
            self.queue.forget(key)
        elif outcome.retry:
            self.queue.retry(key)
        else:
            self.queue.settled(key)
            if outcome.resync:
                self.queue.wake_after(key, self._random.uniform(*RESYNC))

    async def _confess(self, key: Key, error: Exception) -> None:
        try:
            await self.reconciler.fail(key, f"{type(error).__name__}: {error}")
        except (Rejected, Unavailable, Fenced) as e:
            log.info("could not tell %s of its defect: %s", _name(key), e)


def _name(key: Key) -> str:
    return f"{key.kind} {key.namespace}/{key.name}"
