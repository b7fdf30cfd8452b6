"""What the check of a job remembers, and what makes it ask Flink again."""

import copy
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from tapehouse_streams.job import Job
from tapehouse_streams.verdicts import DIRECTORY_VARIABLE, Verdict

TABLE: dict[str, Any] = {
    "format-version": 2,
    "current-schema-id": 1,
    "schemas": [{"schema-id": 0, "fields": []}, {"schema-id": 1, "fields": ["price"]}],
    "default-spec-id": 0,
    "partition-specs": [{"spec-id": 0, "fields": []}],
    "properties": {"a": "b"},
    "last-updated-ms": 1,
}


class Catalog(BaseHTTPRequestHandler):
    tables: dict[str, Any]

    def do_GET(self) -> None:
        known = {"/v1/config": {}, **self.tables}
        self.send_response(200 if self.path in known else 404)
        self.end_headers()
        self.wfile.write(json.dumps(known.get(self.path)).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def catalog() -> Iterator[tuple[str, dict[str, Any]]]:
    tables = {"/v1/namespaces/dev_bronze/tables/trades": {"metadata": copy.deepcopy(TABLE)}}
    handler = type("Handler", (Catalog,), {"tables": tables})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", tables
        server.shutdown()


@pytest.fixture
def job(catalog: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "verdicts"))
    return Job("j", "", "", catalog[0], "dev_", ("ddl",), ("insert",), ("bronze.trades",), {})


def test_what_was_planned_is_known(job: Job) -> None:
    assert not Verdict.of(job).known
    Verdict.of(job).remember()
    assert Verdict.of(job).known


@pytest.mark.parametrize(
    "change",
    [{"ddl": ("other",)}, {"inserts": ("other",)}, {"configuration": {"a": "b"}}],
)
def test_another_job_is_not_known(job: Job, change: dict[str, Any]) -> None:
    Verdict.of(job).remember()
    assert not Verdict.of(replace(job, **change)).known


@pytest.mark.parametrize(
    ("field", "value", "known"),
    [
        ("current-schema-id", 0, False),
        ("properties", {}, False),
        ("format-version", 3, False),
        ("last-updated-ms", 2, True),
    ],
)
def test_a_table_counts_by_its_shape(
    job: Job, catalog: Any, field: str, value: object, known: bool
) -> None:
    Verdict.of(job).remember()
    (table,) = catalog[1].values()
    table["metadata"][field] = value
    assert Verdict.of(job).known is known


def test_a_table_that_is_gone_is_not_known(job: Job, catalog: Any) -> None:
    Verdict.of(job).remember()
    catalog[1].clear()
    assert not Verdict.of(job).known


def test_nothing_is_kept_without_a_place(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DIRECTORY_VARIABLE)
    Verdict.of(job).remember()
    assert not Verdict.of(job).known
