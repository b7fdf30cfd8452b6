"""Silver, the parts of candles and the live topics are what bronze says, each trade once."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from confluent_kafka import Consumer

from tests.local.conftest import TRADES
from tests.local.platform import Platform, eventually
from tests.local.test_ledger import all_landed

pytestmark = pytest.mark.local

ONCE = """(
    SELECT * FROM bronze
    QUALIFY row_number() OVER (PARTITION BY trade_id ORDER BY kafka_partition, kafka_offset) = 1
)"""
FROM_BRONZE = f"""
    SELECT symbol, epoch_us(timestamp) // 60_000_000 AS minute,
           arg_min(price, row(timestamp, kafka_offset)) AS open,
           max(price) AS high, min(price) AS low,
           arg_max(price, row(timestamp, kafka_offset)) AS close,
           sum(quantity)::BIGINT AS volume, count(*) AS trades,
           round(sum(price * quantity), 4) AS value
    FROM {ONCE} GROUP BY ALL ORDER BY ALL
"""
FROM_PARTS = """
    SELECT symbol, epoch_us(minute) // 60_000_000 AS minute,
           arg_min(first_price, row(first_time, first_offset)) AS open,
           max(high) AS high, min(low) AS low,
           arg_max(last_price, row(last_time, last_offset)) AS close,
           sum(volume)::BIGINT AS volume, sum(trade_count)::BIGINT AS trades,
           round(sum(value), 4) AS value
    FROM parts GROUP BY ALL ORDER BY ALL
"""

WRONG_BOOKS = """
    SELECT event_id FROM silver JOIN raw USING (event_id)
    WHERE best_bid_price IS DISTINCT FROM list_max(list_transform(bids, lambda l: l.price))
       OR best_ask_price IS DISTINCT FROM list_min(list_transform(asks, lambda l: l.price))
       OR bid_depth != coalesce(list_sum(list_transform(bids, lambda l: l.quantity)), 0)
"""


def table(platform: Platform, identifier: str) -> pa.Table:
    return platform.catalog.load_table(identifier).scan().to_arrow()


Record = tuple[str, dict[str, Any]]


def records(
    platform: Platform, topic: str, complete: Callable[[list[Record]], bool]
) -> list[Record]:
    """Keys and values of a topic from its beginning, until they are `complete`."""
    settings = {"group.id": f"test-{uuid.uuid4()}", "auto.offset.reset": "earliest"}
    consumer = Consumer({**platform.info["kafka"], **settings, "enable.auto.commit": False})
    consumer.subscribe([topic])
    found: list[Record] = []

    def enough() -> bool:
        messages = consumer.consume(500, 1.0)
        found.extend((m.key().decode(), json.loads(m.value())) for m in messages if not m.error())
        return complete(found)

    try:
        eventually(enough, 120, every=0)
    finally:
        consumer.close()
    return found


@pytest.fixture(scope="module")
def refined(platform: Platform) -> dict[str, pa.Table]:
    """Every table, when all trades have come as far as the last of them."""
    platform.wait("streamjob", "refine")
    all_landed(platform, "bronze.trades", TRADES)
    all_landed(platform, "silver.trades", TRADES)

    def folded() -> pa.Table | None:
        parts = table(platform, "silver.candle_parts")
        return parts if sum(parts["trade_count"].to_pylist()) >= TRADES else None

    eventually(folded, 120, every=2)
    names = ("bronze.trades", "silver.trades", "silver.candle_parts", "gold.alerts")
    return {name: table(platform, name) for name in names}


def test_silver_is_bronze_with_each_trade_once(refined: dict[str, pa.Table]) -> None:
    bronze, silver = refined["bronze.trades"], refined["silver.trades"]
    columns = "trade_id, symbol, price, quantity, timestamp, buyer_agent_id, is_aggressive_buy"
    assert silver.num_rows == len(set(bronze["trade_id"].to_pylist()))
    for one, other in (("bronze", "silver"), ("silver", "bronze")):
        missing = duckdb.sql(f"SELECT {columns} FROM {one} EXCEPT SELECT {columns} FROM {other}")
        assert missing.fetchall() == []
    assert bronze.num_rows >= silver.num_rows


def test_parts_fold_into_the_candles_of_bronze(refined: dict[str, pa.Table]) -> None:
    bronze, parts = refined["bronze.trades"], refined["silver.candle_parts"]
    expected, found = duckdb.sql(FROM_BRONZE).fetchall(), duckdb.sql(FROM_PARTS).fetchall()
    assert bronze.num_rows
    assert parts.num_rows
    assert found == expected


def test_every_book_has_its_best_prices(platform: Platform, refined: dict[str, pa.Table]) -> None:
    def complete() -> bool:
        raw, silver = table(platform, "bronze.orderbook"), table(platform, "silver.orderbook")
        wrong = duckdb.sql(WRONG_BOOKS)
        assert wrong.fetchall() == []
        return 0 < silver.num_rows == len(set(raw["event_id"].to_pylist()))

    eventually(complete, 120, every=2)


def test_enriched_trades_are_keyed_by_symbol(
    platform: Platform, refined: dict[str, pa.Table]
) -> None:
    wanted = set(refined["silver.trades"]["trade_id"].to_pylist())
    found = records(
        platform, "enriched.trades", lambda seen: {v["trade_id"] for _, v in seen} >= wanted
    )
    assert {value["trade_id"] for _, value in found} == wanted
    assert all(key == value["symbol"] for key, value in found)
    assert all(value["timestamp"].endswith("Z") for _, value in found)


def test_alerts_are_kept_and_told(platform: Platform, refined: dict[str, pa.Table]) -> None:
    kept = {
        row["alert_id"]: row
        for row in refined["gold.alerts"].to_pylist()
        if row["alert_type"] == "PRICE_MOVEMENT"
    }
    seen = records(
        platform, "alerts.price-movement", lambda seen: {v["alert_id"] for _, v in seen} >= {*kept}
    )
    alerts = {v["alert_id"]: v for _, v in seen}
    for name, row in kept.items():
        assert row["severity"] == severity(row["pct_change"])
        assert row["direction"] == ("UP" if row["pct_change"] > 0 else "DOWN")
        assert alerts[name]["price"] == row["price"]


def severity(change: float) -> str:
    return "CRITICAL" if abs(change) >= 10 else "HIGH" if abs(change) >= 5 else "MEDIUM"
