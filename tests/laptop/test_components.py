"""The table of what runs."""

import asyncio
from pathlib import Path

import pytest
from tapehouse_laptop import components
from tapehouse_laptop.components import Components, read_components
from tapehouse_laptop.state import State


async def test_a_full_disk_ends_nobody_and_the_table_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(components, "AGAIN_SECONDS", 0.01)
    home = State(tmp_path)
    table = Components.fresh(home)

    def full(path: Path, value: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(components, "write_json", full)
        table.set("kafka", "Failed", "disk full")
        table.set("flink", "Ready")
        await asyncio.sleep(0.05)
        assert read_components(home) == {}

    for _ in range(500):
        if read_components(home):
            break
        await asyncio.sleep(0.01)
    rows = read_components(home)
    assert rows["kafka"].message == "disk full"
    assert rows["flink"].phase == "Ready"
