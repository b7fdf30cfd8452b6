"""The pace of recorded events."""

import time
from collections.abc import Callable

from tapehouse_tape import times


class Pace:
    """Keeps to `speed` times the pace of the events' own times; 0 is no pace."""

    def __init__(self, speed: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._speed = speed
        self._clock = clock
        self._started: tuple[float, int] | None = None

    def ahead(self, event_time: str | None) -> float:
        """Seconds to wait after an event of this time."""
        if not self._speed or event_time is None:
            return 0.0
        moment = times.to_micros(event_time)
        if self._started is None:
            self._started = self._clock(), moment
        began, first = self._started
        return (moment - first) / 1e6 / self._speed - (self._clock() - began)
