"""The laptop's Iceberg REST catalog, as PyIceberg sees it."""

import json
import os
import stat
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.exceptions import NoSuchTableError
from tapehouse_laptop import jars, toolchain

from tests.streams.platform import CatalogServer, catalog_server
from tests.support.controlplane import free_net

pytestmark = pytest.mark.local

ROWS = pa.table({"a": pa.array([1, 2], pa.int64())})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CatalogServer]:
    with catalog_server(tmp_path_factory.mktemp("catalog"), free_net().address(0, 40)) as running:
        running.load().create_namespace("n")
        yield running


def commit(
    server: CatalogServer,
    expected: Mapping[str, int | None],
    wanted: Mapping[str, int] | None = None,
) -> int:
    """Set branch `r` of all tables (to their heads) in one transaction; the HTTP status."""
    changes = [
        {
            "identifier": {"namespace": ["n"], "name": name},
            "requirements": [{"type": "assert-ref-snapshot-id", "ref": "r", "snapshot-id": at}],
            "updates": [
                {
                    "action": "set-snapshot-ref",
                    "ref-name": "r",
                    "type": "branch",
                    "snapshot-id": wanted[name] if wanted else head(server, name),
                }
            ],
        }
        for name, at in expected.items()
    ]
    request = urllib.request.Request(
        f"{server.uri}/v1/transactions/commit",
        data=json.dumps({"table-changes": changes}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def head(server: CatalogServer, name: str) -> int:
    snapshot = server.load().load_table(f"n.{name}").current_snapshot()
    assert snapshot
    return snapshot.snapshot_id


def branches(server: CatalogServer, name: str) -> dict[str, int]:
    refs = server.load().load_table(f"n.{name}").refs()
    return {key: ref.snapshot_id for key, ref in refs.items()}


def test_a_transaction_moves_all_tables_or_none(server: CatalogServer) -> None:
    for name in ("one", "two"):
        server.load().create_table(f"n.{name}", ROWS.schema).append(ROWS)
    assert commit(server, {"one": None, "two": None}) in (200, 204)
    before = {name: branches(server, name)["r"] for name in ("one", "two")}

    server.load().load_table("n.one").append(ROWS)
    assert commit(server, {"one": before["one"], "two": 1}) == 409
    assert branches(server, "one")["r"] == before["one"]
    assert commit(server, before) in (200, 204)
    assert branches(server, "one")["r"] == head(server, "one") != before["one"]


def test_a_transaction_is_whole_while_others_commit(server: CatalogServer) -> None:
    """The reference server loses the change of a table that another commit gets to meanwhile."""
    names = [f"busy{number}" for number in range(4)]
    first, second = {}, {}
    for name in names:
        table = server.load().create_table(f"n.{name}", ROWS.schema)
        table.append(ROWS)
        first[name] = head(server, name)
        table.append(ROWS)
        second[name] = head(server, name)
    assert commit(server, dict.fromkeys(names)) in (200, 204)
    done = threading.Event()

    def others(name: str) -> None:
        while not done.is_set():
            with server.load().load_table(f"n.{name}").transaction() as change:
                change.set_properties(at=str(time.monotonic_ns()))

    with ThreadPoolExecutor(len(names)) as pool:
        busy = [pool.submit(others, name) for name in names]
        try:
            for old, new in ((second, first), (first, second)) * 5:
                assert commit(server, old, new) in (200, 204)
                assert {name: branches(server, name)["r"] for name in names} == new
        finally:
            done.set()
    for other in busy:
        other.result()


def test_what_was_committed_survives_a_kill(server: CatalogServer) -> None:
    table = server.load().create_table("n.kept", ROWS.schema)
    for _ in range(5):
        table.append(ROWS)
    server.kill()
    server.start()
    assert server.load().load_table("n.kept").scan().to_arrow().num_rows == 10
    assert not list(server.directory.rglob("*.crc"))


def test_no_other_process_is_needed_to_write_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hadoop would start a `chmod` for each of a commit's files."""
    (tmp_path / "java").symlink_to(toolchain.java().executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    with catalog_server(tmp_path, free_net().address(0, 41)) as alone:
        alone.load().create_namespace("n")
        alone.load().create_table("n.one", ROWS.schema)
        [metadata] = alone.directory.rglob("*.metadata.json")
    assert stat.filemode(metadata.stat().st_mode) == "-rw-r--r--"


def test_no_address_but_loopback() -> None:
    settings = {
        "HOST": "192.0.2.1",
        "PORT": "8181",
        "DATABASE": "/nowhere",
        "WAREHOUSE": "/nowhere",
    }
    done = subprocess.run(
        [toolchain.java().executable, "-cp", f"{jars.catalog()}/*", "dev.tapehouse.catalog.Main"],
        env={**os.environ, **{f"CATALOG_{name}": value for name, value in settings.items()}},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "catalog: CATALOG_HOST=192.0.2.1: not a loopback address; this catalog asks nobody's name"
    )


def test_a_table_made_again_is_another(server: CatalogServer) -> None:
    catalog = server.load()
    catalog.create_table("n.again", ROWS.schema).append(ROWS)
    first = catalog.load_table("n.again")
    catalog.drop_table("n.again")
    with pytest.raises(NoSuchTableError):
        catalog.load_table("n.again")
    catalog.create_table("n.again", ROWS.schema)
    assert catalog.load_table("n.again").metadata.table_uuid != first.metadata.table_uuid
    catalog.rename_table("n.again", "n.renamed")
    catalog.create_table("n.again", ROWS.schema).append(ROWS)
    assert catalog.load_table("n.again").scan().to_arrow().num_rows == 2
    assert catalog.load_table("n.renamed").scan().to_arrow().num_rows == 0
