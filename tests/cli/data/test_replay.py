"""`tapehouse test`: a job run on rows from files."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tapehouse_cli.data.bounded import Bounded
from tapehouse_cli.data.commands import test as command
from tapehouse_cli.data.declared import Declared

JOB = Path(__file__).with_name("job.yaml")


def tick(second: int, size: int, symbol: str = "A") -> dict[str, Any]:
    at = f"2026-01-05T14:{second // 60:02}:{second % 60:02}Z"
    return {"symbol": symbol, "at": at, "size": size}


def rows(path: Path, *found: dict[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in found))
    return path


def invoked(directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [str(JOB), "-d", str(directory), *arguments])


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A directory with one resource that has no part in the test."""
    directory = tmp_path / "environment"
    directory.mkdir()
    (directory / "a.yaml").write_text("{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n")
    return directory


def test_a_job_reads_and_writes_files_and_is_the_same_otherwise(tmp_path: Path) -> None:
    bounded = Bounded.of(Declared.read(None, JOB), "sums")
    inserts = bounded.writing(["test.sums"])
    document = bounded.document(inserts, tmp_path, catalog="", settle=2.0)
    source, ended, unique, sink = document["ddl"]
    assert "`replay_ended` BOOLEAN NOT NULL" in source
    assert "METADATA" not in source
    assert f"'path' = '{tmp_path}/inputs/ticks.json'" in source
    assert "WATERMARK FOR `event_time`" in source
    assert ended.endswith("WHERE WAIT_AT_END('ticks__topic', `replay_ended`, 2000)")
    assert "ROW_NUMBER() OVER (PARTITION BY `symbol`, `at`" in unique
    assert "`size` BIGINT NOT NULL, `n` BIGINT)" in sink
    (statement,) = document["inserts"]
    head, _, query = statement.partition("\n")
    assert head == "INSERT INTO `test.sums` (`symbol`, `at`, `size`, `n`)"
    assert query == bounded.program.inserts[0].query


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--input", "tick={}"], "tick is no input of sums; these are: ticks"),
        (["--expect", "sums={}"], "sums is no output of sums; these are: minutes, test.sums"),
        (["--expect", "{}"], "NAME=FILE is expected"),
        (["--input", "ticks=none.jsonl"], "none.jsonl: no such file"),
    ],
)
def test_what_is_not_there_is_named(
    empty: Path, tmp_path: Path, given: list[str], said: str
) -> None:
    file = rows(tmp_path / "rows.jsonl", tick(0, 1))
    done = invoked(empty, *(each.format(file) for each in given))
    assert done.exit_code != 0
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.output


def test_a_job_that_is_not_declared_is_named(empty: Path) -> None:
    done = CliRunner().invoke(command, ["nothing", "-d", str(empty)])
    assert "no StreamJob nothing; there are: none" in done.stderr


@pytest.mark.local
def test_a_job_is_run_to_the_end_of_its_input(empty: Path, tmp_path: Path) -> None:
    """Windows of either time close, a repeated event counts once, a late one comes too late."""
    given = rows(
        tmp_path / "ticks.jsonl",
        tick(0, 1),
        tick(59, 2),
        tick(0, 1),  # again
        tick(70, 4, "B"),
        tick(30, 8) | {"ingested_at": "2026-01-05T14:01:11Z"},
        tick(200, 16),
        tick(10, 32) | {"ingested_at": "2026-01-05T14:03:21Z"},  # later than any lateness
    )
    sums = tmp_path / "sums.csv"
    sums.write_text("symbol,size,n\nA,1,1\nA,2,1\nB,4,1\nA,8,1\nA,16,1\nA,32,1\n")
    minutes = rows(
        tmp_path / "minutes.jsonl",
        {"symbol": "A", "start": "2026-01-05T14:00:00Z", "size": 3},
        {"symbol": "B", "start": "2026-01-05T14:01:00Z", "size": 4},
        {"symbol": "A", "start": "2026-01-05T14:03:00Z", "size": 17},
    )
    arguments = [
        *("--input", f"ticks={given}"),
        *("--expect", f"test.sums={sums}"),
        *("--expect", f"minutes={minutes}"),
    ]
    done = invoked(empty, *arguments)
    assert done.exit_code == 1, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "ok  test.sums: 6 as expected"
    assert lines[1].startswith("FAILED  minutes: 2 as expected, 1 missing, 1 unexpected")
    assert lines[2] == '  - symbol="A", start="2026-01-05T14:03:00.000000Z", size=17'
    assert lines[3] == '  + symbol="A", start="2026-01-05T14:03:00.000000Z", size=16'


@pytest.mark.local
def test_a_job_that_fails_on_its_input_says_why(empty: Path, tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(
        JOB.read_text().replace("SUM(size), COUNT", "SUM(CAST(symbol AS BIGINT)), COUNT")
    )
    given = rows(tmp_path / "ticks.jsonl", tick(0, 1))
    arguments = [str(job), "-d", str(empty), "--input", f"ticks={given}"]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: job: sums: failed: ")
    assert "'A'" in done.stderr
    assert done.stderr.count("\n") == 1
