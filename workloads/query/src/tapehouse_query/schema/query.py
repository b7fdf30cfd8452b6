"""Queries."""

import asyncio
from datetime import date

import strawberry

from tapehouse_query.errors import BadInputError
from tapehouse_query.reads import alerts, books, candles, daily, symbols, trades
from tapehouse_query.schema import lists
from tapehouse_query.schema.connection import Connection
from tapehouse_query.schema.context import Info
from tapehouse_query.schema.inputs import (
    AlertFilterInput,
    DateRangeInput,
    SymbolFilterInput,
    TradeFilterInput,
    after_key,
    alert_filter,
    days_of,
    interval_of,
    page_size,
    symbol_filter,
    symbol_of,
    times_of,
    trade_filter,
)
from tapehouse_query.schema.market import overview
from tapehouse_query.schema.mutation import Watchlist
from tapehouse_query.schema.typed import field
from tapehouse_query.schema.types import (
    DailySummary,
    MarketOverview,
    MinuteCandle,
    OrderBookSnapshot,
    Symbol,
    Trade,
    TradeAlert,
)


@strawberry.type
class Query:
    """What can be asked once."""

    @field
    async def trades(
        self,
        info: Info,
        filter: TradeFilterInput | None = None,  # noqa: A002
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[Trade]:
        """Trades, newest first."""
        chosen, size = trade_filter(filter), page_size(first)
        after_row = lists.time_and_id(after_key("trades", after, (int, str)))
        run = info.context.engine.run
        rows = await run("trades", lambda s: trades.read(s, chosen, size, after_row))
        return Connection(
            rows=lists.trade_rows(rows),
            after=after,
            counter=lambda: run("trades count", lambda s: trades.count(s, chosen)),
        )

    @field
    async def trade_by_id(self, info: Info, id: str) -> Trade | None:  # noqa: A002
        """The trade with this id, or null."""
        if not 1 <= len(id) <= 128:
            raise BadInputError("id", id, "must be the id of a trade")
        row = await info.context.engine.run("tradeById", lambda s: trades.by_id(s, id))
        return Trade.of(row) if row else None

    @field
    async def minute_candles(
        self,
        info: Info,
        symbol: str,
        date_range: DateRangeInput | None = None,
        interval: str = "1m",
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[MinuteCandle]:
        """Candles of a symbol, oldest first; interval 1m 5m 15m 30m 1h 4h 1d or 1w."""
        start, end = times_of(date_range)
        query = candles.CandleQuery(symbol_of(symbol), interval_of(interval), start, end)
        size, kind = page_size(first), f"candles {symbol} {interval}"
        key = after_key(kind, after, (int,))
        after_row = None if key is None else int(key[0])
        run = info.context.engine.run
        rows = await run("minuteCandles", lambda s: candles.read(s, query, size, after_row))
        return Connection(
            rows=lists.candle_rows(rows, kind),
            after=after,
            counter=lambda: run("minuteCandles count", lambda s: candles.count(s, query)),
        )

    @field
    async def daily_summary(
        self,
        info: Info,
        symbol: str | None = None,
        date_range: DateRangeInput | None = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[DailySummary]:
        """Days of one symbol or of all, newest first."""
        start, end = days_of(date_range)
        only = None if symbol is None else symbol_of(symbol)
        query, size = daily.SummaryQuery(only, start, end), page_size(first)
        after_row = lists.time_and_id(after_key("daily", after, (int, str)))
        run = info.context.engine.run
        rows = await run("dailySummary", lambda s: daily.read(s, query, size, after_row))
        return Connection(
            rows=lists.summary_rows(rows),
            after=after,
            counter=lambda: run("dailySummary count", lambda s: daily.count(s, query)),
        )

    @field
    async def market_overview(
        self, info: Info, target_date: date | None = None
    ) -> MarketOverview | None:
        """All symbols on a day, by default the newest there is; null if nothing was traded."""
        rows = await info.context.engine.run(
            "marketOverview", lambda s: daily.market(s, target_date)
        )
        return overview(rows)

    @field
    async def symbols(
        self,
        info: Info,
        filter: SymbolFilterInput | None = None,  # noqa: A002
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[Symbol]:
        """Instruments in their current versions, by symbol."""
        chosen, size = symbol_filter(filter), page_size(first)
        key = after_key("symbols", after, (str,))
        after_row = None if key is None else str(key[0])
        run = info.context.engine.run
        rows = await run("symbols", lambda s: symbols.read(s, chosen, size, after_row))
        return Connection(
            rows=lists.symbol_rows(rows),
            after=after,
            counter=lambda: run("symbols", lambda s: symbols.count(s, chosen)),
        )

    @field
    async def order_book(self, info: Info, symbol: str) -> OrderBookSnapshot | None:
        """The newest order-book snapshot of a symbol, or null."""
        wanted = symbol_of(symbol)
        row = await info.context.engine.run("orderBook", lambda s: books.newest(s, wanted))
        return OrderBookSnapshot.of(row) if row else None

    @field
    async def alerts(
        self,
        info: Info,
        filter: AlertFilterInput | None = None,  # noqa: A002
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[TradeAlert]:
        """Alerts that were raised, newest first."""
        chosen, size = alert_filter(filter), page_size(first)
        after_row = lists.time_and_id(after_key("alerts", after, (int, str)))
        run = info.context.engine.run
        rows = await run("alerts", lambda s: alerts.read(s, chosen, size, after_row))
        return Connection(
            rows=lists.alert_rows(rows),
            after=after,
            counter=lambda: run("alerts count", lambda s: alerts.count(s, chosen)),
        )

    @field
    async def my_watchlists(self, info: Info) -> list[Watchlist]:
        """Your lists, by name."""
        context = info.context
        found = await asyncio.to_thread(context.watchlists.of, context.user)
        return [Watchlist.of(one) for one in found]
