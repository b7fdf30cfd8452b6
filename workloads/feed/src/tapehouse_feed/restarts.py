"""Whether a sequence number that was seen before is a repetition, or the counter started again."""

import enum

from tapehouse_tape import times

from tapehouse_feed.continuity import Ledger

MARGIN = 1_000_000
"""Microseconds of event time beyond the newest that only a new count explains."""


class Seen(enum.Enum):
    """What to make of an event whose number is not new."""

    REPETITION = enum.auto()
    CONFLICT = enum.auto()
    """Another event under the same number; dropped, since its number cannot tell it apart."""
    RESTART = enum.auto()
    """The source counts again from this number."""


def judge_seen(ledger: Ledger, number: int, digest: int, time: str) -> Seen:
    """What an event is whose `number` was seen or lies below all that was seen.

    `time` is its event time in canonical form, empty where it has none. A repetition has the time
    of its first coming, so a time beyond the newest means that the source has begun to count
    again. During a replay that was asked for, events may bear new times.
    """
    first = ledger.recent.get(number)
    if first == digest or ledger.by == "backfill":
        return Seen.REPETITION
    if time and ledger.newest and time >= ledger.newest:
        ahead = times.to_micros(time) - times.to_micros(ledger.newest)
        if ahead > MARGIN or (number <= 1 and first is not None):
            return Seen.RESTART
        if ahead > 0:
            return Seen.CONFLICT
    return Seen.REPETITION if first is None else Seen.CONFLICT
