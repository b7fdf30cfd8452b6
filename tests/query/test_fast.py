"""The short way for plain lists answers exactly as the long way does."""

from typing import Any

import orjson
import pytest
from tapehouse_query.schema.connection import Rows
from tapehouse_query.schema.context import Context

from tests.query import gold
from tests.query.catalog import MemoryCatalog, append
from tests.query.conftest import Ask

ALL = "tradeId symbol price quantity buyOrderId sellOrderId buyerAgentId isAggressiveBuy timestamp"
QUERIES = [
    f"{{ trades(first: 40) {{ edges {{ node {{ {ALL} }} cursor }} totalCount }} }}",
    "{ a: trades(first: 3) { e: edges { n: node { x: price y: price } c: cursor } } "
    "b: trades(first: 2) { edges { __typename node { __typename symbol } } __typename } }",
    "{ trades(first: 9) { ...page } } fragment page on TradeConnection { edges { ...edge } "
    "edges { cursor } pageInfo { endCursor } } fragment edge on TradeEdge { node { price } }",
    "query($no: Boolean = false) { trades { edges { node { price @include(if: $no) "
    "symbol @skip(if: $no) } } } }",
    '{ minuteCandles(symbol: "AAPL") { edges { node { timestamp vwap totalVolume } cursor } } }',
    '{ minuteCandles(symbol: "AAPL") { edges { node { timestamp priceChangePct } } } }',
    "{ trades { edges { node { symbol companyName sector } } } }",
    "{ dailySummary { edges { node { tradingDate totalValue totalVolume tradeCount } } } }",
    "{ symbols { edges { node { symbol sector isCurrent } } } }",
]


def answer(result: Any) -> Any:
    assert not result.errors, result.errors
    return orjson.loads(orjson.dumps(result.data))


@pytest.mark.parametrize("query", QUERIES)
async def test_same_as_the_long_way(ask: Ask, filled: Any, query: str) -> None:
    async def answered(writes_json: bool) -> Any:
        context = Context(ask.services, writes_json)
        return answer(await ask.schema.execute(query, context_value=context))

    long, short, again = [await answered(how) for how in (False, True, True)]
    assert short == long == again
    assert list(map(list, short.values())) == list(map(list, long.values()))


async def test_plain_lists_make_no_nodes(
    ask: Ask, filled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    iterate = Rows.__iter__
    monkeypatch.setattr(Rows, "__iter__", lambda rows: made.append(rows) or iterate(rows))

    async def run(query: str) -> None:
        answer(await ask.schema.execute(query, context_value=Context(ask.services, True)))

    await run(QUERIES[0])
    assert not made
    await run("{ trades { edges { node { symbolDetails { sector } } } } }")
    assert made


async def test_a_null_that_must_not_be_is_still_an_error(ask: Ask, catalog: MemoryCatalog) -> None:
    """The short way leaves it to the long one, which reports the field."""
    row = {"symbol": "A", "trading_date": None, "open_price": 1.0, "close_price": 1.0}
    row |= {"total_volume": 1, "trade_count": 1}
    table = catalog.create_table("gold.daily_summary", gold.DAILY_SUMMARY)
    append(table, [{**row, "trading_date": gold.datetime(2024, 1, 1).date()}])
    result = await ask.raw("{ dailySummary { edges { node { symbol highPrice } } } }")
    assert result.errors[0].path == ["dailySummary", "edges", 0, "node", "highPrice"]
