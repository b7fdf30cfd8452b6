"""A catalog asked only when it must be: on a change, after a while, and not while it is down."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tapehouse_operator.emit.core import Table, TableState
from tapehouse_operator.errors import NotReady
from tapehouse_operator.ports import Catalog
from tapehouse_operator.reasons import Reason

T = TypeVar("T")

FRESH = 540.0
"""Seconds for which an answer is good; a little less than the time between two resyncs."""
OUTAGE = (1.0, 30.0)
"""Seconds for which a catalog that did not answer is left alone: the first time, and at most."""
IN_A_ROW = 3
"""Failures without a success between them that make an outage."""


@dataclass(slots=True)
class _Answer:
    state: TableState
    table: Table | None
    until: float


class CachedCatalog:
    """`ports.Catalog` in front of another one.

    While the other does not answer, every call fails at once instead of holding a worker for the
    length of a timeout, so resources that need no catalog go on.
    """

    def __init__(
        self, catalog: Catalog, clock: Callable[[], float], rng: random.Random | None = None
    ) -> None:
        self._catalog, self._clock = catalog, clock
        self._random = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._answers: dict[str, _Answer] = {}
        self._failures = 0
        self._closed_until = 0.0
        self._error = NotReady(Reason.CATALOG_UNAVAILABLE, "")

    async def ensure(self, table: Table) -> TableState:
        """See `ports.Catalog`."""
        known = self._fresh(table.identifier)
        if known is not None and known.table == table and not known.state.error:
            return known.state
        state = await self._asked(self._catalog.ensure, table)
        self._answers[table.identifier] = _Answer(state, table, self._clock() + FRESH)
        return state

    async def state(self, identifier: str) -> TableState:
        """See `ports.Catalog`."""
        if known := self._fresh(identifier):
            return known.state
        state = await self._asked(self._catalog.state, identifier)
        self._answers[identifier] = _Answer(state, None, self._clock() + FRESH)
        return state

    def known(self, identifier: str) -> TableState | None:
        """The last answer about a table, however old; the catalog is not asked."""
        answer = self._answers.get(identifier)
        return answer.state if answer is not None else None

    async def drop(self, identifier: str, owner: str) -> None:
        """See `ports.Catalog`."""
        self._answers.pop(identifier, None)
        await self._asked(self._catalog.drop, identifier, owner)

    def _fresh(self, identifier: str) -> _Answer | None:
        known = self._answers.get(identifier)
        return known if known is not None and self._clock() < known.until else None

    async def _asked(self, call: Callable[..., Awaitable[T]], *args: Any) -> T:
        if self._clock() < self._closed_until:
            raise NotReady(self._error.reason, self._error.message)
        try:
            answer = await call(*args)
        except NotReady as e:
            self._failed(e)
            raise
        self._failures = 0
        return answer

    def _failed(self, error: NotReady) -> None:
        """One table may have a trouble of its own; several in a row are the catalog's."""
        self._failures += 1
        if self._failures >= IN_A_ROW:
            pause = min(OUTAGE[0] * 2.0 ** (self._failures - IN_A_ROW), OUTAGE[1])
            self._closed_until = self._clock() + pause * self._random.uniform(0.5, 1.0)
            self._error = error
