"""Records which snapshots an operation has read.

The records belong to the task that opened them, the tasks it starts and its reads in threads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

Read: TypeAlias = tuple[str, tuple[str, int, int] | None]
"""A table's identifier and the key of the snapshot read; None = the table did not exist."""

_PRIVATE: Read = ("", None)
_reads: ContextVar[set[Read] | None] = ContextVar("reads", default=None)


@contextmanager
def tracked_reads() -> Iterator[set[Read]]:
    """Collect the reads within the block."""
    reads: set[Read] = set()
    token = _reads.set(reads)
    try:
        yield reads
    finally:
        _reads.reset(token)


def record_read(identifier: str, key: tuple[str, int, int] | None) -> None:
    """A table has been read at the snapshot with this key."""
    if (reads := _reads.get()) is not None:
        reads.add((identifier, key))


def record_private() -> None:
    """Something other than tables has been read or written."""
    if (reads := _reads.get()) is not None:
        reads.add(_PRIVATE)


def snapshots(reads: set[Read]) -> str:
    """The snapshots as text: `dim.dim_symbol=5, silver.trades=71`; 0 = none yet."""
    return ", ".join(f"{key[0]}={key[1]}" for _, key in sorted(reads, key=str) if key)


def only_tables(reads: set[Read]) -> bool:
    """Whether the result depends on table snapshots only."""
    return bool(reads) and _PRIVATE not in reads
