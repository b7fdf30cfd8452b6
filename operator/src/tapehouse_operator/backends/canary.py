"""Whether the operator still hears: what it knows to exist must also come by watch."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from tapehouse_kube.informer import Informer, Listener
from tapehouse_kube.objects import Body, Kube, Ref, Scope

PATIENCE = 200.0
"""Seconds: longer than the silence after which a watch is taken for dead and begun again."""


@dataclass(slots=True)
class _Stream:
    heard: int = 0
    missed: int = 0
    """The first version that is known and has not been heard of; 0: none."""
    since: float = 0.0


class Canary:
    """Compares versions we wrote or read with those that watches tell, stream by stream.

    It costs no request: everybody's own writes come back by the watches that matter.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._streams: dict[str, _Stream] = {}

    def known(self, stream: str, version: int) -> None:
        """That version exists.

        A stream that has never been heard is not missed: perhaps it may not be watched.
        """
        one = self._streams.setdefault(stream, _Stream())
        if version > one.heard > 0 and not one.missed:
            one.missed, one.since = version, self._clock()

    def heard(self, stream: str, version: int) -> None:
        """A watch has told of that version."""
        one = self._streams.setdefault(stream, _Stream())
        one.heard = max(one.heard, version)
        if one.heard >= one.missed:
            one.missed = 0

    def unheard(self) -> dict[str, float]:
        """Streams that owe something, and for how many seconds."""
        now = self._clock()
        return {name: now - one.since for name, one in self._streams.items() if one.missed}


def listen(kube: Kube, ref: Ref, canary: Canary, rng: random.Random) -> Informer:
    """A watch of one object that nothing but the canary needs: the lease, which never rests."""

    def seen(body: Body) -> None:
        canary.heard(ref.kind, int(body["metadata"]["resourceVersion"]))

    named = f"metadata.name={ref.name}"
    scope = Scope(ref.api_version, ref.kind, ref.namespace, fields=named, metadata_only=True)
    listener = Listener(seen, lambda ref, uid: None, lambda scope, present: None)
    return Informer(kube, scope, listener, rng)
