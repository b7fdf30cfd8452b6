"""Times on the wire: ISO-8601 UTC with at most six digits of a second and a `Z`."""

import datetime as dt
import re
from functools import lru_cache

_SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
_FRACTION = re.compile(r"\.\d{1,6}Z", re.ASCII).fullmatch
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_FORM = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,12}))?(Z|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE | re.ASCII,
)


_known: set[str] = set()
"""Seconds found to be real, each with its point: a feed's times share them."""
_MOST_KNOWN = 4096


def is_canonical(text: str) -> bool:
    """Whether `text` is a real moment written `YYYY-MM-DDTHH:MM:SS[.f{1,6}]Z`."""
    if len(text) == 27 and text[26] == "Z" and text[:20] in _known:
        # The usual case, without a regular expression: this is asked of every event.
        return text[20:26].isdigit() and text.isascii()
    if not _is_second(text[:19]):
        return False
    if text[19:20] == ".":
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known.add(text[:20])
    return text[19:] == "Z" or _FRACTION(text, 19) is not None


def _is_second(text: str) -> bool:
    if _SECOND.fullmatch(text) is None:
        return False
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def to_micros(text: str) -> int:
    """Microseconds since 1970 of an ISO-8601 time; without an offset it is UTC.

    More than six digits of a second are cut. Raises `ValueError` when it is not a real moment.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not an ISO-8601 time such as 2026-11-21T13:00:00.000000Z")
    day, clock, fraction, offset = match.groups()
    zone = (offset or "Z").upper().replace("Z", "+00:00")
    try:
        moment = dt.datetime.fromisoformat(f"{day}T{clock}{zone}") - _EPOCH
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a real moment: {error}") from None
    return moment // _MICROSECOND + int((fraction or "0").ljust(6, "0")[:6])


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return (_EPOCH + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


def from_micros(micros: int) -> str:
    """The canonical text, six digits, of microseconds since 1970.

    Raises `ValueError` outside the years 1 to 9999.
    """
    seconds, fraction = divmod(micros, 1_000_000)
    try:
        return f"{_second(seconds)}.{fraction:06d}Z"
    except OverflowError:
        raise ValueError(f"{micros} µs since 1970 lies outside the years 1 to 9999") from None


def normalise(text: str) -> str:
    """`text` with six digits and `Z`.

    Raises `ValueError` when it is not a real moment.
    """
    return from_micros(to_micros(text))
