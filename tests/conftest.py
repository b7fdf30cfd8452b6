"""Fixtures for every test."""

from collections.abc import Iterator

import pytest

from tests.support.controlplane import ApiServer, control_plane


@pytest.fixture(scope="session")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A control plane shared by the session's tests; use namespaces of your own in it."""
    with control_plane(tmp_path_factory.mktemp("controlplane")) as server:
        yield server
