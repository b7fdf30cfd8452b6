"""Durations and sizes."""

from datetime import timedelta

import pytest
from tapehouse_contracts.durations import duration, seconds, size


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("10m", timedelta(minutes=10)),
        ("1w", timedelta(weeks=1)),
        ("0s", timedelta()),
    ],
)
def test_durations(text: str, length: timedelta) -> None:
    assert duration(text) == length
    assert seconds(text) == length.total_seconds()


@pytest.mark.parametrize("text", ["", "10", "m", "1m30s", "-1s", "1.5h", "10 m", "1y"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as"):
        duration(text)


def test_sizes() -> None:
    assert size("128Mi") == 128 * 2**20
    with pytest.raises(ValueError, match="is not a size such as"):
        size("128MB")
