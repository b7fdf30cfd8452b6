import os
from pathlib import Path
from typing import Any

import pytest
from tapehouse_laptop.flink.record import Record, local, newest_state
from tapehouse_laptop.flink.spec import Wanted


def state(directory: Path, name: str, when: int, *, complete: bool = True) -> str:
    made = directory / name
    made.mkdir(parents=True)
    if complete:
        (made / "_metadata").write_text("")
        os.utime(made / "_metadata", (when, when))
    return made.as_uri()


def newest(tmp_path: Path, record: Record) -> str:
    return newest_state(record, (tmp_path / "ck").as_uri(), str(tmp_path / "sp"))


def test_newest_of_checkpoints_and_savepoints(tmp_path: Path) -> None:
    record = Record(slot=0, job_id="a", restore="file:///before")
    state(tmp_path / "ck/a", "chk-9", 10)
    last = state(tmp_path / "sp/a", "savepoint-a-1", 30)
    state(tmp_path / "ck/a", "chk-10", 20)
    state(tmp_path / "ck/a", "chk-11", 40, complete=False)
    state(tmp_path / "ck/other", "chk-99", 50)
    assert newest(tmp_path, record) == last


def test_an_attempt_without_state_goes_on_from_where_it_started(tmp_path: Path) -> None:
    record = Record(slot=0, job_id="a", restore="file:///before")
    state(tmp_path / "ck/other", "chk-99", 50)
    assert newest(tmp_path, record) == "file:///before"


def test_without_an_attempt_the_savepoint_stands(tmp_path: Path) -> None:
    assert newest(tmp_path, Record(slot=0, savepoint="file:///s")) == "file:///s"


def test_state_is_kept_in_files() -> None:
    assert local("file:/a/b") == local("file:///a/b") == local("/a/b") == Path("/a/b")
    with pytest.raises(ValueError, match="s3://x"):
        local("s3://x")


def wanted(uid: str, **job: Any) -> Wanted:
    meta = {"name": "j", "namespace": "n", "uid": uid, "generation": 3}
    return Wanted({"metadata": meta, "spec": {"job": {"upgradeMode": "savepoint", **job}}})


def test_every_attempt_has_a_job_id_of_its_own() -> None:
    record = Record(slot=0)
    ids = set()
    for _ in range(10):
        record.begin(wanted("u"))
        ids.add(record.job_id)
    assert len(ids) == 10


@pytest.mark.parametrize(
    ("job", "start"),
    [
        ({}, "file:///old"),
        ({"initialSavepointPath": "file:///given"}, "file:///old"),
        ({"upgradeMode": "stateless"}, ""),
        ({"upgradeMode": "stateless", "initialSavepointPath": "file:///given"}, "file:///given"),
    ],
)
def test_a_resource_created_again_goes_on_unless_stateless(job: dict[str, str], start: str) -> None:
    record = Record(slot=0, uid="before", savepoint="file:///old")
    record.begin(wanted("u", **job))
    assert record.restore == start


def test_a_first_attempt_starts_from_the_given_savepoint() -> None:
    record = Record(slot=0)
    record.begin(wanted("u", initialSavepointPath="file:///given", savepointTriggerNonce=4))
    assert (record.restore, record.savepoint_nonce) == ("file:///given", 4)


def test_a_record_is_read_back_also_by_another_version(tmp_path: Path) -> None:
    record = Record(slot=3, job_id="a", savepoints=[{"location": "x"}])
    record.save(tmp_path / "r.json")
    assert Record.load(tmp_path / "r.json") == record
    text = (tmp_path / "r.json").read_text().replace('"slot"', '"unknown": 1, "slot"')
    (tmp_path / "r.json").write_text(text)
    assert Record.load(tmp_path / "r.json") == record
    assert Record.load(tmp_path / "none.json") is None
