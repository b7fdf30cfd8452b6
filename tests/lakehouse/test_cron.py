"""Cron lines."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapehouse_lakehouse.cron import Cron
from tapehouse_lakehouse.model import InvalidError


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


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
def test_next(line, after, due):
    assert Cron.parse(line).next(after) == due


@given(st.integers(1, 59), st.integers(0, 23), st.integers(0, 10**8))
def test_the_next_is_the_first_that_fits(step, hour, at):
    after = utc(2026, 1, 1) + timedelta(seconds=at)
    due = Cron.parse(f"*/{step} {hour} * * *").next(after)
    minute = after.replace(second=0, microsecond=0)
    while True:
        minute += timedelta(minutes=1)
        if minute.minute % step == 0 and minute.hour == hour:
            break
    assert due == minute


@pytest.mark.parametrize(
    "line", ["* * * *", "60 * * * *", "a * * * *", "5-1 * * * *", "*/0 * * * *"]
)
def test_bad_lines_are_refused(line):
    with pytest.raises(InvalidError, match="schedule"):
        Cron.parse(line)


def test_a_day_that_never_comes():
    with pytest.raises(InvalidError, match="five years"):
        Cron.parse("0 0 30 2 *").next(utc(2026, 1, 1))
