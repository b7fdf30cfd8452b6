"""The check of a job's SQL, as its Pod runs it: with a catalog, without Kafka or a cluster."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tapehouse_laptop import jars
from tapehouse_laptop.toolchain import streams_environment
from tapehouse_streams.catalogs import await_answer
from tapehouse_streams.job import JobError

from tests.streams.platform import TABLE_PROPERTIES, TRADES, CatalogServer, catalog_server
from tests.support.controlplane import free_net

pytestmark = pytest.mark.local

SOURCE = (
    "CREATE TEMPORARY TABLE trades (trade_id BIGINT, symbol STRING, price DOUBLE) WITH "
    "('connector'='kafka', 'topic'='t', 'properties.bootstrap.servers'='127.0.0.1:1', "
    "'properties.group.id'='g', 'format'='json')"
)
GOOD = "INSERT INTO lake.`bronze`.`trades` (trade_id, price)\nSELECT trade_id, price FROM trades"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CatalogServer]:
    with catalog_server(tmp_path_factory.mktemp("catalog"), free_net().address(0, 10)) as server:
        loaded = server.load()
        loaded.create_namespace("bronze")
        loaded.create_table("bronze.trades", TRADES, properties=TABLE_PROPERTIES)
        yield server


def check(root: Path, uri: str, *inserts: str, ddl: str = SOURCE) -> tuple[int, dict[str, Any]]:
    """The exit code and the termination message."""
    document = {
        "job": "j",
        "revision": 0,
        "branch": "",
        "forkFrom": None,
        "catalog": {"uri": uri, "prefix": ""},
        "ddl": [ddl],
        "inserts": list(inserts),
        "outputs": ["bronze.trades"],
        "configuration": {"table.exec.iceberg.use-v2-sink": "true"},
    }
    (root / "dev").mkdir()
    (root / "opt/flink").mkdir(parents=True)
    (root / "opt/flink/lib").symlink_to(jars.flink())
    (root / "job.json").write_text(json.dumps(document))
    done = subprocess.run(
        [streams_environment() / "bin/python", "-m", "tapehouse_streams.check", root / "job.json"],
        env={**os.environ, "TAPEHOUSE_ROOT": str(root), "TMPDIR": str(root)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    message = root / "dev/termination-log"
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(message.read_text()) if message.exists() else {}


def test_good_statements_are_accepted(catalog: CatalogServer, tmp_path: Path) -> None:
    assert check(tmp_path, catalog.uri, GOOD, GOOD) == (0, {})


@pytest.mark.parametrize(
    ("statement", "value", "remedy"),
    [
        (GOOD.replace("price FROM", "prise FROM"), "prise", "Column 'prise' not found"),
        (GOOD.replace("price FROM", "symbol FROM"), "INSERT INTO", "Incompatible types"),
        (GOOD.replace("`bronze`.`trades`", "`bronze`.`none`"), "INSERT INTO", "none"),
    ],
)
def test_a_wrong_statement_is_refused_with_what_is_wrong(
    catalog: CatalogServer, tmp_path: Path, statement: str, value: str, remedy: str
) -> None:
    code, message = check(tmp_path, catalog.uri, GOOD, statement)
    assert code == 1
    assert message["path"] == "spec.sql"
    assert message["value"].startswith(value)
    assert remedy in message["remedy"]
    assert "\n" not in message["remedy"]
    assert "org.apache" not in message["remedy"]


def test_a_catalog_that_is_away_is_named() -> None:
    uri = f"http://{free_net().address(0, 99)}:8181"
    with pytest.raises(JobError) as refusal:
        await_answer(uri, seconds=0)
    assert (refusal.value.path, refusal.value.value) == ("catalog", uri)
    assert "does not answer" in refusal.value.remedy


def test_a_catalog_that_answers_is_good_enough(catalog: CatalogServer) -> None:
    await_answer(catalog.uri, seconds=0)
    await_answer(f"{catalog.uri}/nothing/here", seconds=0)
