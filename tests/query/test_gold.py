"""Answers from silver and gold equal the same answers from the trades themselves."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tapehouse_query import metrics
from tapehouse_query.reads.candles import INTERVALS

from tests.query import gold
from tests.query.catalog import BRONZE_TRADES, DAY, MemoryCatalog, append, trades
from tests.query.conftest import Ask
from tests.query.test_candles import bucket, recomputed, same, walk

Row = dict[str, Any]


@pytest.fixture
def rows() -> list[Row]:
    """Nine days of trades over the end of a year."""
    return trades(1200, start=datetime(2023, 12, 27, 21, tzinfo=UTC), step=700)


@pytest.mark.parametrize("interval", ["1m", "15m", "1d", "1w"])
async def test_candles_from_parts(
    ask: Ask, catalog: MemoryCatalog, rows: list[Row], interval: str
) -> None:
    table = catalog.create_table("silver.candle_parts", gold.CANDLE_PARTS)
    parts = gold.parts(rows)
    for at in range(3):
        append(table, parts[at::3])
    expected = recomputed(rows, "GOOG", interval)
    found = await walk(ask, 200, symbol="GOOG", interval=interval)
    assert len(found) == len(expected)
    assert all(map(same, found, expected))


@pytest.mark.parametrize("interval", list(INTERVALS))
async def test_candles_from_gold_with_the_open_minutes_folded_in(
    ask: Ask, catalog: MemoryCatalog, rows: list[Row], interval: str
) -> None:
    """Gold stops in the middle of a minute; the parts alone know what came after."""
    folded = [row for row in rows if row["timestamp"] < rows[900]["timestamp"]]
    table = catalog.create_table("gold.candles", gold.CANDLES)
    for one in INTERVALS:
        append(table, gold.candles(folded, one, lambda at, one=one: bucket(at, one)))
    newer = [row for row in rows if row["timestamp"] > rows[800]["timestamp"]]
    append(
        catalog.create_table("silver.candle_parts", gold.CANDLE_PARTS),
        gold.parts([row for row in rows if row["timestamp"] >= gold.day(newer[0]["timestamp"])]),
    )
    expected = recomputed(rows, "AAPL", interval)
    found = await walk(ask, 300, symbol="AAPL", interval=interval)
    assert len(found) == len(expected)
    assert all(map(same, found, expected))


DAYS = """query($symbol: String, $first: Int, $after: String, $range: DateRangeInput) {
  dailySummary(symbol: $symbol, first: $first, after: $after, dateRange: $range) {
    edges { node { symbol tradingDate openPrice closePrice highPrice lowPrice vwap totalVolume
                   tradeCount totalValue companyName sector priceRange priceChange
                   priceChangePct } }
    pageInfo { hasNextPage endCursor } totalCount } }"""


async def days(ask: Ask, size: int, **arguments: Any) -> list[Row]:
    found: list[Row] = []
    after = None
    while True:
        page = (await ask(DAYS, first=size, after=after, **arguments))["dailySummary"]
        found += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            assert page["totalCount"] == len(found)
            return found
        after = page["pageInfo"]["endCursor"]


def expected_days(rows: list[Row], company: bool) -> list[Row]:
    found = [
        {
            "symbol": row["symbol"],
            "tradingDate": row["trading_date"].isoformat(),
            "openPrice": row["open_price"],
            "closePrice": row["close_price"],
            "highPrice": row["high_price"],
            "lowPrice": row["low_price"],
            "vwap": row["vwap"],
            "totalVolume": row["total_volume"],
            "tradeCount": row["trade_count"],
            "totalValue": row["total_value"],
            "companyName": row["company_name"] if company else None,
            "sector": row["sector"] if company else None,
            "priceRange": row["high_price"] - row["low_price"],
            "priceChange": row["close_price"] - row["open_price"],
            "priceChangePct": 100 * (row["close_price"] - row["open_price"]) / row["open_price"],
        }
        for row in gold.daily(rows)
    ]
    found.sort(key=lambda row: row["symbol"])
    return sorted(found, key=lambda row: row["tradingDate"], reverse=True)


@pytest.mark.parametrize("stored", [True, False], ids=["gold", "computed"])
@pytest.mark.parametrize("size", [1, 4, 100])
async def test_daily_summaries(
    ask: Ask, catalog: MemoryCatalog, rows: list[Row], stored: bool, size: int
) -> None:
    append(catalog.create_table("bronze.trades", BRONZE_TRADES), rows)
    if stored:
        table = catalog.create_table("gold.daily_summary", gold.DAILY_SUMMARY)
        append(table, gold.daily(rows))
    expected = expected_days(rows, company=stored)
    found = await days(ask, size)
    assert len(found) == len(expected)
    assert all(map(same, found, expected))
    one = [row for row in expected if row["symbol"] == "MSFT" and row["tradingDate"] < "2024-01-01"]
    found = await days(ask, size, symbol="MSFT", range={"end": "2023-12-31"})
    assert len(found) == len(one) > 2
    assert all(map(same, found, one))


MARKET = """query($day: Date) { marketOverview(targetDate: $day) {
  tradingDate totalTrades totalVolume totalValue uniqueSymbols advancing declining unchanged
  topGainers { symbol priceChangePct } topLosers { symbol } mostActive { symbol totalVolume } } }"""


async def test_market_overview(ask: Ask, catalog: MemoryCatalog, rows: list[Row]) -> None:
    append(catalog.create_table("gold.daily_summary", gold.DAILY_SUMMARY), gold.daily(rows))
    newest = max(row["timestamp"] for row in rows).date()
    for asked, day in ((None, newest), ("2023-12-30", datetime(2023, 12, 30).date())):  # noqa: DTZ001
        of_day = [row for row in gold.daily(rows) if row["trading_date"] == day]
        changes = {row["symbol"]: row["close_price"] - row["open_price"] for row in of_day}
        found = (await ask(MARKET, day=asked))["marketOverview"]
        assert found["tradingDate"] == day.isoformat()
        assert found["totalTrades"] == sum(row["trade_count"] for row in of_day)
        assert found["totalVolume"] == sum(row["total_volume"] for row in of_day)
        assert found["totalValue"] == pytest.approx(sum(row["total_value"] for row in of_day))
        assert found["uniqueSymbols"] == len(of_day)
        assert found["advancing"] == sum(change > 0 for change in changes.values())
        assert found["declining"] == sum(change < 0 for change in changes.values())
        assert all(changes[one["symbol"]] > 0 for one in found["topGainers"])
        assert all(changes[one["symbol"]] < 0 for one in found["topLosers"])
        volumes = [one["totalVolume"] for one in found["mostActive"]]
        assert volumes == sorted((row["total_volume"] for row in of_day), reverse=True)
    assert (await ask(MARKET, day="1999-01-01"))["marketOverview"] is None


INSTRUMENTS = [
    ("AAPL", "Apple Computer", "Technology", "Large", False),
    ("AAPL", "Apple Inc.", "Technology", "Mega", True),
    ("GOOG", "Alphabet Inc.", "Communication Services", "Mega", True),
    ("MSFT", "Microsoft Corporation", "Technology", "Mega", True),
]


def add_dimension(catalog: MemoryCatalog) -> None:
    table = catalog.create_table("dim.dim_symbol", gold.DIM_SYMBOL)
    append(
        table,
        [
            {
                "symbol": symbol,
                "company_name": company,
                "sector": sector,
                "market_cap_category": size,
                "valid_from": DAY,
                "valid_to": None if current else DAY + timedelta(days=1),
                "is_current": current,
                "version": 1,
            }
            for symbol, company, sector, size, current in INSTRUMENTS
        ],
    )


async def test_symbols(ask: Ask, catalog: MemoryCatalog) -> None:
    add_dimension(catalog)
    query = """query($f: SymbolFilterInput, $first: Int, $after: String) {
      symbols(filter: $f, first: $first, after: $after) { totalCount
        edges { node { symbol companyName sector marketCapCategory isCurrent } cursor }
        pageInfo { hasNextPage } } }"""
    first = (await ask(query, first=2))["symbols"]
    assert [e["node"]["symbol"] for e in first["edges"]] == ["AAPL", "GOOG"]
    assert first["edges"][0]["node"]["companyName"] == "Apple Inc."
    assert first["totalCount"] == 3
    rest = (await ask(query, first=2, after=first["edges"][-1]["cursor"]))["symbols"]
    assert [e["node"]["symbol"] for e in rest["edges"]] == ["MSFT"]
    assert not rest["pageInfo"]["hasNextPage"]
    some = (await ask(query, f={"sector": "Technology", "symbols": ["MSFT", "GOOG"]}))["symbols"]
    assert [e["node"]["symbol"] for e in some["edges"]] == ["MSFT"]
    assert some["totalCount"] == 1


def count_reads(*names: str) -> float:
    """Reads of the lake since the start."""
    samples = [sample for metric in metrics.READS.collect() for sample in metric.samples]
    return sum(
        sample.value
        for sample in samples
        if sample.name.endswith("_count") and sample.labels["read"] in names
    )


async def test_trades_know_their_companies(
    ask: Ask, filled: list[Row], catalog: MemoryCatalog
) -> None:
    add_dimension(catalog)
    query = """{ trades(first: 200) { edges { node { symbol companyName sector
      symbolDetails { companyName marketCapCategory } } } } }"""
    companies = {symbol: name for symbol, name, _, _, current in INSTRUMENTS if current}
    loads, reads = catalog.loads, count_reads("trades", "symbols")
    for edge in (await ask(query))["trades"]["edges"]:
        node = edge["node"]
        assert node["companyName"] == companies[node["symbol"]]
        assert node["symbolDetails"]["companyName"] == companies[node["symbol"]]
    assert catalog.loads - loads < 8, "one look at each table, not one per row"
    assert count_reads("trades", "symbols") - reads == 2
    plain = "{ trades(first: 3) { edges { node { symbol companyName } } } }"
    for edge in (await ask(plain))["trades"]["edges"]:
        assert edge["node"]["companyName"] == companies[edge["node"]["symbol"]]


BOOK = """{ orderBook(symbol: "AAPL") { symbol timestamp bestBidPrice bestBidQty bestAskPrice
  bestAskQty bidDepth askDepth spread midPrice companyName } }"""
ANSWER = {
    "symbol": "AAPL",
    "timestamp": "2024-03-01T14:30:07.000000Z",
    "bestBidPrice": 99.5,
    "bestBidQty": 10,
    "bestAskPrice": 100.5,
    "bestAskQty": 20,
    "bidDepth": 3_000_000_010,
    "askDepth": 20,
    "spread": 1.0,
    "midPrice": 100.0,
    "companyName": None,
}


async def test_order_book_from_bronze(ask: Ask, catalog: MemoryCatalog) -> None:
    table = catalog.create_table("bronze.orderbook", gold.BRONZE_ORDERBOOK)

    def level(price: float, quantity: int) -> Row:
        return {"price": price, "quantity": quantity, "order_count": 1}

    for second in (7, 3, 5):
        append(
            table,
            [
                {
                    "event_id": f"e{second}",
                    "timestamp": DAY + timedelta(seconds=second),
                    "symbol": "AAPL",
                    "bids": [level(92.5 + second, 10), level(92 + second, 3_000_000_000)],
                    "asks": [level(93.5 + second, 20)],
                    "kafka_partition": 0,
                    "kafka_offset": second,
                },
                {"event_id": "x", "timestamp": DAY + timedelta(hours=1), "symbol": "MSFT"},
            ],
        )
    assert (await ask(BOOK))["orderBook"] == ANSWER
    empty = '{ orderBook(symbol: "MSFT") { bestBidPrice bidDepth spread } }'
    assert (await ask(empty))["orderBook"] == {
        "bestBidPrice": None,
        "bidDepth": 0,
        "spread": None,
    }
    assert (await ask('{ orderBook(symbol: "NONE") { symbol } }'))["orderBook"] is None


SIDES: dict[str, tuple[Any, Any, list[Any]]] = {
    "NULLS": (None, None, [None, None, None, None, 0, 0, None, None]),
    "EMPTY": ([], [], [None, None, None, None, 0, 0, None, None]),
    "ONE SIDE": (None, [(9.0, 1)], [None, None, 9.0, 1, 0, 1, None, None]),
    "HOLES": ([None, (2.0, 0), (None, 5), (1.0, 7)], [], [1.0, 7, None, None, 7, 0, None, None]),
    "UNSORTED": (
        [(1.0, 1), (3.0, 3), (2.0, 2)],
        [(6.0, 6), (4.0, 4), (5.0, 5)],
        [3.0, 3, 4.0, 4, 6, 15, 1.0, 3.5],
    ),
}


async def test_order_books_with_null_and_odd_levels(ask: Ask, catalog: MemoryCatalog) -> None:
    """What counts is what `BOOK_STATS` counts; a null list is a side without levels."""

    def levels(side: Any) -> Any:
        if side is None:
            return None
        names = ("price", "quantity")
        return [one and dict(zip(names, one, strict=True)) for one in side]

    rows = [
        {"event_id": symbol, "symbol": symbol, "timestamp": DAY, "kafka_partition": 0,
         "kafka_offset": offset, "bids": levels(bids), "asks": levels(asks)}
        for offset, (symbol, (bids, asks, _)) in enumerate(SIDES.items())
    ]  # fmt: skip
    append(catalog.create_table("bronze.orderbook", gold.BRONZE_ORDERBOOK), rows)
    query = """query($s: String!) { orderBook(symbol: $s) { bestBidPrice bestBidQty bestAskPrice
      bestAskQty bidDepth askDepth spread midPrice } }"""
    for symbol, (_, _, expected) in SIDES.items():
        found = (await ask(query, s=symbol))["orderBook"]
        assert list(found.values()) == expected, symbol


async def test_order_book_from_silver(ask: Ask, catalog: MemoryCatalog) -> None:
    catalog.create_table("bronze.orderbook", gold.BRONZE_ORDERBOOK)
    table = catalog.create_table("silver.orderbook", gold.SILVER_ORDERBOOK)
    book = {
        "event_id": "e",
        "symbol": "AAPL",
        "timestamp": DAY + timedelta(seconds=7),
        "best_bid_price": 99.5,
        "best_bid_qty": 10,
        "best_ask_price": 100.5,
        "best_ask_qty": 20,
        "bid_depth": 3_000_000_010,
        "ask_depth": 20,
        "spread": 1.0,
        "mid_price": 100.0,
    }
    append(table, [book, {**book, "timestamp": DAY, "spread": 9.0}])
    assert (await ask(BOOK))["orderBook"] == ANSWER


async def test_alerts(ask: Ask, catalog: MemoryCatalog) -> None:
    table = catalog.create_table("gold.alerts", gold.ALERTS)
    severities = ["MEDIUM", "HIGH", "CRITICAL"]
    rows = [
        {
            "alert_id": f"a{i}",
            "symbol": ["AAPL", "MSFT"][i % 2],
            "alert_type": "PRICE_MOVEMENT",
            "severity": severities[i % 3],
            "direction": "UP",
            "price": 100.0 + i,
            "pct_change": 2.0,
            "triggered_at": DAY + timedelta(seconds=i // 2),
        }
        for i in range(30)
    ]
    append(table, rows[:20])
    append(table, rows[20:])
    query = """query($f: AlertFilterInput, $after: String) { alerts(filter: $f, first: 7,
      after: $after) { edges { node { symbol severity price triggeredAt pctChange } }
      pageInfo { hasNextPage endCursor } totalCount } }"""
    for chosen in ({}, {"symbol": "AAPL"}, {"severity": "HIGH", "symbols": ["MSFT", "AAPL"]}):
        kept = [
            row["price"]
            for row in sorted(rows, key=lambda r: (r["triggered_at"], r["alert_id"]), reverse=True)
            if row["symbol"] == chosen.get("symbol", row["symbol"])
            and row["severity"] == chosen.get("severity", row["severity"])
        ]
        found: list[float] = []
        after = None
        while True:
            page = (await ask(query, f=chosen, after=after))["alerts"]
            assert page["totalCount"] == len(kept)
            found += [edge["node"]["price"] for edge in page["edges"]]
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
        assert found == kept
    result = await ask.raw(query, f={"severity": "LOUD"})
    assert "severity: 'LOUD': must be one of MEDIUM, HIGH, CRITICAL" in result.errors[0].message
