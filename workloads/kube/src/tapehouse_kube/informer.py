"""List, then watch, then list again when that is needed: one stream of changes of one scope."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tapehouse_kube.errors import Rejected, Unavailable
from tapehouse_kube.objects import Body, Kube, Ref, Scope, reference

log = logging.getLogger(__name__)
BACKOFF = (0.2, 30.0)
"""Seconds before the first and at most before any later attempt."""


@dataclass(frozen=True, slots=True)
class Listener:
    """The callbacks that receive changes."""

    seen: Callable[[Body], None]
    """An object as it is."""
    gone: Callable[[Ref, str], None]
    """An object that no longer is, with its UID."""
    listed: Callable[[Scope, frozenset[Ref]], None]
    """A list is complete: whatever is not in it is gone, though no event said so."""


class Informer:
    """Keeps a listener up to date for as long as it runs; no failure ends it."""

    def __init__(self, kube: Kube, scope: Scope, listener: Listener, rng: random.Random) -> None:
        self.scope = scope
        self.synced = asyncio.Event()
        self.error = ""
        """Why it is not listening now."""
        self._tried = asyncio.Event()
        self._kube, self._listener, self._random = kube, listener, rng
        self._version = ""
        self._delay = BACKOFF[0]

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except Rejected as e:
                self._version = ""
                await self._failed(e, wait=e.status != 410)
            except Unavailable as e:
                await self._failed(e, wait=True)

    async def known(self) -> None:
        """Wait until everything has been listed once.

        Raises:
            Unavailable: the list fails at the moment; the caller should not wait for it.
        """
        await self._tried.wait()
        if not self.synced.is_set():
            raise Unavailable(f"{self.scope} cannot be listed: {self.error}")

    async def _list(self) -> None:
        present: set[Ref] = set()
        version = ""
        async for page in self._kube.list(self.scope):
            version = page.resource_version
            for item in page.items:
                body = self._complete(item)
                present.add(reference(body))
                self._listener.seen(body)
            await asyncio.sleep(0)  # a long list must not hold up everything else
        self._listener.listed(self.scope, frozenset(present))
        self._version = version
        self._recovered()
        self.synced.set()
        self._tried.set()

    async def _watch(self) -> None:
        async for event in self._kube.watch(self.scope, self._version):
            self._recovered()
            if event.type != "BOOKMARK":
                self._tell(event.type, self._complete(event.object))
            self._version = event.object["metadata"]["resourceVersion"]

    def _tell(self, kind: str, body: Body) -> None:
        if kind == "DELETED":
            self._listener.gone(reference(body), body["metadata"]["uid"])
        else:
            self._listener.seen(body)

    def _complete(self, body: Body) -> dict[str, Any]:
        """Items of lists, and metadata alone, do not say what they are."""
        return {**body, "apiVersion": self.scope.api_version, "kind": self.scope.kind}

    async def _failed(self, error: Exception, *, wait: bool) -> None:
        self.error = str(error)
        self._tried.set()
        log.info("listening to %s interrupted: %s", self.scope, error)
        if wait:
            hint = error.retry_after if isinstance(error, Unavailable) else 0.0
            await asyncio.sleep(max(hint, self._delay * self._random.uniform(0.5, 1.0)))
            self._delay = min(self._delay * 2, BACKOFF[1])

    def _recovered(self) -> None:
        self.error, self._delay = "", BACKOFF[0]
