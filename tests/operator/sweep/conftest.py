"""One catalog for all sweeps, and long ones only when asked for."""

from collections.abc import Iterator

import pytest

from tests.streams.platform import catalog_server
from tests.support.controlplane import ApiServer


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`make test` takes the samples; the whole sweeps are for `make e2e`."""
    if "e2e" in config.option.markexpr or any("::" in argument for argument in config.args):
        return
    long = [item for item in items if item.get_closest_marker("e2e")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def catalog(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Iceberg REST catalog."""
    host = f"{apiserver.net.prefix}.9.20"
    with catalog_server(tmp_path_factory.mktemp("sweep-catalog"), host) as server:
        yield server.uri
