"""The tables and columns this server reads, by the names of the shipped resources.

A column that a table does not have reads as null, so tables may be older or newer than this list.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """What is read of one Iceberg table."""

    identifier: str
    columns: tuple[str, ...]
    time: str = ""
    """The column whose file bounds decide which files a page needs; empty = all are read."""
    prune: tuple[str, ...] = ()
    """Columns whose file bounds are kept in memory, `time` among them."""
    required: tuple[str, ...] = ()
    """Columns without which the table cannot be read as this."""


_TRADE = (
    "trade_id",
    "symbol",
    "price",
    "quantity",
    "buy_order_id",
    "sell_order_id",
    "buyer_agent_id",
    "seller_agent_id",
    "is_aggressive_buy",
    "timestamp",
    "company_name",
    "sector",
    "kafka_partition",
    "kafka_offset",
)
_TRADE_REQUIRED = ("trade_id", "symbol", "price", "quantity", "timestamp")

SILVER_TRADES = Table(
    "silver.trades", _TRADE, "timestamp", ("timestamp", "symbol"), _TRADE_REQUIRED
)
BRONZE_TRADES = Table(
    "bronze.trades", _TRADE, "timestamp", ("timestamp", "symbol"), _TRADE_REQUIRED
)
TRADES = (SILVER_TRADES, BRONZE_TRADES)
"""The first that has been published is read."""

CANDLE_PARTS = Table(
    "silver.candle_parts",
    (
        "symbol",
        "minute",
        "first_price",
        "first_time",
        "first_offset",
        "last_price",
        "last_time",
        "last_offset",
        "high",
        "low",
        "volume",
        "value",
        "trade_count",
    ),
    "minute",
    ("minute", "symbol"),
    ("symbol", "minute", "first_price", "last_price", "high", "low", "volume", "trade_count"),
)
CANDLES = Table(
    "gold.candles",
    (
        "symbol",
        "interval",
        "window_start",
        "open_price",
        "high_price",
        "low_price",
        "close_price",
        "total_volume",
        "total_value",
        "trade_count",
    ),
    "window_start",
    ("window_start", "symbol", "interval"),
    ("symbol", "interval", "window_start", "open_price", "close_price", "total_volume"),
)
DAILY_SUMMARY = Table(
    "gold.daily_summary",
    (
        "symbol",
        "trading_date",
        "open_price",
        "close_price",
        "high_price",
        "low_price",
        "vwap",
        "total_volume",
        "trade_count",
        "total_value",
        "company_name",
        "sector",
    ),
    "trading_date",
    ("trading_date", "symbol"),
    ("symbol", "trading_date", "open_price", "close_price", "total_volume"),
)
ALERTS = Table(
    "gold.alerts",
    (
        "alert_id",
        "symbol",
        "alert_type",
        "severity",
        "direction",
        "price",
        "baseline_price",
        "pct_change",
        "threshold",
        "triggered_at",
        "message",
    ),
    "triggered_at",
    ("triggered_at", "symbol"),
    ("alert_id", "symbol", "triggered_at"),
)
SILVER_ORDERBOOK = Table(
    "silver.orderbook",
    (
        "event_id",
        "symbol",
        "timestamp",
        "best_bid_price",
        "best_bid_qty",
        "best_ask_price",
        "best_ask_qty",
        "bid_depth",
        "ask_depth",
        "spread",
        "mid_price",
        "company_name",
        "sector",
        "kafka_partition",
        "kafka_offset",
    ),
    "timestamp",
    ("timestamp", "symbol"),
    ("symbol", "timestamp"),
)
BRONZE_ORDERBOOK = Table(
    "bronze.orderbook",
    ("event_id", "symbol", "timestamp", "bids", "asks", "kafka_partition", "kafka_offset"),
    "timestamp",
    ("timestamp", "symbol"),
    ("symbol", "timestamp", "bids", "asks"),
)
DIM_SYMBOL = Table(
    "dim.dim_symbol",
    ("symbol", "company_name", "sector", "market_cap_category", "is_current"),
    required=("symbol",),
)
