"""Frames on disk: first in, first out, whole or not at all."""

import errno
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tapehouse_feed import spill
from tapehouse_feed.spill import Spill, SpillFull

steps = st.lists(
    st.one_of(st.lists(st.binary(max_size=300), min_size=1, max_size=8), st.integers(1, 20)),
    max_size=40,
)


@given(steps)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_what_goes_in_comes_out_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    home = tmp_path_factory.mktemp("spill")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "SEGMENT", 500)
        queue = Spill(home, 10**6)
        written, taken = list[tuple[bytes, int]](), list[tuple[bytes, int]]()
        for now, step in enumerate(steps):
            if isinstance(step, int):
                taken += queue.take(step)
            else:
                queue.append(step, now)
                written += [(frame, now) for frame in step]
            assert queue.frames == len(written) - len(taken)
        taken += queue.take(10_000)
        assert taken == written
        queue.release(queue.spent())
        assert queue.bytes == 0
        assert list(home.iterdir()) == []


def test_a_successor_takes_what_was_left_but_a_torn_frame(tmp_path: Path) -> None:
    first = Spill(tmp_path, 10**6)
    first.append([b"a", b"b"], 5)
    first.append([b"c"], 6)
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + b"\0\0\0torn")
    second = Spill(tmp_path, 10**6)
    second.append([b"d"], 7)
    assert second.frames == 4
    assert second.take(10) == [(b"a", 5), (b"b", 5), (b"c", 6), (b"d", 7)]


def test_the_limit_is_met_before_anything_is_written(tmp_path: Path) -> None:
    queue = Spill(tmp_path, 100)
    queue.append([b"x" * 50], 1)
    with pytest.raises(SpillFull, match="62 of at most 100 bytes are in use"):
        queue.append([b"y" * 10, b"z" * 30], 2)
    assert queue.take(10) == [(b"x" * 50, 1)]


class _FullDisk(FileIO):
    """Takes a part of what does not fit, then nothing, as a full disk does."""

    room = 100

    def write(self, data: Any) -> int:
        fits = min(len(data), self.room)
        if not fits:
            raise OSError(errno.ENOSPC, "No space left on device")
        type(self).room -= fits
        return super().write(bytes(data)[:fits]) or 0


def test_a_full_disk_keeps_what_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "FileIO", _FullDisk)
    queue = Spill(tmp_path, 10**6)
    queue.append([b"x" * 50], 1)
    for _ in range(2):
        with pytest.raises(SpillFull, match="no space left"):
            queue.append([b"y" * 50], 2)
    assert queue.frames == 1
    assert queue.take(10) == [(b"x" * 50, 1)]
