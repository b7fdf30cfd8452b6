"""Times: what is canonical, what can be made so, what is no moment at all."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapehouse_tape import times

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
moments = st.integers(-62_135_500_000_000_000, 253_402_200_000_000_000).map(
    lambda micros: EPOCH + dt.timedelta(microseconds=micros)
)


def micros(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


@given(moments)
def test_every_moment_survives(moment: dt.datetime) -> None:
    text = times.from_micros(micros(moment))
    assert times.is_canonical(text)
    assert len(text) == 27
    assert times.to_micros(text) == micros(moment)
    assert dt.datetime.fromisoformat(text) == moment


@given(moments, st.integers(-14 * 60, 14 * 60))
def test_offsets_are_taken_off(moment: dt.datetime, minutes: int) -> None:
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    local = moment.astimezone(zone) if 2 < moment.year < 9998 else moment
    assert times.normalise(local.isoformat()) == times.from_micros(micros(moment))


@given(st.text(max_size=30))
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    try:
        assert times.is_canonical(times.normalise(text))
    except ValueError:
        assert not times.is_canonical(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T13:00:00Z",
        "2026-11-21T13:00:00.1Z",
        "2026-11-21T13:00:00.123456Z",
        "2024-02-29T00:00:00Z",
    ],
)
def test_canonical_texts_are_left_alone(text: str) -> None:
    assert times.is_canonical(text)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("2026-11-21T13:00:00.123456789Z", "2026-11-21T13:00:00.123456Z"),
        ("2026-11-21T13:00:00.Z", None),
        ("2026-11-21T13:00:00", "2026-11-21T13:00:00.000000Z"),
        ("2026-11-21 13:00:00,5+01:00", "2026-11-21T12:00:00.500000Z"),
        ("2026-11-21T13:00z", "2026-11-21T13:00:00.000000Z"),
        ("2026-11-21T13:00:00-0530", "2026-11-21T18:30:00.000000Z"),
        ("2026-02-30T00:00:00Z", None),
        ("2026-11-21T25:00:00Z", None),
        ("0000-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("٢٠٢٦-11-21T13:00:00Z", None),
        ("2026-W47-6T13:00:00Z", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_other_texts_are_put_right_or_refused(text: str, normal: str | None) -> None:
    assert not times.is_canonical(text)
    if normal is None:
        with pytest.raises(ValueError):
            times.normalise(text)
    else:
        assert times.normalise(text) == normal
