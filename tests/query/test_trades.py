"""The list of trades: every row once, whatever the page size and whatever arrives meanwhile."""

from typing import Any

import pytest

from tests.query.catalog import MemoryCatalog, append, trades
from tests.query.conftest import Ask

PAGE = """query($first: Int, $after: String, $filter: TradeFilterInput) {
  trades(first: $first, after: $after, filter: $filter) {
    edges { node { tradeId symbol price quantity timestamp sellOrderId isAggressiveBuy } cursor }
    pageInfo { hasNextPage hasPreviousPage endCursor startCursor }
  }
}"""


def newest_first(rows: list[dict[str, Any]]) -> list[str]:
    ordered = sorted(rows, key=lambda r: (r["timestamp"], r["trade_id"]), reverse=True)
    return [row["trade_id"] for row in ordered]


async def walk(ask: Ask, size: int, between: Any = None, **chosen: Any) -> list[str]:
    found: list[str] = []
    after = None
    while True:
        result = await ask(PAGE, first=size, after=after, filter=chosen or None)
        assert not result.errors, result.errors
        page = result.data["trades"]
        found += [edge["node"]["tradeId"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]
        if between:
            between()


@pytest.mark.parametrize("size", [1, 7, 64, 599, 600, 1000])
async def test_any_page_size_walks_all_rows_once(
    ask: Ask, filled: list[dict[str, Any]], size: int
) -> None:
    assert await walk(ask, size) == newest_first(filled)


async def test_pages_stay_put_while_rows_arrive(
    ask: Ask, filled: list[dict[str, Any]], catalog: MemoryCatalog
) -> None:
    table = catalog.load_table("bronze.trades")
    seeds = iter(range(100, 200))

    def arrive() -> None:
        append(table, trades(5, seed=next(seeds), start=filled[-1]["timestamp"]))

    assert await walk(ask, 64, between=arrive) == newest_first(filled)
