"""Queries."""

import strawberry

from tapehouse_query.errors import BadInputError
from tapehouse_query.reads import candles, trades
from tapehouse_query.schema.connection import Connection, Rows, plain_columns
from tapehouse_query.schema.context import Info
from tapehouse_query.schema.inputs import (
    DateRangeInput,
    TradeFilterInput,
    after_key,
    interval_of,
    page_size,
    symbol_of,
    times_of,
    trade_filter,
)
from tapehouse_query.schema.scalars import format_time
from tapehouse_query.schema.typed import field
from tapehouse_query.schema.types import MinuteCandle, Trade

TRADE_COLUMNS = plain_columns(trades.Trade, timestamp=format_time)
CANDLE_COLUMNS = plain_columns(candles.Candle, timestamp=format_time)


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
        key = after_key("trades", after, (int, str))
        place = None if key is None else (int(key[0]), str(key[1]))
        engine = info.context.engine
        page = await engine.run("trades", lambda s: trades.page(s, chosen, size, place))
        return Connection(
            rows=Rows(page, "trades", trades.key, Trade.of, TRADE_COLUMNS),
            after=after,
            counter=lambda: engine.run("trades count", lambda s: trades.count(s, chosen)),
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
        wanted = candles.CandleQuery(symbol_of(symbol), interval_of(interval), start, end)
        size, kind = page_size(first), f"candles {symbol} {interval}"
        key = after_key(kind, after, (int,))
        place = None if key is None else int(key[0])
        engine = info.context.engine
        page = await engine.run("minuteCandles", lambda s: candles.page(s, wanted, size, place))
        return Connection(
            rows=Rows(page, kind, candles.key, MinuteCandle.of, CANDLE_COLUMNS),
            after=after,
            counter=lambda: engine.run("minuteCandles count", lambda s: candles.count(s, wanted)),
        )
