"""A real REST catalog for all tests here, started when the first asks for it."""

import os
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tapehouse_lakehouse.catalog import Lake, UnavailableError, connect
from tapehouse_laptop import jars

HOST = f"127.86.{os.getpid() // 250 % 250 + 1}.{os.getpid() % 250 + 1}"
PORT = 8181
START_SECONDS = 60


class CatalogServer:
    """One JVM; can be stopped and started on the same data."""

    def __init__(self, home: Path) -> None:
        self.uri = f"http://{HOST}:{PORT}"
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = {
            "CATALOG_HOST": HOST,
            "CATALOG_PORT": str(PORT),
            "CATALOG_DATABASE": str(self._home / "catalog.db"),
            "CATALOG_WAREHOUSE": str(self._home / "warehouse"),
        }
        options = ["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        with (self._home / "catalog.log").open("ab") as out:
            self._process = subprocess.Popen(
                ["java", *options, "-cp", f"{jars.catalog()}/*", "dev.tapehouse.catalog.Main"],
                env={**os.environ, **env},
                stdout=out,
                stderr=out,
            )
        self._await_port()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def _await_port(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((HOST, PORT)) == 0:
                    return
            time.sleep(0.1)
        log = (self._home / "catalog.log").read_text()[-2000:]
        raise TimeoutError(f"no catalog on {self.uri} after {START_SECONDS} s: {log}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CatalogServer]:
    running = CatalogServer(tmp_path_factory.mktemp("catalog"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def lake(server: CatalogServer) -> Iterator[Lake]:
    """A catalog in which the test has the namespaces it makes to itself, by prefix."""
    try:
        catalog = connect(server.uri)
    except UnavailableError:
        server.start()
        catalog = connect(server.uri)
    yield Lake(catalog, f"t{uuid.uuid4().hex[:8]}_")
    catalog.close()
