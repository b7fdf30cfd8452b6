"""The running operator without Kopf: caches, queue, workers and what to do with outcomes."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from tapehouse_kube.errors import Rejected, Unavailable
from tapehouse_kube.informer import BACKOFF
from tapehouse_kube.objects import Body, Kube, Ref, Scope, reference
from tapehouse_kube.queue import WakeQueue

from tapehouse_operator.admission import Answer, answer, asks_for_verdict
from tapehouse_operator.backends.cluster import ClusterBackend
from tapehouse_operator.backends.preview import Preview
from tapehouse_operator.decision import AnyKind
from tapehouse_operator.errors import Fenced
from tapehouse_operator.kinds.contract import Key, Subject
from tapehouse_operator.names import API_VERSION
from tapehouse_operator.notices import Notice
from tapehouse_operator.ports import Catalog
from tapehouse_operator.reconcile import Outcome, Reconciler
from tapehouse_operator.shell.metrics import Metrics

log = logging.getLogger(__name__)
RELIST = 0.5
"""Seconds before everything is listed once more: watches that end at once must not end in a storm
of lists."""
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
        self._preview = Preview(kinds, self.backend, catalogs)
        self.queue = WakeQueue(self._work, workers, self._random)
        self.metrics = Metrics(self.backend.store, self.queue, kube.calls)
        self.synced = False
        self.scopes = [
            Scope(API_VERSION, kind, namespace)
            for kind in self.kind_names
            for namespace in self._namespaces
        ]
        """What has to be watched of the kinds themselves, by whoever calls `seen` and `gone`."""
        self._places: dict[Scope, str] = {}
        """Where the list of a scope ended, until a watch goes on from there."""
        self._leading: asyncio.Task[None] | None = None

    @property
    def kind_names(self) -> tuple[str, ...]:
        """The kinds this engine serves."""
        return tuple(self.reconciler.kinds)

    # watching

    async def start(self) -> None:
        """Fill the caches; a kind that is not installed holds up none of the others."""
        children = asyncio.create_task(self.backend.start())
        for scope in self.scopes:
            await self._until_listed(scope)
        await children
        self.synced = True

    async def _until_listed(self, scope: Scope) -> None:
        delay = BACKOFF[0]
        while True:
            try:
                await self._list(scope)
                return
            except (Rejected, Unavailable) as e:
                log.warning("waiting for %s: %s", scope, e)
                await asyncio.sleep(delay)
                delay = min(delay * 2, BACKOFF[1])

    async def undefined(self, scopes: Iterable[Scope]) -> list[Scope]:
        """Those of `scopes` of which the API server knows nothing; the others are listed.

        Raises:
            Rejected, Unavailable: that cannot be told.
        """
        return [s for s in scopes if s not in self._places and not await self._list(s)]

    async def place(self, scope: Scope) -> str:
        """The resource version from which a watch of `scope` goes on.

        Each is good for one watch: who asks again has lost his place, and everything is listed,
        since nothing else tells of resources that went while nobody watched.

        Raises:
            Rejected, Unavailable: it cannot be listed.
        """
        if scope not in self._places:
            await asyncio.sleep(RELIST)
            if not await self._list(scope):
                raise Rejected(404, "NotFound", f"{scope}: not installed")
        return self._places.pop(scope)

    async def _list(self, scope: Scope) -> bool:
        """Take in all there is of `scope`; False if the API server does not know the kind."""
        present: set[Ref] = set()
        version = ""
        try:
            async for page in self._kube.list(scope):
                version = page.resource_version
                for item in page.items:
                    body = {**item, "apiVersion": API_VERSION, "kind": scope.kind}
                    present.add(reference(body))
                    self.seen(body)
                await asyncio.sleep(0)
        except Rejected as e:
            if e.status != 404:
                raise
            present, version = set(), ""
        self.backend.resources_listed(scope, frozenset(present), version)
        if version:
            self._places[scope] = version
        return bool(version)

    def seen(self, body: Body) -> None:
        """A resource as it is."""
        self.backend.resource_seen(body)

    def gone(self, body: Body) -> None:
        """A resource that has just gone."""
        meta = body["metadata"]
        ref = Ref(API_VERSION, body["kind"], meta.get("namespace", ""), meta["name"])
        self.backend.resource_gone(ref, meta["uid"])

    # admission

    async def judge(self, new: Body, old: Body | None, *, dry_run: bool = False) -> Answer:
        """The answer to a resource that is about to be stored; a defect of ours never refuses."""
        if not asks_for_verdict(new, old):
            return Answer()
        try:
            return answer(await self._preview.scene(new), dry_run=dry_run)
        except Exception as error:
            meta = new.get("metadata", {})
            log.exception("defect while judging %s %s", new.get("kind"), meta.get("name"))
            return Answer(message=f"not checked: {type(error).__name__}: {error}")

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
                await self._report_internal_error(key, e)
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

    async def _report_internal_error(self, key: Key, error: Exception) -> None:
        try:
            await self.reconciler.fail(key, f"{type(error).__name__}: {error}")
        except (Rejected, Unavailable, Fenced) as e:
            log.info("could not tell %s of its defect: %s", _name(key), e)


def _name(key: Key) -> str:
    return f"{key.kind} {key.namespace}/{key.name}"
