"""Events as they come from Kafka: JSON with fields that may be missing, null or new."""

from datetime import UTC, datetime

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    """A price movement."""

    symbol: str
    severity: str
    price: float
    timestamp: datetime
    alert_type: str = "PRICE_MOVEMENT"
    direction: str | None = None
    baseline_price: float | None = None
    pct_change: float | None = None
    threshold: float | None = None
    message: str | None = None


def micros(time: datetime) -> int:
    """Microseconds since 1970 UTC, exactly; naive times count as UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    delta = aware - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
