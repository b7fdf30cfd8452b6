"""Which snapshots an operation has looked at.

The notes belong to the task that opened them, to the tasks it starts and to its reads in threads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

Read: TypeAlias = tuple[str, tuple[str, int, int] | None]
"""A table's identifier and the key of the snapshot seen; None = there was no such table."""

_PRIVATE: Read = ("", None)
_notes: ContextVar[set[Read] | None] = ContextVar("reads", default=None)


@contextmanager
def noted() -> Iterator[set[Read]]:
    """Collects the reads within the block."""
    reads: set[Read] = set()
    token = _notes.set(reads)
    try:
        yield reads
    finally:
        _notes.reset(token)


def note(identifier: str, seen: tuple[str, int, int] | None) -> None:
    """A table has been looked at."""
    if (reads := _notes.get()) is not None:
        reads.add((identifier, seen))


def note_private() -> None:
    """Something else than tables has been read or written."""
    if (reads := _notes.get()) is not None:
        reads.add(_PRIVATE)


def seen(reads: set[Read]) -> str:
    """The snapshots for people to read: `dim.dim_symbol=5, silver.trades=71`; 0 = none yet."""
    return ", ".join(f"{key[0]}={key[1]}" for _, key in sorted(reads, key=str) if key)


def only_tables(reads: set[Read]) -> bool:
    """Whether the reads say all that the answer depends on."""
    return bool(reads) and _PRIVATE not in reads
