"""Durations and sizes as text: `10m`, `250ms`, `128Mi`."""

import re
from datetime import timedelta

DURATION_PATTERN = r"^[0-9]{1,7}(ms|s|m|h|d|w)$"
"""One number and one unit."""
SIZE_PATTERN = r"^[1-9][0-9]*(Ki|Mi|Gi)$"

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_BYTES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def duration(text: str) -> timedelta:
    """The length of `10m` or `250ms`.

    Raises:
        ValueError: not a number and a unit of ms, s, m, h, d, w.
    """
    found = re.fullmatch(r"([0-9]{1,7})(ms|s|m|h|d|w)", text)
    if not found:
        raise ValueError(f"{text!r} is not a duration such as 250ms, 30s, 10m or 7d")
    return int(found[1]) * _UNITS[found[2]]


def seconds(text: str) -> float:
    """The length of `10m` in seconds.

    Raises:
        ValueError: see `duration`.
    """
    return duration(text).total_seconds()


def size(text: str) -> int:
    """`128Mi` in bytes.

    Raises:
        ValueError: not a number and a unit of Ki, Mi, Gi.
    """
    found = re.fullmatch(r"([1-9][0-9]*)(Ki|Mi|Gi)", text)
    if not found:
        raise ValueError(f"{text!r} is not a size such as 512Ki, 128Mi or 1Gi")
    return int(found[1]) * _BYTES[found[2]]
