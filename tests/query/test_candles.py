"""Candles, against a recomputation in plain Python."""

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.query.catalog import BRONZE_TRADES, DAILY, MemoryCatalog, append, trades
from tests.query.conftest import Ask

CANDLES = """query($symbol: String!, $interval: String!, $first: Int, $after: String,
                   $range: DateRangeInput) {
  minuteCandles(symbol: $symbol, interval: $interval, first: $first, after: $after,
                dateRange: $range) {
    edges { node { symbol timestamp openPrice highPrice lowPrice closePrice totalVolume tradeCount
                   vwap priceChange priceChangePct } }
    pageInfo { hasNextPage endCursor }
    totalCount
  }
}"""
LENGTHS = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
}
"""Literals, not the code's own table: a wrong length there must fail here."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def bucket(at: datetime, interval: str) -> datetime:
    if interval == "1w":
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        return day - timedelta(days=day.weekday())
    return at - (at - EPOCH) % LENGTHS[interval]


def recomputed(rows: list[dict[str, Any]], symbol: str, interval: str) -> list[dict[str, Any]]:
    groups: dict[datetime, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["symbol"] == symbol:
            groups[bucket(row["timestamp"], interval)].append(row)
    return [candle(symbol, start, groups[start]) for start in sorted(groups)]


def candle(symbol: str, start: datetime, rows: list[dict[str, Any]]) -> dict[str, Any]:
    rows = sorted(rows, key=lambda r: (r["timestamp"], r["kafka_offset"]))
    prices = [row["price"] for row in rows]
    volume = sum(row["quantity"] for row in rows)
    return {
        "symbol": symbol,
        "timestamp": start.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "openPrice": prices[0],
        "highPrice": max(prices),
        "lowPrice": min(prices),
        "closePrice": prices[-1],
        "totalVolume": volume,
        "tradeCount": len(rows),
        "vwap": sum(row["price"] * row["quantity"] for row in rows) / volume,
        "priceChange": prices[-1] - prices[0],
        "priceChangePct": 100 * (prices[-1] - prices[0]) / prices[0],
    }


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        math.isclose(value, other[name], rel_tol=1e-9, abs_tol=1e-12)
        if isinstance(value, float)
        else value == other[name]
        for name, value in one.items()
    )


async def walk(ask: Ask, size: int, **arguments: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = None
    while True:
        answer = await ask(CANDLES, first=size, after=after, **arguments)
        page = answer["minuteCandles"]
        found += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            assert page["totalCount"] == len(found)
            return found
        after = page["pageInfo"]["endCursor"]


@pytest.fixture
def weeks(catalog: MemoryCatalog) -> list[dict[str, Any]]:
    """Three weeks of trades over the end of a year, in files that overlap in time."""
    table = catalog.create_table("bronze.trades", BRONZE_TRADES, partition_spec=DAILY)
    rows = trades(900, start=datetime(2023, 12, 20, 22, tzinfo=UTC), step=2400)
    for at in range(3):
        append(table, rows[at::3])
    return rows


@pytest.mark.parametrize("interval", [*LENGTHS, "1w"])
async def test_every_interval(ask: Ask, weeks: list[dict[str, Any]], interval: str) -> None:
    expected = recomputed(weeks, "AAPL", interval)
    found = await walk(ask, 120, symbol="AAPL", interval=interval)
    assert len(found) == len(expected)
    assert all(map(same, found, expected))
    assert max(candle["totalVolume"] for candle in found) >= 2**30


@pytest.mark.parametrize("size", [1, 4, 40])
async def test_any_page_size(ask: Ask, filled: list[dict[str, Any]], size: int) -> None:
    expected = recomputed(filled, "MSFT", "1m")
    found = await walk(ask, size, symbol="MSFT", interval="1m")
    assert all(map(same, found, expected))
    assert len(found) == len(expected)


async def test_volumes_beyond_32_bits_are_numbers(ask: Ask, weeks: list[dict[str, Any]]) -> None:
    found = await walk(ask, 1000, symbol="AAPL", interval="1w")
    assert max(candle["totalVolume"] for candle in found) > 2**31


async def test_a_range_takes_whole_candles(ask: Ask, filled: list[dict[str, Any]]) -> None:
    expected = recomputed(filled, "AAPL", "1m")[1:4]
    chosen = {"start": expected[0]["timestamp"], "end": expected[-1]["timestamp"]}
    found = await walk(ask, 2, symbol="AAPL", interval="1m", range=chosen)
    assert len(found) == 3
    assert all(map(same, found, expected))


async def test_a_cursor_of_other_arguments_is_refused(
    ask: Ask, filled: list[dict[str, Any]]
) -> None:
    page = (await ask(CANDLES, symbol="AAPL", interval="1m", first=1))["minuteCandles"]
    after = page["pageInfo"]["endCursor"]
    result = await ask.raw(CANDLES, symbol="MSFT", interval="1m", after=after)
    assert "belongs to another list or other arguments" in result.errors[0].message


async def test_unknown_intervals_are_refused(ask: Ask) -> None:
    result = await ask.raw(CANDLES, symbol="AAPL", interval="2m")
    assert result.errors[0].message == (
        "interval: '2m': must be one of 1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w"
    )
