"""Fixtures for every test."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.controlplane import ApiServer, control_plane

settings.register_profile("tapehouse", deadline=None)  # a busy machine is no bug
settings.load_profile("tapehouse")

EXPENSIVE = ("", "apiserver", "platform")
"""Fixtures worth sharing, the cheapest first."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one expensive fixture run together, in any order among themselves.

    Otherwise a whole platform would idle beside every other test, or each worker start its own.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_shared(item) or item.location[0]))


@pytest.hookimpl(trylast=True, specname="pytest_collection_modifyitems")
def cheapest_first(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: EXPENSIVE.index(_shared(item)))


def _shared(item: pytest.Item) -> str:
    used = getattr(item, "fixturenames", ())
    return next((name for name in reversed(EXPENSIVE) if name in used), "")


@pytest.fixture(scope="session")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A control plane shared by the session's tests; use namespaces of your own in it."""
    with control_plane(tmp_path_factory.mktemp("controlplane")) as server:
        yield server
