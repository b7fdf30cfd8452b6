"""What the API answers with. Names and meaning are fixed by the clients that use them."""

from datetime import date
from typing import Any

import strawberry

from tapehouse_query.reads.alerts import Alert
from tapehouse_query.reads.books import Book
from tapehouse_query.reads.candles import Candle
from tapehouse_query.reads.daily import Summary
from tapehouse_query.reads.symbols import Instrument
from tapehouse_query.reads.trades import Trade as TradeRow
from tapehouse_query.schema.context import Info
from tapehouse_query.schema.scalars import BigInt, Time
from tapehouse_query.schema.typed import field


@strawberry.type(description="An instrument in its current version.")
class Symbol:
    """An instrument."""

    symbol: str
    company_name: str | None
    sector: str | None
    market_cap_category: str | None
    is_current: bool

    @classmethod
    def of(cls, row: Instrument) -> "Symbol":
        """The node of a row."""
        return cls(**row._asdict())


@strawberry.type
class Named:
    """What names an instrument and may know its company: as of then, or else as of now."""

    symbol: str
    known_company_name: strawberry.Private[str | None]
    known_sector: strawberry.Private[str | None]

    @field
    async def company_name(self, info: Info) -> str | None:
        """The company, as of then where that is recorded, else as of now."""
        if self.known_company_name is not None:
            return self.known_company_name
        found = await info.context.symbols.load(self.symbol)
        return found.company_name if found else None

    @field
    async def sector(self, info: Info) -> str | None:
        """Its sector, as of then where that is recorded, else as of now."""
        if self.known_sector is not None:
            return self.known_sector
        found = await info.context.symbols.load(self.symbol)
        return found.sector if found else None


@strawberry.type(description="One executed trade.")
class Trade(Named):
    """A trade, from a table or live."""

    trade_id: str
    price: float
    quantity: BigInt
    buy_order_id: str | None
    sell_order_id: str | None
    buyer_agent_id: str | None
    seller_agent_id: str | None
    is_aggressive_buy: bool | None
    timestamp: Time

    @field
    async def symbol_details(self, info: Info) -> Symbol | None:
        """The instrument in its current version."""
        found = await info.context.symbols.load(self.symbol)
        return Symbol.of(found) if found else None

    @classmethod
    def of(cls, row: TradeRow) -> "Trade":
        """The node of a row."""
        return cls(**_known(row._asdict()))


@strawberry.type
class Change:
    """A span with a first and a last price."""

    open_price: float
    close_price: float

    @field
    def price_change(self) -> float:
        """Close less open."""
        return self.close_price - self.open_price

    @field
    def price_change_pct(self) -> float | None:
        """Close less open, in percent of open."""
        return (
            100 * (self.close_price - self.open_price) / self.open_price
            if self.open_price
            else None
        )


@strawberry.type(description="Open, high, low, close and volume of one interval.")
class MinuteCandle(Change):
    """A candle."""

    symbol: str
    timestamp: Time = strawberry.field(description="Start of the interval.")
    high_price: float
    low_price: float
    total_volume: BigInt
    trade_count: BigInt
    vwap: float

    @classmethod
    def of(cls, row: Candle) -> "MinuteCandle":
        """The node of a row."""
        return cls(**row._asdict())


@strawberry.type(description="One symbol on one day.")
class DailySummary(Change, Named):
    """A day's summary."""

    trading_date: date
    high_price: float
    low_price: float
    vwap: float
    total_volume: BigInt
    trade_count: BigInt
    total_value: float

    @field
    def price_range(self) -> float:
        """High less low."""
        return self.high_price - self.low_price

    @classmethod
    def of(cls, row: Summary) -> "DailySummary":
        """The node of a row."""
        return cls(**_known(row._asdict()))


@strawberry.type(description="All symbols on one day.")
class MarketOverview:
    """A day's market."""

    trading_date: date
    total_trades: BigInt
    total_volume: BigInt
    total_value: float
    unique_symbols: int
    advancing: int = strawberry.field(description="Symbols that closed above their open.")
    declining: int = strawberry.field(description="Symbols that closed below their open.")
    unchanged: int
    top_gainers: list[DailySummary] = strawberry.field(
        description="By change in percent, best first."
    )
    top_losers: list[DailySummary] = strawberry.field(
        description="By change in percent, worst first."
    )
    most_active: list[DailySummary] = strawberry.field(description="By volume, largest first.")


@strawberry.type(description="An order book at one moment, at a glance.")
class OrderBookSnapshot(Named):
    """A book."""

    timestamp: Time
    best_bid_price: float | None
    best_bid_qty: BigInt | None
    best_ask_price: float | None
    best_ask_qty: BigInt | None
    bid_depth: BigInt | None = strawberry.field(description="Shares bid on all levels.")
    ask_depth: BigInt | None = strawberry.field(description="Shares asked on all levels.")
    spread: float | None
    mid_price: float | None

    @classmethod
    def of(cls, row: Book) -> "OrderBookSnapshot":
        """The node of a row."""
        values = row._asdict()
        del values["event_id"]
        return cls(**_known(values))


@strawberry.type(description="A price or a volume that left its usual range.")
class TradeAlert:
    """An alert, kept or live."""

    symbol: str
    alert_type: str | None
    severity: str | None
    direction: str | None
    price: float | None
    baseline_price: float | None
    pct_change: float | None
    threshold: float | None
    triggered_at: Time
    message: str | None

    @classmethod
    def of(cls, row: Alert) -> "TradeAlert":
        """The node of a row."""
        values = row._asdict()
        del values["alert_id"]
        return cls(**values)


def _known(values: dict[str, Any]) -> dict[str, Any]:
    known = {f"known_{name}": values.pop(name) for name in ("company_name", "sector")}
    return {**values, **known}
