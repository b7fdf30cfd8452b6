"""One platform for all local tests: each test makes resources of its own on it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.platform import Platform, running

NET = "97"
TRADES = 3_000
SEED = 11
SYMBOLS = ("AAPL", "GOOG", "MSFT")


def finite(body: dict[str, Any]) -> None:
    """A feed that ends, so that there is a ledger to hold it to."""
    if body["kind"] == "TradeFeed":
        body["spec"]["source"]["simulator"] |= {
            "seed": SEED,
            "tradesPerSecond": 200,
            "limit": TRADES,
        }


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home: Path = tmp_path_factory.mktemp("platform")
    with running(home, NET, finite) as platform:
        yield platform
