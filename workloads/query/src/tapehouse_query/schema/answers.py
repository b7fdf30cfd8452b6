"""Whole answers, kept for as long as the snapshots they were read from are the newest.

An answer is a function of the request, the user and the snapshots. Reads note which
snapshots they look at; an answer is given again only while each of them is still what the catalog
shows, and never after the lake would look itself.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from tapehouse_query.reads.lake import Lake
from tapehouse_query.reads.read_tracking import Read


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of an answer, and what its operation is called in metrics."""

    data: bytes
    operation: str
    reads: frozenset[Read]
    seen: str
    """The snapshots it was computed from, as text for clients."""


class Answers:
    """The answers asked for last, up to so many and so many bytes. Thread-safe."""

    def __init__(self, lake: Lake, max_bytes: int = 64 << 20, max_kept: int = 1000) -> None:
        self._lake = lake
        self._max_bytes = max_bytes
        self._max_kept = max_kept
        self._bytes = 0
        self._kept: OrderedDict[Hashable, Answer] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Answer | None:
        """The answer, if everything it was read from is still current."""
        with self._lock:
            answer = self._kept.get(key)
            if answer is None or not all(self._lake.shows(*read) for read in answer.reads):
                return None
            self._kept.move_to_end(key)
            return answer

    def put(self, key: Hashable, answer: Answer) -> None:
        """Keep an answer."""
        with self._lock:
            if old := self._kept.pop(key, None):
                self._bytes -= len(old.data)
            self._kept[key] = answer
            self._bytes += len(answer.data)
            while self._bytes > self._max_bytes or len(self._kept) > self._max_kept:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= len(dropped.data)
