"""The tables and columns this server reads, by the names of the shipped resources.

A column that a table does not have reads as null, so tables may be older or newer than this list.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """What is read of one Iceberg table."""

    identifier: str
    columns: tuple[str, ...]
    time: str
    """The column whose file bounds decide which files a page needs."""
    prune: tuple[str, ...]
    """Columns whose file bounds are kept in memory, `time` among them."""
    required: tuple[str, ...] = ()
    """Columns without which the table cannot be read as this."""


TRADE_COLUMNS = (
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
    "silver.trades", TRADE_COLUMNS, "timestamp", ("timestamp", "symbol"), _TRADE_REQUIRED
)
BRONZE_TRADES = Table(
    "bronze.trades", TRADE_COLUMNS, "timestamp", ("timestamp", "symbol"), _TRADE_REQUIRED
)
