"""The state that the operator sees: problems, gaps, silence, back-pressure; reported on change."""

import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from tapehouse_tape.times import from_micros

from tapehouse_feed.continuity import Gap, Ledger

GRACE = 1_000_000
"""Microseconds in which a missing number may still come by itself."""
PAUSED = 10.0
"""Seconds of stopped reading after which it is reported."""
SHOWN = 20
"""Gaps listed one by one, of the open and of the closed ones; all are counted."""
AGAIN = 30.0
"""Seconds between reports in which only numbers differ."""

log = logging.getLogger("tapehouse.bridge")


class OpenGap(msgspec.Struct, frozen=True, rename="camel"):
    """Numbers that are missing; `key` where numbers count per key."""

    key: str
    first: int
    last: int
    opened_at: str


class ClosedGap(msgspec.Struct, frozen=True, rename="camel"):
    """Numbers that were missing and came: when, and by what."""

    key: str
    first: int
    last: int
    opened_at: str
    closed_at: str
    by: str


class RestartedCount(msgspec.Struct, frozen=True, rename="camel"):
    """The source counted again from `to` after `after`."""

    key: str
    after: int
    to: int
    at: str


class Account(msgspec.Struct, frozen=True, rename="camel"):
    """What has become of every frame since the bridge started, an element of a list as one.

    `frames` = `events` + `dead_letters` + all of `left_out`.
    """

    frames: int = 0
    events: int = 0
    dead_letters: int = 0
    left_out: dict[str, int] = {}
    newest_dead_letter: str = ""

    @property
    def nothing_mapped(self) -> bool:
        """Whether frames came, and no rule of the mapping was for any of them."""
        unmapped = self.left_out.get("unmapped", 0)
        known = self.left_out.get("duplicate", 0)
        return unmapped > 0 and not (self.events or self.dead_letters or known)

    @property
    def differences(self) -> tuple[bool, bool, bool]:
        """What is not as declared: reported at once when it begins."""
        conflicts = bool(self.left_out.get("conflict"))
        return bool(self.dead_letters), self.nothing_mapped, conflicts


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """The state of a feed, as the operator reads it in a ConfigMap."""

    open_gaps: int
    missing: int
    too_large: bool
    """Whether a gap is larger than `continuity.maxGap`."""
    silent: str
    """Since when an open market has said nothing, empty while it talks."""
    held: str
    """Why reading is stopped, empty while it goes on."""
    gaps: tuple[OpenGap, ...] = ()
    closed: tuple[ClosedGap, ...] = ()
    problem: str = ""
    """Why the source brings nothing, with a remedy; empty while it works."""
    no_event: str = ""
    """Why no event has ever come, with a remedy; empty once one has."""
    account: Account | None = None
    """What has become of the frames, where that is not as declared."""
    restarts: tuple[RestartedCount, ...] = ()

    @property
    def turn(self) -> tuple[Any, ...]:
        """What is reported at once when it changes."""
        return (
            bool(self.open_gaps),
            self.too_large,
            self.silent,
            self.held,
            bool(self.problem),
            self.no_event,
            self.account and self.account.differences,
            self.restarts,
        )


class Watch:
    """Looks at a feed every second; what it logs and reports is the evidence of its gaps."""

    def __init__(self, max_gap: int | None) -> None:
        self._max_gap = max_gap
        self._open: set[tuple[str, int]] = set()
        """The ends of the gaps that have been logged: a gap filled in its middle is two."""
        self._closed: deque[ClosedGap] = deque(maxlen=SHOWN)
        self._restarts: deque[RestartedCount] = deque(maxlen=SHOWN)
        self._reported: Report | None = None
        self._reported_at = 0.0

    def look(
        self,
        ledgers: Mapping[str, Ledger],
        now: int,
        *,
        silent_since: int = 0,
        paused_since: float = 0.0,
        full: str = "",
        problem: str = "",
        no_event: str = "",
        account: Account | None = None,
    ) -> Report | None:
        """The state at `now` (µs since 1970), if it is to be reported, else None.

        `silent_since` is since when there has been a silence that is not normal (µs, 0: there is
        none), `paused_since` since when reading is stopped (UNIX seconds, 0: it is not), `full`
        why no more can wait on disk.
        """
        gaps = [
            (key, gap)
            for key, ledger in ledgers.items()
            for gap in ledger.gaps
            if gap.opened_at <= now - GRACE
        ]
        self._log_changes(gaps, ledgers)
        report = Report(
            open_gaps=len(gaps),
            missing=sum(gap.size for _, gap in gaps),
            too_large=self._max_gap is not None
            and any(gap.size > self._max_gap for _, gap in gaps),
            silent=from_micros(silent_since) if silent_since else "",
            held=_held(now, paused_since, full),
            gaps=tuple(_shown(gaps)),
            closed=tuple(self._closed),
            problem=problem,
            no_event=no_event,
            account=account if account and any(account.differences) else None,
            restarts=tuple(self._restarts),
        )
        return self._if_due(report)

    def _log_changes(self, gaps: list[tuple[str, Gap]], ledgers: Mapping[str, Ledger]) -> None:
        fresh = [
            (key, gap)
            for key, gap in gaps
            if (key, gap.first) not in self._open and (key, gap.last) not in self._open
        ]
        for key, gap in fresh[:SHOWN]:
            log.warning("gap open", extra=msgspec.to_builtins(_opened(key, gap)))
        if len(fresh) > SHOWN:
            log.warning("more gaps open", extra={"gaps": len(fresh) - SHOWN})
        self._open = {(key, end) for key, gap in gaps for end in (gap.first, gap.last)}
        for key, ledger in ledgers.items():
            for one in ledger.filled:
                if one.closed_at - one.opened_at >= GRACE:
                    closed = ClosedGap(
                        key,
                        one.first,
                        one.last,
                        from_micros(one.opened_at),
                        from_micros(one.closed_at),
                        one.by,
                    )
                    self._closed.append(closed)
                    log.info("gap closed", extra=msgspec.to_builtins(closed))
            ledger.filled.clear()
            for restart in ledger.restarts:
                restarted = RestartedCount(key, restart.after, restart.to, from_micros(restart.at))
                self._restarts.append(restarted)
                log.warning("source counts again", extra=msgspec.to_builtins(restarted))
            ledger.restarts.clear()

    def _if_due(self, report: Report) -> Report | None:
        before, now = self._reported, time.monotonic()
        if report == before:
            return None
        if before and report.turn == before.turn and now - self._reported_at < AGAIN:
            return None
        self._reported, self._reported_at = report, now
        return report


def _opened(key: str, gap: Gap) -> OpenGap:
    return OpenGap(key, gap.first, gap.last, from_micros(gap.opened_at))


def _shown(gaps: Iterable[tuple[str, Gap]]) -> list[OpenGap]:
    """The largest, oldest first."""
    largest = sorted(gaps, key=lambda each: -each[1].size)[:SHOWN]
    return [_opened(*each) for each in sorted(largest, key=lambda each: each[1].opened_at)]


def _held(now: int, paused_since: float, full: str) -> str:
    if full:
        return f"no more can wait on disk: {full}"
    if paused_since and now / 1e6 - paused_since >= PAUSED:
        since = from_micros(int(paused_since * 1e6))
        return f"unacknowledged since {since}"
    return ""
