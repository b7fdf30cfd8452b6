"""Leader election by a Lease, with a fence: who may not finish a write in time starts none."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from tapehouse_kube.client import REQUEST_TIMEOUT, HttpKube
from tapehouse_kube.errors import Rejected, Unavailable
from tapehouse_kube.objects import Body, Ref

from tapehouse_operator.errors import Fenced

log = logging.getLogger(__name__)
DURATION = 40.0
"""Seconds a lease is good for after its renewal was sent."""
RENEW = 8.0
"""Seconds between renewals."""
API_VERSION, KIND = "coordination.k8s.io/v1", "Lease"


class Lease:
    """Holds the lease `namespace/name` as `identity` whenever nobody else does.

    Time is measured by this process's own monotonic clock only: another holder's lease has
    expired when it has not changed for `DURATION` seconds before our eyes.
    """

    def __init__(
        self, kube: HttpKube, namespace: str, name: str, identity: str, rng: random.Random
    ) -> None:
        self._kube, self._identity, self._random = kube, identity, rng
        self.ref = Ref(API_VERSION, KIND, namespace, name)
        self._known: Callable[[int], None] = lambda version: None
        self._until = 0.0
        self._seen = ("", 0.0)
        """The other's resource version and when we first saw it."""

    def fence(self) -> None:
        """Pass only while a write that starts now ends, at the latest, before the lease does.

        Raises:
            Fenced: it might not.
        """
        if asyncio.get_running_loop().time() + REQUEST_TIMEOUT >= self._until:
            raise Fenced(f"{self._identity} does not hold {self.ref.namespace}/{self.ref.name}")

    @property
    def is_leading(self) -> bool:
        """Whether writes are allowed now."""
        return asyncio.get_running_loop().time() + REQUEST_TIMEOUT < self._until

    async def run(
        self,
        lead: Callable[[], None],
        follow: Callable[[], Awaitable[None]],
        known: Callable[[int], None] = lambda version: None,
    ) -> None:
        """Call `lead` on gaining the lease and `follow` on losing it; gives it back at the end.

        `known` is told of every version of the lease that is read or written.
        """
        self._known = known
        leading = False
        try:
            while True:
                await self._try()
                if self.is_leading is not leading:
                    leading = not leading
                    log.info("%s %s", self._identity, "leads" if leading else "follows")
                    if leading:
                        lead()
                    else:
                        await follow()
                await asyncio.sleep(RENEW * self._random.uniform(0.8, 1.0))
        finally:
            await follow()
            await self._release()

    async def _try(self) -> None:
        sent = asyncio.get_running_loop().time()
        try:
            # A renewal that hangs must not keep us from noticing that we have lost.
            async with asyncio.timeout(RENEW):
                if await self._renew(sent):
                    self._until = sent + DURATION
        except (Rejected, Unavailable, TimeoutError) as e:
            log.warning("lease %s/%s: %s", self.ref.namespace, self.ref.name, e or "timed out")

    async def _renew(self, now: float) -> bool:
        live = await self._kube.get(self.ref)
        if live is None:
            self._seen_now(await self._kube.create(self._body({}, 0)))
            return True
        self._seen_now(live)
        spec = live.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder not in ("", self._identity) and not self._expired(live, now):
            return False
        transitions = int(spec.get("leaseTransitions") or 0) + (holder != self._identity)
        self._seen_now(await self._kube.replace(self._body(live["metadata"], transitions)))
        return True

    def _seen_now(self, live: Body) -> None:
        self._known(int(live["metadata"]["resourceVersion"]))

    def _expired(self, live: Body, now: float) -> bool:
        version = live["metadata"]["resourceVersion"]
        if self._seen[0] != version:
            self._seen = (version, now)
        return now - self._seen[1] > DURATION

    async def _release(self) -> None:
        if not self.is_leading:
            return
        self._until = 0.0
        try:
            live = await self._kube.get(self.ref)
            if live is not None and live["spec"].get("holderIdentity") == self._identity:
                transitions = int(live["spec"].get("leaseTransitions") or 0)
                await self._kube.replace(self._body(live["metadata"], transitions, holder=""))
        except (Rejected, Unavailable) as e:
            log.info("the lease could not be given back: %s", e)

    def _body(self, metadata: Body, transitions: int, holder: str | None = None) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: dict[str, Any] = {
            "holderIdentity": self._identity if holder is None else holder,
            "leaseDurationSeconds": int(DURATION),
            "renewTime": now,
            "leaseTransitions": transitions,
        }
        kept = {k: metadata[k] for k in ("resourceVersion", "uid") if k in metadata}
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"namespace": self.ref.namespace, "name": self.ref.name, **kept},
            "spec": spec,
        }
