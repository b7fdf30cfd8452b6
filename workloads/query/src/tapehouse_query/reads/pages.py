"""Pages of rows, kept for as long as their snapshot is asked for."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

RowT = TypeVar("RowT")


@dataclass(frozen=True)
class Page(Generic[RowT]):
    """Rows in the order of their list, and whether more follow."""

    rows: Sequence[RowT]
    more: bool
    encoded: dict[Hashable, bytes] = field(default_factory=dict)
    """JSON that has been made of the rows, by what was selected."""

    @cached_property
    def columns(self) -> Sequence[Sequence[Any]]:
        """The values of the rows, column by column; no column where there are no rows."""
        return list(zip(*cast("Sequence[Sequence[Any]]", self.rows), strict=True))


def cut(found: Sequence[RowT], size: int) -> Page[RowT]:
    """A page of the first `size` rows, given one more than that where there are more."""
    return Page(found[:size], len(found) > size)


class PageCache:
    """The pages asked for last, up to so many rows. Thread-safe.

    A snapshot never changes, so a page of it is never stale: the snapshot is part of the key.
    """

    def __init__(self, max_rows: int = 50_000) -> None:
        self._max_rows = max_rows
        self._rows = 0
        self._pages: OrderedDict[Hashable, Page[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, read: Callable[[], Page[RowT]]) -> Page[RowT]:
        """The page kept under this key, else what `read` gives."""
        with self._lock:
            if (kept := self._pages.get(key)) is not None:
                self._pages.move_to_end(key)
                return cast("Page[RowT]", kept)
        page = read()
        with self._lock:
            self._put(key, page)
        return page

    def _put(self, key: Hashable, page: Page[Any]) -> None:
        if key not in self._pages:
            self._rows += _weight(page)
        self._pages[key] = page
        while self._rows > self._max_rows:
            _, dropped = self._pages.popitem(last=False)
            self._rows -= _weight(dropped)


def _weight(page: Page[Any]) -> int:
    return len(page.rows) + 1
