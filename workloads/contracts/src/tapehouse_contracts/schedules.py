"""Schedules: cron lines in UTC, or `@hourly`, `@daily`, `@weekly`, `@monthly`."""

from datetime import datetime

from cronsim import CronSim, CronSimError

SCHEDULE_PATTERN = r"^(@(hourly|daily|weekly|monthly)|(\S+ ){4}\S+)$"
NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}
_ANY_TIME = datetime(2024, 1, 1)  # noqa: DTZ001 - only whether a time follows is asked


def check_schedule(text: str) -> None:
    """Refuse what is never due.

    Raises:
        ValueError: not a schedule, or one without a date, such as the 30th of February.
    """
    next_run(text, _ANY_TIME)


def next_run(text: str, after: datetime) -> datetime:
    """The first minute later than `after` at which `text` is due.

    Raises:
        ValueError: see `check_schedule`.
    """
    line = NAMED.get(text, text)
    try:
        if len(line.split()) != 5:
            raise CronSimError("five fields are expected")
        found: datetime = next(CronSim(line, after))
    except CronSimError as error:
        raise ValueError(
            f"{text!r} is not a schedule ({str(error).lower()}); write minute, hour, day, month "
            "and weekday, such as */5 * * * *, or @hourly, @daily, @weekly, @monthly"
        ) from error
    except StopIteration:
        raise ValueError(f"{text!r} is never due: no such date; correct day and month") from None
    return found
