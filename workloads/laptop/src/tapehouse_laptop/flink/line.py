"""Whose job starts first: on few processors, one after another is sooner for all but the last."""

import asyncio
import logging
import os

from tapehouse_laptop.kubeapi import Key

log = logging.getLogger(__name__)

HESITATION = 2.0
"""Seconds for which a job that nobody waits for lets others come: of one `apply` they come one
after another, and its processes are starting meanwhile."""
PATIENCE = 30.0
"""Seconds after which a job waits for no other: one that never runs holds nobody up, and on a slow
machine all are ready sooner when the last does not wait for too long."""


class Line:
    """The jobs that are starting, those first for whose records somebody waits."""

    def __init__(self, abreast: int | None = None) -> None:
        """`abreast` may start at once: by default one for every two processors."""
        self._abreast = abreast or max(1, (os.cpu_count() or 1) // 2)
        self._later: dict[Key, bool] = {}
        self._moved = asyncio.Event()

    def join(self, key: Key, *, prompt: bool) -> None:
        """Begin to start; one that has begun keeps its place."""
        self._later.setdefault(key, not prompt)

    def leave(self, key: Key) -> None:
        """It runs, or will not."""
        if self._later.pop(key, None) is not None:
            self._moved.set()

    async def turn(self, key: Key) -> None:
        """Wait until few enough are before it, but not for ever."""
        if self._later[key]:
            await asyncio.sleep(HESITATION)
        try:
            async with asyncio.timeout(PATIENCE):
                while len(ahead := self._ahead(key)) >= self._abreast:
                    log.info("%s starts after %s", key, ", ".join(map(str, ahead)))
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            log.info("%s waits no longer", key)

    def _ahead(self, key: Key) -> list[Key]:
        # Sorting keeps the order in which they came.
        order = sorted(self._later, key=self._later.__getitem__)
        return order[: order.index(key)]
