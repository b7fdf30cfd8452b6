"""When a feed's silence is normal: the market is closed, or everything in it is halted."""

import datetime as dt
from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from tapehouse_contracts.durations import seconds
from tapehouse_tape.events import Event

from tapehouse_feed.config import Session


class Market:
    """The hours of one market and the halts in force."""

    def __init__(self, session: Session | None, events: Sequence[Event]) -> None:
        session = session or Session()
        self._zone = ZoneInfo(session.timezone)
        self._hours = session.hours
        self._holidays = frozenset(session.holidays)
        self._halts = session.halts
        names = {self._halts.halt, self._halts.resume} if self._halts else set()
        halting = [event for event in events if event.name in names]
        keys = {event.key for event in halting}
        self.halt_topics = frozenset(event.topic for event in halting)
        """Where the events go that halts are known by."""
        self.trading_topics = frozenset(
            event.topic for event in events if event.key in keys and event.name not in names
        )
        """Where the events go that there are none of while their key is halted."""
        self.patience = seconds(session.silence) if session.silence else None
        """Seconds an open market may say nothing; None: as long as it likes."""
        self._halted: set[bytes] = set()

    def is_open(self, at: float) -> bool:
        """Whether it trades at `at`, UNIX seconds.

        Hours that close before they open go on past midnight and belong to the day they began.
        """
        if not self._hours:
            return True
        moment = dt.datetime.fromtimestamp(at, self._zone)
        yesterday = moment.date() - dt.timedelta(days=1)
        return any(
            (
                self._trades(moment.date(), hours.days)
                and hours.open <= moment.time()
                and (moment.time() < hours.close or hours.close <= hours.open)
            )
            or (
                hours.close <= hours.open
                and self._trades(yesterday, hours.days)
                and moment.time() < hours.close
            )
            for hours in self._hours
        )

    def _trades(self, day: dt.date, days: tuple[int, ...]) -> bool:
        return day.weekday() in days and day not in self._holidays

    def saw(self, event: str, key: bytes) -> None:
        """Take note of an event, which may be a halt or the end of one."""
        if self._halts is None:
            return
        if event == self._halts.halt:
            self._halted.add(key)
        elif event == self._halts.resume:
            self._halted.discard(key)

    def _is_halted(self, keys: Iterable[bytes]) -> bool:
        return bool(self._halted) and self._halted.issuperset(keys)

    def is_too_quiet(self, last: float, now: float, keys: Iterable[bytes]) -> bool:
        """Whether the silence since `last` (UNIX seconds) is not normal; `keys` are what trades.

        After the bell a market has its patience again.
        """
        if self.patience is None or now - last <= self.patience:
            return False
        was_open = self.is_open(now) and self.is_open(now - self.patience)
        return was_open and not self._is_halted(keys)
