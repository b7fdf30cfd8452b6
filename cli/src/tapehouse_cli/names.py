"""Errors about a name that does not exist, with the nearest names that do."""

from collections.abc import Iterable
from difflib import get_close_matches

SHOWN = 8


def no_such(what: str, name: str, where: str, known: Iterable[str]) -> str:
    """One sentence: what is missing, the nearest name, or the names there are."""
    names = sorted(known)
    text = f"there is no {what} {name} in {where}"
    if near := get_close_matches(name, names, n=1):
        return f"{text}; did you mean {near[0]}?"
    if not names:
        return f"{text}, which has no {what}"
    more = ", \u2026" if len(names) > SHOWN else ""
    return f"{text}; it has {', '.join(names[:SHOWN])}{more}"
