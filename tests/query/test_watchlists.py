"""Watchlists: kept over restarts, each user's own."""

from pathlib import Path
from typing import Any

import pytest
from tapehouse_query.errors import BadInputError, UnavailableError
from tapehouse_query.watchlists import MAX_LISTS, open_watchlists

from tests.query.conftest import Ask


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


def test_kept_over_a_restart_and_apart(tmp_path: Path) -> None:
    place = str(tmp_path / "deep" / "lists.sqlite")
    made = open_watchlists(place).create("ann", "A", ["X"])
    again = open_watchlists(place)
    assert again.of("ann") == [made]
    assert again.of("bob") == []
    with pytest.raises(BadInputError, match="no list of yours"):
        again.delete("bob", made.id)
    with pytest.raises(BadInputError, match="is taken"):
        again.create("ann", "A")
    assert again.create("bob", "A").symbols == ()


def test_bounded(tmp_path: Path) -> None:
    lists = open_watchlists(str(tmp_path / "lists.sqlite"))
    for number in range(MAX_LISTS):
        lists.create("ann", str(number))
    with pytest.raises(BadInputError, match="delete one first"):
        lists.create("ann", "one more")
    with pytest.raises(BadInputError, match="at most 500"):
        lists.add("ann", lists.of("ann")[0].id, [f"S{n}" for n in range(501)])


def test_without_a_place() -> None:
    with pytest.raises(UnavailableError, match="TAPEHOUSE_DATA"):
        open_watchlists("").of("ann")
