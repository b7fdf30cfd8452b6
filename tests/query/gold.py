"""Schemas of the tables above bronze, and rows of them folded in plain Python."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from pyiceberg.schema import Schema
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestamptzType,
)

Row = dict[str, Any]

_TYPES: dict[str, IcebergType] = {
    "string": StringType(),
    "double": DoubleType(),
    "long": LongType(),
    "int": IntegerType(),
    "time": TimestamptzType(),
    "date": DateType(),
    "bool": BooleanType(),
}


def schema(**columns: str) -> Schema:
    """A schema of these columns, by short type names."""
    return Schema(
        *(
            NestedField(number, name, _TYPES[kind])
            for number, (name, kind) in enumerate(columns.items(), 1)
        )
    )


CANDLE_PARTS = schema(
    symbol="string", minute="time", first_price="double", first_time="time", first_offset="long",
    last_price="double", last_time="time", last_offset="long", high="double", low="double",
    volume="long", value="double", trade_count="long",
)  # fmt: skip
CANDLES = schema(
    symbol="string", interval="string", window_start="time", open_price="double",
    high_price="double", low_price="double", close_price="double", total_volume="long",
    total_value="double", trade_count="long", vwap="double",
)  # fmt: skip
DAILY_SUMMARY = schema(
    symbol="string", trading_date="date", open_price="double", close_price="double",
    high_price="double", low_price="double", vwap="double", total_volume="long",
    trade_count="long", total_value="double", price_range="double", price_change="double",
    price_change_pct="double", company_name="string", sector="string",
)  # fmt: skip
ALERTS = schema(
    alert_id="string", symbol="string", alert_type="string", severity="string",
    direction="string", price="double", baseline_price="double", pct_change="double",
    volume="long", z_score="double", threshold="double", triggered_at="time", message="string",
)  # fmt: skip
SILVER_ORDERBOOK = schema(
    event_id="string", symbol="string", timestamp="time", best_bid_price="double",
    best_bid_qty="long", best_ask_price="double", best_ask_qty="long", bid_depth="long",
    ask_depth="long", spread="double", mid_price="double", imbalance="double",
    company_name="string", sector="string", kafka_partition="int", kafka_offset="long",
)  # fmt: skip
DIM_SYMBOL = schema(
    symbol="string", company_name="string", sector="string", market_cap_category="string",
    valid_from="time", valid_to="time", is_current="bool", version="int",
)  # fmt: skip
_LEVELS = [
    StructType(
        NestedField(first, "price", DoubleType()),
        NestedField(first + 1, "quantity", LongType()),
        NestedField(first + 2, "order_count", IntegerType()),
    )
    for first in (20, 30)
]
BRONZE_ORDERBOOK = Schema(
    NestedField(1, "event_id", StringType()),
    NestedField(2, "timestamp", TimestamptzType()),
    NestedField(3, "symbol", StringType()),
    NestedField(4, "bids", ListType(14, _LEVELS[0])),
    NestedField(5, "asks", ListType(15, _LEVELS[1])),
    NestedField(6, "kafka_partition", IntegerType()),
    NestedField(7, "kafka_offset", LongType()),
)

Floor = Callable[[datetime], datetime]


def minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def groups(trades: Sequence[Row], floor: Floor) -> dict[tuple[str, datetime], list[Row]]:
    """Trades by symbol and bucket, in the order of candles."""
    found: dict[tuple[str, datetime], list[Row]] = defaultdict(list)
    for trade in sorted(trades, key=lambda t: (t["timestamp"], t["kafka_offset"])):
        found[trade["symbol"], floor(trade["timestamp"])].append(trade)
    return found


def parts(trades: Sequence[Row], flushes: int = 3) -> list[Row]:
    """Parts of candles as the stream writes them: several per minute, by arrival."""
    return [
        _part(symbol, start, some)
        for (symbol, start), whole in groups(trades, minute).items()
        for flush in range(flushes)
        if (some := whole[flush::flushes])
    ]


def _part(symbol: str, start: datetime, trades: Sequence[Row]) -> Row:
    first, last = trades[0], trades[-1]
    return {
        "symbol": symbol,
        "minute": start,
        "first_price": first["price"],
        "first_time": first["timestamp"],
        "first_offset": first["kafka_offset"],
        "last_price": last["price"],
        "last_time": last["timestamp"],
        "last_offset": last["kafka_offset"],
        "high": max(t["price"] for t in trades),
        "low": min(t["price"] for t in trades),
        "volume": sum(t["quantity"] for t in trades),
        "value": sum(t["price"] * t["quantity"] for t in trades),
        "trade_count": len(trades),
    }


def candles(trades: Sequence[Row], interval: str, floor: Floor) -> list[Row]:
    """Rows of gold.candles of one interval."""
    return [
        {
            "symbol": symbol,
            "interval": interval,
            "window_start": start,
            "open_price": whole[0]["price"],
            "close_price": whole[-1]["price"],
            "high_price": max(t["price"] for t in whole),
            "low_price": min(t["price"] for t in whole),
            "total_volume": sum(t["quantity"] for t in whole),
            "total_value": sum(t["price"] * t["quantity"] for t in whole),
            "trade_count": len(whole),
            "vwap": 0.0,
        }
        for (symbol, start), whole in groups(trades, floor).items()
    ]


def day(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def week(at: datetime) -> datetime:
    return day(at) - timedelta(days=at.weekday())


def daily(trades: Sequence[Row]) -> list[Row]:
    """Rows of gold.daily_summary."""
    return [
        {
            **{name: row[name] for name in DAILY_SUMMARY.column_names if name in row},
            "trading_date": row["window_start"].date(),
            "vwap": row["total_value"] / row["total_volume"],
            "company_name": f"{row['symbol']} Inc.",
            "sector": "Technology",
        }
        for row in candles(trades, "1d", day)
    ]
