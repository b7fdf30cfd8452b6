"""Schedules: when they are due next, and which are refused."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapehouse_contracts.schedules import check_schedule, next_run


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("line", "after", "due"),
    [
        ("*/5 * * * *", utc(2026, 1, 1, 0, 0), utc(2026, 1, 1, 0, 5)),
        ("*/5 * * * *", utc(2026, 1, 1, 0, 4, 59), utc(2026, 1, 1, 0, 5)),
        ("@hourly", utc(2026, 12, 31, 23, 30), utc(2027, 1, 1)),
        ("30 6 * * 1-5", utc(2026, 11, 20, 7), utc(2026, 11, 23, 6, 30)),
        ("0 0 29 2 *", utc(2026, 1, 1), utc(2028, 2, 29)),
        ("0 0 13 * 5", utc(2026, 11, 21), utc(2026, 11, 27)),
        ("0 0 * * 7", utc(2026, 11, 21), utc(2026, 11, 22)),
        ("5,10-12 3 1 */6 *", utc(2026, 7, 1, 3, 10), utc(2026, 7, 1, 3, 11)),
        ("@weekly", utc(2026, 11, 22), utc(2026, 11, 29)),
        ("@monthly", utc(2026, 11, 22), utc(2026, 12, 1)),
        ("@daily", utc(2026, 11, 22), utc(2026, 11, 23)),
    ],
)
def test_next(line: str, after: datetime, due: datetime) -> None:
    assert next_run(line, after) == due


@given(st.integers(1, 59), st.integers(0, 23), st.integers(0, 10**8))
def test_the_next_is_the_first_that_fits(step: int, hour: int, at: int) -> None:
    after = utc(2026, 1, 1) + timedelta(seconds=at)
    due = next_run(f"*/{step} {hour} * * *", after)
    minute = after.replace(second=0, microsecond=0)
    while True:
        minute += timedelta(minutes=1)
        if minute.minute % step == 0 and minute.hour == hour:
            break
    assert due == minute


@pytest.mark.parametrize(
    "line",
    ["* * * *", "60 * * * *", "a * * * *", "5-1 * * * *", "*/0 * * * *", "61 99 * * x", "", "@no"],
)
def test_what_is_no_schedule_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="is not a schedule"):
        check_schedule(line)


def test_a_day_that_never_comes_is_refused() -> None:
    with pytest.raises(ValueError, match="bad day-of-month"):
        check_schedule("0 0 30 2 *")
