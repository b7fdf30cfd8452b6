"""Events from Kafka: JSON whose fields may be missing, null or unknown."""

from datetime import datetime
from typing import cast

import msgspec


class TradeEvent(msgspec.Struct, frozen=True, gc=False):
    """`TradeExecuted`, or the same enriched."""

    trade_id: str
    symbol: str
    price: float
    quantity: int
    timestamp: datetime
    buy_order_id: str | None = None
    sell_order_id: str | None = None
    buyer_agent_id: str | None = None
    seller_agent_id: str | None = None
    is_aggressive_buy: bool | None = None
    company_name: str | None = None
    sector: str | None = None


class AlertEvent(msgspec.Struct, frozen=True, gc=False):
    """A price movement, or an anomaly, which has no price; its time is `timestamp` or
    `triggered_at`."""

    symbol: str
    severity: str
    price: float | None = None
    timestamp: datetime | None = None
    triggered_at: datetime | None = None
    alert_type: str = "PRICE_MOVEMENT"
    direction: str | None = None
    baseline_price: float | None = None
    pct_change: float | None = None
    threshold: float | None = None
    message: str | None = None

    def __post_init__(self) -> None:
        if self.timestamp is None and self.triggered_at is None:
            raise ValueError("an alert without a time")

    @property
    def time(self) -> datetime:
        """When it was triggered."""
        return cast(datetime, self.triggered_at or self.timestamp)
