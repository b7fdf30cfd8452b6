"""A catalog asked only when it must be: on a change, after a while, and not while it is down."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tapehouse_operator.emit.core import Table, TableState
from tapehouse_operator.ports import Catalog

FRESH = 540.0
"""Seconds for which an answer is good; a little less than the time between two resyncs."""
OUTAGE = (1.0, 30.0)
"""Seconds for which a catalog that did not answer is left alone: the first time, and at most."""


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
        self._closed_until = 0.0
        self._outage = OUTAGE[0]
        self._error = ""

    async def ensure(self, table: Table) -> TableState:
        """See `ports.Catalog`."""
        known = self._fresh(table.identifier)
        if known is not None and known.table == table and not known.state.error:
            return known.state
        if state := self._down(table.identifier):
            return state
        return self._noted(await self._catalog.ensure(table), table)

    async def state(self, identifier: str) -> TableState:
        """See `ports.Catalog`."""
        if known := self._fresh(identifier):
            return known.state
        if state := self._down(identifier):
            return state
        return self._noted(await self._catalog.state(identifier), None)

    async def drop(self, identifier: str, owner: str) -> TableState:
        """See `ports.Catalog`."""
        self._answers.pop(identifier, None)
        return self._down(identifier) or self._noted(
            await self._catalog.drop(identifier, owner), None
        )

    def _fresh(self, identifier: str) -> _Answer | None:
        known = self._answers.get(identifier)
        return known if known is not None and self._clock() < known.until else None

    def _down(self, identifier: str) -> TableState | None:
        if self._clock() >= self._closed_until:
            return None
        return TableState(identifier, exists=False, error=self._error)

    def _noted(self, state: TableState, table: Table | None) -> TableState:
        if state.error and not state.exists:
            self._error = state.error
            self._closed_until = self._clock() + self._outage * self._random.uniform(0.5, 1.0)
            self._outage = min(self._outage * 2, OUTAGE[1])
        else:
            self._outage = OUTAGE[0]
            self._answers[state.identifier] = _Answer(state, table, self._clock() + FRESH)
        return state
