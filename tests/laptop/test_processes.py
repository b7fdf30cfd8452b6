"""Processes of an installation."""

from pathlib import Path

import psutil
import pytest
from tapehouse_laptop import processes
from tapehouse_laptop.processes import Process
from tapehouse_laptop.state import State


async def test_what_cannot_be_written_down_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, value: dict[str, object]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(processes, "write_json", full)
    before = {child.pid for child in psutil.Process().children()}

    with pytest.raises(OSError, match="No space left"):
        await Process.start(State(tmp_path), "nap", ["sleep", "60"], log=tmp_path / "nap.log")

    assert {child.pid for child in psutil.Process().children()} <= before
