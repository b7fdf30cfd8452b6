"""A platform of the suite's own, which it may break."""

from collections.abc import Iterator

import pytest

from tests.faults.catalogproxy import CatalogProxy
from tests.faults.disk import small_disk
from tests.faults.ledger import Ledger
from tests.faults.scenario import bare_platform, start

NET = "98"
SEED = 23
DISK = "6g"


@pytest.fixture(scope="session")
def catalog_proxy() -> Iterator[CatalogProxy]:
    """Through which all of the platform reaches its catalog."""
    with CatalogProxy(f"127.{NET}.0.9", f"127.{NET}.0.10").serving() as proxy:
        yield proxy


@pytest.fixture(scope="session")
def ledger(
    tmp_path_factory: pytest.TempPathFactory, catalog_proxy: CatalogProxy
) -> Iterator[Ledger]:
    with (
        small_disk(tmp_path_factory.mktemp("faults"), DISK) as home,
        bare_platform(home, NET, {"catalogUri": catalog_proxy.uri}) as platform,
    ):
        yield start(platform, "faults", SEED)
