"""The disk's last reserve: when it is reached, nothing new is taken and what is there is kept."""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tapehouse_laptop.components import Components

log = logging.getLogger(__name__)

RESERVE_VARIABLE = "TAPEHOUSE_DISK_RESERVE_GIB"
RESERVE_GIB = 1.0
RELEASE_FACTOR = 1.25
"""So much more than the reserve must be free before feeds go on."""
EVERY_SECONDS = 5.0
GIB = 2**30
ROW = "disk"


def free_gib(path: Path) -> float:
    """What is free on the disk of `path`, in GiB."""
    return shutil.disk_usage(path).free / GIB


def reserve() -> float:
    """The reserve in GiB; `TAPEHOUSE_DISK_RESERVE_GIB` sets another."""
    try:
        return float(os.environ.get(RESERVE_VARIABLE) or RESERVE_GIB)
    except ValueError:
        log.warning("%s is not a number of GiB; %g it is", RESERVE_VARIABLE, RESERVE_GIB)
        return RESERVE_GIB


@dataclass(slots=True)
class Gate:
    """Whether containers that take in data may run."""

    message: str = ""
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _shut: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open()

    @property
    def is_open(self) -> bool:
        """Whether they may run now."""
        return self._open.is_set()

    def open(self) -> None:
        """Let them run."""
        self._shut.clear()
        self._open.set()

    def shut(self, message: str) -> None:
        """Stop them; `message` says why."""
        self.message = message
        self._open.clear()
        self._shut.set()

    async def opened(self) -> None:
        """Return once they may run."""
        await self._open.wait()

    async def was_shut(self) -> None:
        """Return once they must stop."""
        await self._shut.wait()


@dataclass(frozen=True, slots=True)
class Guard:
    """Watches the disk and works the gate."""

    path: Path
    gate: Gate
    components: Components
    measure: Callable[[Path], float] = free_gib

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look(self.measure(self.path), reserve())
            await asyncio.sleep(EVERY_SECONDS)

    def look(self, free: float, least: float) -> None:
        """Shut or open the gate for this much free disk, in GiB."""
        if free < least and self.gate.is_open:
            message = (
                f"the disk of {self.path} has {free:.2f} GiB left, less than the reserve of "
                f"{least:g} GiB: feeds are stopped until there is room"
            )
            log.error("%s", message)
            self.gate.shut(message)
            self.components.set(ROW, "Failed", message)
        elif free >= least * RELEASE_FACTOR and not self.gate.is_open:
            log.info("the disk has %.2f GiB again: feeds go on", free)
            self.gate.open()
            self.components.remove(ROW)
