"""What the API answers with. Names and meaning are fixed by the clients that use them."""

import strawberry

from tapehouse_query.reads.candles import Candle
from tapehouse_query.reads.trades import Trade as TradeRow
from tapehouse_query.schema.scalars import BigInt, Time
from tapehouse_query.schema.typed import field


@strawberry.type(description="One executed trade.")
class Trade:
    """A trade, from a table or live."""

    trade_id: str
    symbol: str
    price: float
    quantity: BigInt
    buy_order_id: str | None
    sell_order_id: str | None
    buyer_agent_id: str | None
    seller_agent_id: str | None
    is_aggressive_buy: bool | None
    timestamp: Time
    company_name: str | None
    sector: str | None

    @classmethod
    def of(cls, row: TradeRow) -> "Trade":
        """The node of a row."""
        return cls(**row._asdict())


@strawberry.type(description="Open, high, low, close and volume of one interval.")
class MinuteCandle:
    """A candle."""

    symbol: str
    timestamp: Time = strawberry.field(description="Start of the interval.")
    open_price: float
    close_price: float
    high_price: float
    low_price: float
    total_volume: BigInt
    trade_count: BigInt
    vwap: float

    @field
    def price_change(self) -> float:
        """Close less open."""
        return self.close_price - self.open_price

    @field
    def price_change_pct(self) -> float | None:
        """Close less open, in percent of open."""
        return 100 * self.price_change() / self.open_price if self.open_price else None

    @classmethod
    def of(cls, row: Candle) -> "MinuteCandle":
        """The node of a row."""
        return cls(**row._asdict())
