"""When a fault strikes: a seeded moment, also in the middle of a commit."""

import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.local.platform import Platform

PATIENCE = 90.0
"""Seconds to wait for the moment: many commits, but one on a busy machine."""


def strike(platform: Platform, table: str, random: Random) -> str:
    """Return at the moment that `random` chooses; its name is for the report of a failure."""
    metadata = platform.home / "data/warehouse/test" / table / "metadata"
    moments: dict[str, Callable[[], None]] = {
        "any": lambda: time.sleep(random.uniform(0, 3)),
        # The manifest list is written, the catalog not asked yet.
        "committing": lambda: _appears(metadata, "snap-*.avro"),
        # The catalog is writing what the answer will refer to.
        "committed": lambda: _appears(metadata, "*.metadata.json"),
    }
    name = random.choice(sorted(moments))
    moments[name]()
    return name


def _appears(directory: Path, pattern: str) -> None:
    seen, end = set(directory.glob(pattern)), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if set(directory.glob(pattern)) - seen:
            return
        time.sleep(0.002)
    raise AssertionError(f"no {pattern} came in {PATIENCE:.0f} s in {directory}")
