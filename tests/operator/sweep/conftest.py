"""One catalog for all sweeps."""

from collections.abc import Iterator

import pytest

from tests.streams.platform import catalog_server
from tests.support.controlplane import ApiServer


@pytest.fixture(scope="session")
def catalog(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Iceberg REST catalog."""
    host = f"{apiserver.net.prefix}.9.20"
    with catalog_server(tmp_path_factory.mktemp("sweep-catalog"), host) as server:
        yield server.uri
