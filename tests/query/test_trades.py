"""The list of trades: every row once, whatever the page size and whatever arrives meanwhile."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyiceberg.types import IntegerType, LongType, NestedField, StringType
from tapehouse_query import metrics
from tapehouse_query.schema.scalars import format_time, to_micros

from tests.query.catalog import (
    BRONZE_TRADES,
    BUCKETED,
    DAILY,
    MemoryCatalog,
    append,
    trades,
)
from tests.query.conftest import Ask

Row = dict[str, Any]

PAGE = """query($first: Int, $after: String, $filter: TradeFilterInput) {
  trades(first: $first, after: $after, filter: $filter) {
    edges { node { tradeId symbol price quantity timestamp sellOrderId isAggressiveBuy } cursor }
    pageInfo { hasNextPage hasPreviousPage endCursor startCursor }
  }
}"""


def newest_first(rows: list[Row]) -> list[str]:
    ordered = sorted(rows, key=lambda r: (r["timestamp"], r["trade_id"]), reverse=True)
    return [row["trade_id"] for row in ordered]


async def walk(
    ask: Ask, size: int, between: Callable[[], None] | None = None, **chosen: Any
) -> list[str]:
    found: list[str] = []
    after = None
    while True:
        page = (await ask(PAGE, first=size, after=after, filter=chosen or None))["trades"]
        found += [edge["node"]["tradeId"] for edge in page["edges"]]
        assert page["pageInfo"]["hasPreviousPage"] == (after is not None)
        if not page["pageInfo"]["hasNextPage"]:
            return found
        assert len(page["edges"]) == size
        after = page["pageInfo"]["endCursor"]
        if between:
            between()


@pytest.mark.parametrize("size", [7, 64, 599, 600, 1000])
async def test_any_page_size_walks_all_rows_once(ask: Ask, filled: list[Row], size: int) -> None:
    assert await walk(ask, size) == newest_first(filled)


async def test_pages_of_one(ask: Ask, filled: list[Row]) -> None:
    end = {"end": format_time(to_micros(filled[40]["timestamp"]))}
    expected = [r for r in filled if r["timestamp"] <= filled[40]["timestamp"]]
    assert await walk(ask, 1, dateRange=end) == newest_first(expected)


async def test_pages_stay_put_while_rows_arrive(
    ask: Ask, filled: list[Row], catalog: MemoryCatalog
) -> None:
    table = catalog.load_table("bronze.trades")
    seeds = iter(range(100, 200))

    def arrive() -> None:
        later = filled[-1]["timestamp"] + timedelta(microseconds=1)
        append(table, trades(5, seed=next(seeds), start=later))

    assert await walk(ask, 64, between=arrive) == newest_first(filled)


def sort_key(row: Row) -> tuple[datetime, str]:
    return row["timestamp"], row["trade_id"]


@pytest.mark.parametrize("seed", range(4))
async def test_pages_are_one_list_whatever_lands_meanwhile(
    ask: Ask, catalog: MemoryCatalog, seed: int
) -> None:
    """No hole, no repetition: what was there when its page was read, and nothing else."""
    rng = random.Random(seed)
    table = catalog.create_table("bronze.trades", BRONZE_TRADES, partition_spec=DAILY)
    rows = trades(300, seed=seed, start=datetime(2024, 2, 28, 22, tzinfo=UTC), step=60)
    append(table, rows)
    expected = {sort_key(row): row["trade_id"] for row in rows}
    found: list[str] = []
    after = None
    while True:
        page = (await ask(PAGE, first=rng.randint(1, 60), after=after))["trades"]
        found += [edge["node"]["tradeId"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
        reached = next(key for key, trade_id in expected.items() if trade_id == found[-1])
        start = rng.choice(rows)["timestamp"] - timedelta(seconds=rng.randint(0, 90))
        begin = 1000 * (len(found) + 1)
        landed = trades(rng.randint(0, 8), seed=rng.randint(10, 99), start=start, begin=begin)
        landed += [{**row, "kafka_offset": 10**6} for row in rng.sample(rows, 3)]
        append(table, landed)
        expected |= {sort_key(row): row["trade_id"] for row in landed if sort_key(row) < reached}
    assert found == [expected[key] for key in sorted(expected, reverse=True)]


async def test_a_late_row_below_the_cursor_is_seen_and_moves_nothing(
    ask: Ask, filled: list[Row], catalog: MemoryCatalog
) -> None:
    table = catalog.load_table("bronze.trades")
    late = trades(1, seed=7, start=filled[0]["timestamp"] - timedelta(hours=30))
    arrivals = iter([late])

    def arrive() -> None:
        for rows in arrivals:
            append(table, rows)

    assert await walk(ask, 200, between=arrive) == newest_first([*filled, *late])


FILTERS: list[tuple[dict[str, Any], Callable[[Row], bool]]] = [
    ({"symbol": "AAPL"}, lambda r: r["symbol"] == "AAPL"),
    ({"symbol": "NONE"}, lambda r: False),
    ({"symbols": ["AAPL", "MSFT"]}, lambda r: r["symbol"] in ("AAPL", "MSFT")),
    ({"symbol": "GOOG", "symbols": ["AAPL"]}, lambda r: False),
    ({"isAggressiveBuy": True}, lambda r: r["is_aggressive_buy"]),
    ({"isAggressiveBuy": False}, lambda r: not r["is_aggressive_buy"]),
    ({"minPrice": 100.5}, lambda r: r["price"] >= 100.5),
    ({"maxPrice": 95, "minPrice": 92.5}, lambda r: 92.5 <= r["price"] <= 95),
    ({"minQuantity": 100}, lambda r: r["quantity"] >= 100),
    (
        {"maxQuantity": 10, "symbol": "AAPL"},
        lambda r: r["quantity"] <= 10 and r["symbol"] == "AAPL",
    ),
]


@pytest.mark.parametrize(
    ("chosen", "keeps"), FILTERS, ids=[str(chosen)[:40] for chosen, _ in FILTERS]
)
async def test_filters(
    ask: Ask, filled: list[Row], chosen: dict[str, Any], keeps: Callable[[Row], bool]
) -> None:
    assert await walk(ask, 50, **chosen) == newest_first([r for r in filled if keeps(r)])
    total = "query($f: TradeFilterInput) { trades(filter: $f, first: 1) { totalCount } }"
    counted = (await ask(total, f=chosen))["trades"]["totalCount"]
    assert counted == sum(map(bool, map(keeps, filled)))


async def test_a_date_means_its_whole_day(ask: Ask, catalog: MemoryCatalog) -> None:
    table = catalog.create_table("bronze.trades", BRONZE_TRADES, partition_spec=DAILY)
    rows = trades(400, start=datetime(2024, 2, 28, 23, 58, tzinfo=UTC))
    append(table, rows)
    day = datetime(2024, 2, 29, tzinfo=UTC)
    inside = [r for r in rows if day <= r["timestamp"] < day + timedelta(days=1)]
    assert 0 < len(inside) < 400
    chosen = {"dateRange": {"start": "2024-02-29", "end": "2024-02-29"}}
    assert await walk(ask, 100, **chosen) == newest_first(inside)


async def test_range_ends_are_included(ask: Ask, filled: list[Row]) -> None:
    low, high = filled[200]["timestamp"], filled[300]["timestamp"]
    inside = [r for r in filled if low <= r["timestamp"] <= high]
    chosen = {
        "dateRange": {"start": low.isoformat(), "end": high.isoformat().replace("+00:00", "Z")}
    }
    assert await walk(ask, 1000, **chosen) == newest_first(inside)


async def test_what_was_received_twice_is_shown_once(ask: Ask, catalog: MemoryCatalog) -> None:
    table = catalog.create_table("bronze.trades", BRONZE_TRADES)
    rows = trades(60)
    for copy in range(40):
        append(table, [{**row, "kafka_offset": 1000 * copy + i} for i, row in enumerate(rows)])
    assert await walk(ask, 7) == newest_first(rows)
    assert (await ask("{ trades { totalCount } }"))["trades"]["totalCount"] == 60
    volume = '{ minuteCandles(symbol: "AAPL") { edges { node { totalVolume } } } }'
    edges = (await ask(volume))["minuteCandles"]["edges"]
    assert sum(edge["node"]["totalVolume"] for edge in edges) == sum(
        row["quantity"] for row in rows if row["symbol"] == "AAPL"
    )


async def test_by_id(ask: Ask, filled: list[Row]) -> None:
    query = "query($id: String!) { tradeById(id: $id) { tradeId price timestamp quantity } }"
    for row in (filled[0], filled[120], filled[-1]):
        found = (await ask(query, id=row["trade_id"]))["tradeById"]
        assert found == {
            "tradeId": row["trade_id"],
            "price": row["price"],
            "timestamp": row["timestamp"].isoformat(timespec="microseconds")[:-6] + "Z",
            "quantity": row["quantity"],
        }
    assert (await ask(query, id="no such trade"))["tradeById"] is None


def opened() -> float:
    return metrics.FILES._value.get()


async def test_the_newest_page_opens_few_files(ask: Ask, catalog: MemoryCatalog) -> None:
    table = catalog.create_table("bronze.trades", BRONZE_TRADES)
    rows = trades(900, step=10)
    for at in range(0, 900, 10):
        append(table, rows[at : at + 10])
    before = opened()
    assert await walk(ask, 10, minPrice=0, symbol="AAPL")
    whole = opened() - before
    before = opened()
    page = await ask(PAGE, first=10, filter={})
    assert [e["node"]["tradeId"] for e in page["trades"]["edges"]] == newest_first(rows)[:10]
    assert opened() - before < 12 < whole


async def test_buckets_of_other_symbols_are_not_opened(ask: Ask, catalog: MemoryCatalog) -> None:
    table = catalog.create_table("bronze.trades", BRONZE_TRADES, partition_spec=BUCKETED)
    rows = trades(300)
    append(table, rows)
    before = opened()
    assert await walk(ask, 1000, symbol="MSFT") == newest_first(
        [row for row in rows if row["symbol"] == "MSFT"]
    )
    assert opened() - before == 1


async def test_renamed_widened_and_added_columns(ask: Ask, catalog: MemoryCatalog) -> None:
    """Old files keep old names and types: columns are found by field id."""
    fields = [f for f in BRONZE_TRADES.fields if f.name not in ("quantity", "is_aggressive_buy")]
    old = type(BRONZE_TRADES)(*fields, NestedField(6, "shares", IntegerType()))
    table = catalog.create_table("bronze.trades", old)
    first = [{**r, "shares": min(r["quantity"], 9)} for r in trades(50)]
    append(table, first)
    with table.update_schema() as change:
        change.rename_column("shares", "quantity")
        change.update_column("shares", field_type=LongType())
        change.add_column("sector", StringType())
    second = [
        {**r, "quantity": 5_000_000_000, "sector": "Technology"}
        for r in trades(50, seed=2, start=first[-1]["timestamp"] + timedelta(seconds=1), begin=50)
    ]
    append(table, second)
    query = "{ trades(first: 100) { edges { node { tradeId quantity sector isAggressiveBuy } } } }"
    nodes = [edge["node"] for edge in (await ask(query))["trades"]["edges"]]
    expected = {r["trade_id"]: (r["shares"], None) for r in first}
    expected |= {r["trade_id"]: (5_000_000_000, "Technology") for r in second}
    assert {n["tradeId"]: (n["quantity"], n["sector"]) for n in nodes} == expected
    assert all(node["isAggressiveBuy"] is None for node in nodes)


async def test_silver_is_read_once_it_has_been_published(
    ask: Ask, filled: list[Row], catalog: MemoryCatalog
) -> None:
    silver = catalog.create_table("silver.trades", BRONZE_TRADES)
    assert len(await walk(ask, 1000)) == 600
    append(silver, filled[:30])
    assert await walk(ask, 1000) == newest_first(filled[:30])


async def test_no_table_and_no_rows(ask: Ask, catalog: MemoryCatalog) -> None:
    result = await ask.raw("{ trades { edges { cursor } } }")
    assert result.errors[0].extensions["code"] == "UNAVAILABLE"
    assert "no table silver.trades or bronze.trades yet" in result.errors[0].message
    catalog.create_table("bronze.trades", BRONZE_TRADES)
    page = await ask(
        "{ trades { edges { cursor } pageInfo { hasNextPage endCursor } totalCount } }"
    )
    assert page["trades"] == {
        "edges": [],
        "pageInfo": {"hasNextPage": False, "endCursor": None},
        "totalCount": 0,
    }


async def test_counted_only_when_asked(ask: Ask, filled: list[Row]) -> None:
    def counts() -> float:
        return metrics.READS.labels("trades count")._sum.get()

    before = counts()
    await ask(PAGE, first=10)
    assert counts() == before
    await ask("{ trades { totalCount } }")
    assert counts() > before
