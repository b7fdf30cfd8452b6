"""What the API answers with. Names and meaning are fixed by the clients that use them."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import strawberry

from tapehouse_query.reads.candles import Candle
from tapehouse_query.reads.trades import Trade as TradeRow
from tapehouse_query.schema.scalars import BigInt, Time
from tapehouse_query.schema.typed import field

NodeT = TypeVar("NodeT")


@strawberry.type(description="Where a page ends and whether there is more.")
class PageInfo:
    """Relay's page information."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[NodeT]):
    """A node and its place in the list."""

    node: NodeT
    cursor: str


@strawberry.type
class Connection(Generic[NodeT]):
    """One page of a list."""

    edges: list[Edge[NodeT]]
    page_info: PageInfo
    counter: strawberry.Private[Callable[[], Awaitable[int]]]

    @field
    async def total_count(self) -> BigInt:
        """How many there are on all pages; counted only when asked for."""
        return BigInt(await self.counter())


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
