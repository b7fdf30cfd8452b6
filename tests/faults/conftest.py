"""A platform of the suite's own, which it may break."""

from collections.abc import Iterator

import pytest

from tests.faults.ledger import Ledger
from tests.faults.scenario import bare_platform, start

NET = "98"
SEED = 23


@pytest.fixture(scope="session")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    platform = bare_platform(tmp_path_factory.mktemp("faults"), NET)
    try:
        platform.up()
        yield start(platform, "faults", SEED)
    finally:
        platform.tapehouse("down", "--data")
