"""A broker for the session, a feed of its own for each test."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.feed.broker import Broker
from tests.feed.feeds import Feed, document, simulated

# How long an example takes says more about the machine than about the code.
settings.register_profile("feed", deadline=None)
settings.load_profile("feed")

_numbers = itertools.count(1)
_NET = f"127.85.{os.getpid() % 250}"


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that all tests share; a test that stops it starts it again."""
    running = Broker(tmp_path_factory.mktemp("kafka"), f"{_NET}.250")
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def feed(broker: Broker, tmp_path: Path) -> Iterator[Callable[..., Feed]]:
    """Makes feeds with topics of their own; their processes end with the test."""
    made: list[Feed] = []

    def make(source: dict[str, Any] | None = None, **more: Any) -> Feed:
        number = next(_numbers)
        home = tmp_path / f"feed-{number}"
        home.mkdir()
        config = document(f"f{number}", broker.bootstrap, source or simulated(), **more)
        one = Feed(broker, home, f"{_NET}.{number % 249 + 1}", config)
        one.create_topics()
        made.append(one)
        return one

    yield make
    for one in made:
        one.stop_all()
