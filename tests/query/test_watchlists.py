"""Watchlists: kept over restarts, each user's own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tapehouse_query.errors import BadInputError, UnavailableError
from tapehouse_query.watchlists import MAX_LISTS, open_watchlists

from tests.query.conftest import Ask
from tests.query.postgres import postgres


async def test_a_life(ask: Ask) -> None:
    create = """mutation { createWatchlist(name: "Big", symbols: ["MSFT", "AAPL", "MSFT"]) {
      id name symbols createdAt } }"""
    made = (await ask(create))["createWatchlist"]
    assert made["symbols"] == ["AAPL", "MSFT"]
    query = """mutation($id: ID!) {
      addToWatchlist(watchlistId: $id, symbol: "TSLA") { symbols }
      removeFromWatchlist(watchlistId: $id, symbol: "MSFT") { symbols } }"""
    changed = await ask(query, id=made["id"])
    assert changed["addToWatchlist"]["symbols"] == ["AAPL", "MSFT", "TSLA"]
    assert changed["removeFromWatchlist"]["symbols"] == ["AAPL", "TSLA"]
    mine = (await ask("{ myWatchlists { id name symbols createdAt } }"))["myWatchlists"]
    assert mine == [{**made, "symbols": ["AAPL", "TSLA"]}]
    delete = "mutation($id: ID!) { deleteWatchlist(watchlistId: $id) }"
    assert (await ask(delete, id=made["id"]))["deleteWatchlist"] is True
    assert (await ask("{ myWatchlists { id } }"))["myWatchlists"] == []
    again = await ask.raw(delete, id=made["id"])
    assert "watchlistId" in again.errors[0].message


@pytest.mark.parametrize(
    ("mutation", "message"),
    [
        ('createWatchlist(name: " ") { id }', "name: ' ': must have from 1 to 100 characters"),
        ('createWatchlist(name: "x", symbols: [""]) { id }', "symbol: ''"),
        ('addToWatchlist(watchlistId: "x", symbol: "A") { id }', "no list of yours"),
        ('addToWatchlist(watchlistId: "x") { id }', "symbol: None"),
    ],
)
async def test_refused(ask: Ask, mutation: str, message: str) -> None:
    result: Any = await ask.raw(f"mutation {{ {mutation} }}")
    assert message in result.errors[0].message


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of a PostgreSQL of the module's own."""
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where lists can be stored; it is empty."""
    if request.param == "sqlite":
        yield str(tmp_path / "deep" / "lists.sqlite")
        return
    url = request.getfixturevalue("database")
    yield url
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS watchlist_symbol, watchlist")


def test_kept_over_a_restart_and_apart(location: str) -> None:
    made = open_watchlists(location).create("ann", "A", ["X"])
    again = open_watchlists(location)
    assert again.of("ann") == [made]
    assert again.of("bob") == []
    with pytest.raises(BadInputError, match="no list of yours"):
        again.delete("bob", made.id)
    with pytest.raises(BadInputError, match="is taken"):
        again.create("ann", "A")
    assert again.create("bob", "A").symbols == ()
    assert again.add("ann", made.id, ["Y", "X"]).symbols == ("X", "Y")
    assert again.remove("ann", made.id, ["X", "Z"]).symbols == ("Y",)
    again.delete("ann", made.id)
    assert again.of("ann") == []


def test_servers_that_start_and_write_at_once(location: str) -> None:
    """One of them gets the name, and the tables are made once."""

    def create(number: int) -> bool:
        try:
            open_watchlists(location).create("ann", "A" if number % 2 else str(number), ["X"])
        except BadInputError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(create, range(8)))
    assert sum(done[1::2]) == 1
    assert all(done[::2])
    assert [one.name for one in open_watchlists(location).of("ann")] == ["0", "2", "4", "6", "A"]


def test_bounded(location: str) -> None:
    lists = open_watchlists(location)
    for number in range(MAX_LISTS):
        lists.create("ann", str(number))
    with pytest.raises(BadInputError, match="delete one first"):
        lists.create("ann", "one more")
    with pytest.raises(BadInputError, match="at most 500"):
        lists.add("ann", lists.of("ann")[0].id, [f"S{n}" for n in range(501)])


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        open_watchlists(f"postgresql://nobody@/none?host={tmp_path}").of("ann")


def test_without_a_location() -> None:
    with pytest.raises(UnavailableError, match="TAPEHOUSE_DATA"):
        open_watchlists("").of("ann")
