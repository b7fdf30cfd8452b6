"""Which sequence numbers a feed has seen, and which are missing."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

MAX_GAPS = 10_000
RECENT = 64
"""Events of each ledger whose content is remembered, to tell repetitions from other events."""


class Gap(msgspec.Struct, array_like=True, frozen=True):
    """The missing numbers `first` to `last`, noticed at `opened_at` (µs since 1970)."""

    first: int
    last: int
    opened_at: int

    @property
    def size(self) -> int:
        """How many numbers are missing."""
        return self.last - self.first + 1


class Filled(msgspec.Struct):
    """The numbers `first` to `last` of a gap that opened at `opened_at` came, the last at
    `closed_at` (µs since 1970)."""

    first: int
    last: int
    opened_at: int
    closed_at: int
    by: str
    """`arrival`: late or out of order; `backfill`: the source was asked for them again."""


class Restart(msgspec.Struct, frozen=True):
    """The source counted again from `to` after `after`, seen at `at` (µs since 1970)."""

    after: int
    to: int
    at: int


@dataclass(slots=True)
class Ledger:
    """Every number from `low` to `high` has been seen but those in `gaps`.

    `high` is None before the first number: a source may start anywhere, and `low` is then where it
    started. Numbers below `low` have not been seen, but are not missed either.
    """

    high: int | None = None
    gaps: list[Gap] = field(default_factory=list)
    low: int = 0
    opened: int = 0
    """Gaps opened since the start."""
    closed: int = 0
    """Gaps filled completely since the start."""
    lost: int = 0
    """Numbers given up because there were more than `MAX_GAPS` gaps."""
    by: str = "arrival"
    """What a number that fills a gap now is due to."""
    filled: list[Filled] = field(default_factory=list)
    """What has filled gaps, until the watch has logged it."""
    newest: str = ""
    """The newest event time seen, in canonical form."""
    recent: dict[int, int] = field(default_factory=dict)
    """Digests of the last events by number, where they are kept."""
    conflicts: int = 0
    """Events dropped since the start because another event has their number."""
    restarts: list[Restart] = field(default_factory=list)
    """Where the source counted again, until the watch has logged it."""

    def is_new(self, number: int) -> bool:
        """Whether `number` has not been seen."""
        if self.high is None or number > self.high or number < self.low:
            return True
        return bool(self.gaps) and self._find(number) is not None

    def observe(self, number: int, now: int) -> None:
        """Take note of `number`, seen at `now` (µs since 1970)."""
        high = self.high
        if high is not None and number == high + 1:
            self.high = number
        elif high is None:
            self.low = self.high = number
        elif number > high:
            self._open(Gap(high + 1, number - 1, now), len(self.gaps))
            self.high = number
        elif number < self.low:
            if number < self.low - 1:
                self._open(Gap(number + 1, self.low - 1, now), 0)
            self.low = number
        else:
            self._fill(number, now)

    def remember(self, number: int, digest: int) -> None:
        """Keep the digest of event `number` for a while."""
        recent = self.recent
        recent[number] = digest
        if len(recent) > RECENT:
            del recent[next(iter(recent))]

    def start_again(self, number: int, now: int) -> None:
        """Take `number`, seen at `now`, as the first of a new count; open gaps are given up."""
        self.restarts.append(Restart(self.high or 0, number, now))
        self.lost += self.missing
        self.gaps.clear()
        self.recent.clear()
        self.high = None

    @property
    def missing(self) -> int:
        """How many numbers are missing now."""
        return sum(gap.size for gap in self.gaps)

    def _open(self, gap: Gap, index: int) -> None:
        self.opened += 1
        self.gaps.insert(index, gap)
        if len(self.gaps) > MAX_GAPS:
            self.lost += self.gaps.pop(0).size

    def _find(self, number: int) -> int | None:
        index = bisect_right(self.gaps, number, key=lambda gap: gap.first) - 1
        return index if index >= 0 and number <= self.gaps[index].last else None

    def _fill(self, number: int, now: int) -> None:
        index = self._find(number)
        if index is None:
            return
        gap = self.gaps[index]
        self._note(number, gap.opened_at, now)
        parts = [
            Gap(gap.first, number - 1, gap.opened_at),
            Gap(number + 1, gap.last, gap.opened_at),
        ]
        left = [part for part in parts if part.size > 0]
        self.gaps[index : index + 1] = left
        self.closed += not left

    def _note(self, number: int, opened_at: int, now: int) -> None:
        newest = self.filled[-1] if self.filled else None
        if newest and (newest.last + 1, newest.opened_at) == (number, opened_at):
            newest.last, newest.closed_at = number, now
        elif len(self.filled) < MAX_GAPS:
            self.filled.append(Filled(number, number, opened_at, now, self.by))

    def copy(self) -> "Ledger":
        """A ledger of the same numbers, for writing down while this one goes on."""
        return Ledger(self.high, list(self.gaps), self.low)


@dataclass(slots=True)
class Replay:
    """Which number to ask a source for that can begin anywhere.

    Gaps up to `floor` are given up: the source has been asked for them, or is not to be. While
    `until` is set, a replay of what came before it is wanted; it is over when a number beyond
    `until` has been seen, since the source sends in order.
    """

    floor: int = 0
    until: int | None = None

    def begin(self, ledger: Ledger) -> None:
        """Ask for every gap above the floor, from the next connection on."""
        self.until, ledger.by = ledger.high, "backfill"

    def wanted(self, ledger: Ledger, before: int) -> bool:
        """Whether there are gaps to ask for that opened before `before` (µs since 1970)."""
        self._settle(ledger)
        return self.until is None and any(
            gap.first > self.floor and gap.opened_at < before for gap in ledger.gaps
        )

    def first(self, ledger: Ledger) -> int | None:
        """The number to ask for, or None when nothing was ever seen."""
        self._settle(ledger)
        if self.until is not None:
            for gap in ledger.gaps:
                if gap.first > self.floor:
                    return gap.first
        return None if ledger.high is None else ledger.high + 1

    def _settle(self, ledger: Ledger) -> None:
        if self.until is not None and ledger.high is not None and ledger.high > self.until:
            self.floor, self.until, ledger.by = self.until, None, "arrival"


def resumed(high: int, gaps: Iterable[Gap], later: Iterable[int], now: int, low: int = 0) -> Ledger:
    """The ledger after a restart: the written one, and the numbers found beyond it."""
    ledger = Ledger(high, list(gaps), low)
    for number in sorted(later):
        if ledger.is_new(number):
            ledger.observe(number, now)
    ledger.opened = ledger.closed = 0
    ledger.filled.clear()
    return ledger
