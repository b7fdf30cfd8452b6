"""When a cron line is next due. Pure; UTC."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tapehouse_lakehouse.model import InvalidError

_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}
_BOUNDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_HORIZON = timedelta(days=5 * 366)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed cron line: for each field the values at which it is due."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    either_day: bool
    """Both day fields are restricted: one that fits is enough, as in cron."""

    @classmethod
    def parse(cls, text: str) -> "Cron":
        """Read `*/5 * * * *` or `@hourly`.

        Raises:
            InvalidError: with the field that cannot be read.
        """
        fields = _NAMED.get(text, text).split()
        if len(fields) != len(_BOUNDS):
            raise InvalidError(f"schedule {text!r}: write five fields, like */5 * * * *")
        minutes, hours, days, months, weekdays = (
            _field(text, field, *bounds) for field, bounds in zip(fields, _BOUNDS, strict=True)
        )
        either = not fields[2].startswith("*") and not fields[4].startswith("*")
        return cls(minutes, hours, days, months, frozenset(d % 7 for d in weekdays), either)

    def next(self, after: datetime) -> datetime:
        """The first due minute later than `after`.

        Raises:
            InvalidError: none within five years, as for the 30th of February.
        """
        at = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
        end = after + _HORIZON
        while at < end:
            if at.month not in self.months or not self._day(at):
                at = at.replace(hour=0, minute=0) + timedelta(days=1)
            elif at.hour not in self.hours:
                at = at.replace(minute=0) + timedelta(hours=1)
            elif at.minute not in self.minutes:
                at += timedelta(minutes=1)
            else:
                return at
        raise InvalidError("schedule: no such day within five years; correct day and month")

    def _day(self, at: datetime) -> bool:
        day, weekday = at.day in self.days, at.isoweekday() % 7 in self.weekdays
        return (day or weekday) if self.either_day else (day and weekday)


def _field(text: str, field: str, name: str, low: int, high: int) -> frozenset[int]:
    values: set[int] = set()
    try:
        for part in field.split(","):
            span, _, step = part.partition("/")
            first, _, last = span.partition("-")
            start = low if first == "*" else int(first)
            end = int(last) if last else (high if first == "*" or step else start)
            if not low <= start <= end <= high:
                raise ValueError
            values.update(range(start, end + 1, int(step) if step else 1))
    except ValueError:
        raise InvalidError(
            f"schedule {text!r}: {name} {field!r}: write numbers from {low} to {high}, "
            "as *, */n, a-b or a,b"
        ) from None
    return frozenset(values)
