"""What a job's checkpoints prove of its commits."""

import os
import time
from pathlib import Path

import pytest
from tapehouse_lakehouse.ancestry import Commit
from tapehouse_lakehouse.checkpoints import Checkpoint, completed, is_stalled, restorable

SECOND = 1000


def kept(directory: Path, job: str, number: int, at: float = 0.0) -> Path:
    """A checkpoint as Flink leaves it."""
    metadata = directory / job / f"chk-{number}" / "_metadata"
    metadata.parent.mkdir(parents=True)
    metadata.write_bytes(b"")
    if at:
        os.utime(metadata, (at, at))
    return metadata.parent


def test_only_complete_checkpoints_of_every_life_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(tmp_path, "one", 7, at=1_000.5)
    newest = kept(tmp_path, "two", 12)
    (tmp_path / "two" / "chk-13").mkdir()
    (tmp_path / "two" / "shared").mkdir()
    monkeypatch.setenv("TAPEHOUSE_DATA", str(tmp_path.parent))
    found = completed(f"file://$(TAPEHOUSE_DATA)/{tmp_path.name}/")
    assert sorted((c.job, c.number) for c in found) == [("one", 7), ("two", 12)]
    by_job = {c.job: c for c in found}
    assert by_job["one"].at_ms == 1_000_500
    assert by_job["two"].path == newest.as_uri()


def test_a_job_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert completed((tmp_path / "none").as_uri()) == []


def at(*seconds: float) -> list[Checkpoint]:
    return [Checkpoint("j", n, int(s * SECOND), f"p{n}") for n, s in enumerate(seconds, 1)]


@pytest.mark.parametrize(
    ("seconds", "stalled"),
    [
        ((), False),
        ((1, 5, 10), False),  # nothing after the commit
        ((10, 15.5), False),  # the next one, perhaps being committed
        ((10, 15.5, 20.5), True),
        ((10, 16.5, 17), False),  # two at once on a slow machine
    ],
)
def test_two_checkpoints_without_a_commit_are_proof(
    seconds: tuple[float, ...], stalled: bool
) -> None:
    found = at(*seconds)
    assert is_stalled(found, 10 * SECOND + 200, 21 * SECOND, 5 * SECOND) is stalled


def commit(job: str, number: int, second: float) -> Commit:
    return Commit(1, None, int(second * SECOND), job, number)


def test_a_job_starts_again_from_what_all_its_tables_have() -> None:
    found = at(1, 5, 10)
    assert restorable(found, [commit("j", 2, 5.2), commit("j", 2, 5.3)]) == "p2"
    assert restorable(found, [commit("j", 2, 5.2), commit("j", 3, 10.3)]) == ""
    assert restorable(found, [commit("j", 2, 5.2), None]) == ""
    assert restorable(found, [commit("other", 2, 5.2)]) == ""


def test_a_checkpoint_that_was_written_over_is_not_what_was_committed() -> None:
    assert restorable(at(1, 7), [commit("j", 2, 5.2)]) == ""


def test_the_time_of_a_checkpoint_is_the_clocks(tmp_path: Path) -> None:
    before = time.time_ns() // 10**6
    kept(tmp_path, "j", 1)
    (found,) = completed(tmp_path.as_uri())
    assert before - 10 <= found.at_ms <= time.time_ns() // 10**6
