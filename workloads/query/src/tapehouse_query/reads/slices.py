"""Result slices: rows of one snapshot in list order, cached while they are requested."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

RowT = TypeVar("RowT")


@dataclass(frozen=True)
class Slice(Generic[RowT]):
    """Rows in the order of their list, and whether more follow."""

    rows: Sequence[RowT]
    more: bool
    encoded: dict[Hashable, bytes] = field(default_factory=dict)
    """The rows as JSON, by selection."""

    @cached_property
    def columns(self) -> Sequence[Sequence[Any]]:
        """The values of the rows, column by column; no column where there are no rows."""
        return list(zip(*cast("Sequence[Sequence[Any]]", self.rows), strict=True))


def cut(rows: Sequence[RowT], size: int) -> Slice[RowT]:
    """The first `size` rows, given at least one more where more follow."""
    return Slice(rows[:size], len(rows) > size)


class SliceCache:
    """The slices used last, up to `max_rows` rows. Thread-safe.

    A snapshot never changes, so its slices are never stale: the snapshot is part of the key.
    """

    def __init__(self, max_rows: int = 50_000) -> None:
        self._max_rows = max_rows
        self._rows = 0
        self._slices: OrderedDict[Hashable, Slice[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, read: Callable[[], Slice[RowT]]) -> Slice[RowT]:
        """The slice cached under this key, else the one that `read` returns."""
        with self._lock:
            if (cached := self._slices.get(key)) is not None:
                self._slices.move_to_end(key)
                return cast("Slice[RowT]", cached)
        result = read()
        with self._lock:
            self._put(key, result)
        return result

    def _put(self, key: Hashable, result: Slice[Any]) -> None:
        if key not in self._slices:
            self._rows += _weight(result)
        self._slices[key] = result
        while self._rows > self._max_rows:
            _, dropped = self._slices.popitem(last=False)
            self._rows -= _weight(dropped)


def _weight(result: Slice[Any]) -> int:
    return len(result.rows) + 1
