"""Fixtures for every test."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support.controlplane import ApiServer, control_plane

# A busy machine is no bug, and a commit passes twice; `--hypothesis-profile default` explores.
settings.register_profile("tapehouse", deadline=None, derandomize=True)
settings.load_profile("tapehouse")

EXPENSIVE = ("apiserver", "platform")
"""Fixtures worth sharing, the cheapest first."""
LOCAL = "tests/local/"


LIMITS = {"e2e": 7200, "local": 1200, "api": 900}
"""Seconds for one test by its marker, fixtures included: the first may start a whole platform."""
LIMIT = 180
"""Seconds for a test without such a marker."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test has a time limit, and tests of one expensive fixture run together.

    Otherwise a whole platform would idle beside every other test.
    """
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(time_limit(item)))
    items.sort(key=_expense)


def time_limit(item: pytest.Item) -> int:
    """The largest limit among the test's markers and shared fixtures."""
    limits = [limit for name, limit in LIMITS.items() if item.get_closest_marker(name)]
    if _expense(item):
        limits.append(LIMITS["local"])
    return max(limits, default=LIMIT)


def _expense(item: pytest.Item) -> int:
    used = getattr(item, "fixturenames", ())
    return max((EXPENSIVE.index(name) + 1 for name in EXPENSIVE if name in used), default=0)


class ByFile(LoadScopeScheduling):
    """A worker takes whole files, and one of them all tests of the platform."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return LOCAL if file.startswith(LOCAL) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)


@pytest.fixture(scope="session")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A control plane shared by the session's tests; use namespaces of your own in it."""
    with control_plane(tmp_path_factory.mktemp("controlplane")) as server:
        yield server
