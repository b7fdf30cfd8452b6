"""Kubernetes Events about the resources: posted beside the work, never part of it.

What cannot be posted is lost: status has the same words. Events of one kind are one object that
counts, as `kubectl` users know it.
"""

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from tapehouse_kube.errors import Rejected, Unavailable
from tapehouse_kube.objects import Body, Ref

from tapehouse_operator.kinds.contract import Key, Subject
from tapehouse_operator.names import API_VERSION, GROUP, digest
from tapehouse_operator.notices import Notice

log = logging.getLogger(__name__)
WAITING = 500
"""Events that wait to be posted; more are dropped, warnings last."""
REMEMBERED = 1000
"""Posted Events that are counted up when they happen again."""
PACE = 0.1
"""Seconds between two requests: a thousand new resources must not double the API server's work."""
MESSAGE_LIMIT = 1024


class Poster(Protocol):
    """The part of a Kubernetes client that Events need."""

    async def create(self, body: Body) -> Body:
        """Create an object."""
        ...

    async def merge(self, ref: Ref, patch: Body) -> Body:
        """JSON merge patch."""
        ...


class _Topic(NamedTuple):
    """What makes two Events one."""

    key: Key
    uid: str
    notice: Notice


class Recorder:
    """Takes notices at once and posts them one after the other while it runs."""

    def __init__(
        self, poster: Poster, clock: Callable[[], datetime], identity: str, rng: random.Random
    ) -> None:
        self._poster, self._clock, self._identity = poster, clock, identity
        self._nonce = f"{rng.getrandbits(32):08x}"
        """Tells this process's objects from another's, which count for themselves."""
        self._waiting: OrderedDict[_Topic, int] = OrderedDict()
        self._posted: OrderedDict[_Topic, int] = OrderedDict()
        self._arrived = asyncio.Event()
        self.dropped = 0

    def tell(self, subject: Subject, notices: Sequence[Notice]) -> None:
        """Post these when there is time."""
        for notice in notices:
            topic = _Topic(subject.key, subject.uid, notice)
            if topic in self._waiting or self._has_room(notice):
                self._waiting[topic] = self._waiting.get(topic, 0) + 1
                self._arrived.set()

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            topic, times = self._waiting.popitem(last=False)
            try:
                await self._post(topic, times)
            except (Rejected, Unavailable) as e:
                self.dropped += 1
                log.info("event %s of %s is lost: %s", topic.notice.reason, topic.key.name, e)
            await asyncio.sleep(PACE)

    def _has_room(self, notice: Notice) -> bool:
        """Whether one more may wait; a warning takes the place of something that is none."""
        if len(self._waiting) < WAITING:
            return True
        self.dropped += 1
        harmless = next((t for t in self._waiting if not t.notice.warning), None)
        if not notice.warning or harmless is None:
            return False
        del self._waiting[harmless]
        return True

    async def _post(self, topic: _Topic, times: int) -> None:
        count = self._posted.pop(topic, 0)
        if not count or not await self._count_up(topic, count + times):
            count = 0
            await self._poster.create(self._body(topic, times))
        self._posted[topic] = count + times
        if len(self._posted) > REMEMBERED:
            self._posted.popitem(last=False)

    async def _count_up(self, topic: _Topic, count: int) -> bool:
        """False when the API server has forgotten it, which it does after an hour."""
        ref = Ref("v1", "Event", topic.key.namespace, self._name(topic))
        try:
            await self._poster.merge(ref, {"count": count, "lastTimestamp": self._now()})
        except Rejected as e:
            if e.status != 404:
                raise
            return False
        return True

    def _body(self, topic: _Topic, times: int) -> dict[str, Any]:
        key, notice = topic.key, topic.notice
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": self._name(topic), "namespace": key.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": key.kind,
                "namespace": key.namespace,
                "name": key.name,
                "uid": topic.uid,
            },
            "type": "Warning" if notice.warning else "Normal",
            "reason": str(notice.reason),
            "message": notice.message[:MESSAGE_LIMIT],
            "count": times,
            "firstTimestamp": self._now(),
            "lastTimestamp": self._now(),
            "source": {"component": "tapehouse-operator"},
            "reportingComponent": f"{GROUP}/operator",
            "reportingInstance": self._identity[:128],
        }

    def _name(self, topic: _Topic) -> str:
        said = digest([topic.uid, self._nonce, topic.notice.reason, topic.notice.message])
        return f"{topic.key.name}.{said[:16]}"

    def _now(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
