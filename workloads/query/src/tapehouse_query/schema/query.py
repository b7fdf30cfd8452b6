"""Queries."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import strawberry

from tapehouse_query import cursor
from tapehouse_query.errors import BadInputError
from tapehouse_query.reads import candles, trades
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
from tapehouse_query.schema.typed import field
from tapehouse_query.schema.types import Connection, Edge, MinuteCandle, PageInfo, Trade

NodeT = TypeVar("NodeT")


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
        rows, more = await engine.run("trades", lambda s: trades.page(s, chosen, size, place))
        return connection(
            [Trade.of(row) for row in rows],
            [cursor.encode("trades", row.key) for row in rows],
            more,
            after,
            lambda: engine.run("trades count", lambda s: trades.count(s, chosen)),
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
        rows, more = await engine.run(
            "minuteCandles", lambda s: candles.page(s, wanted, size, place)
        )
        return connection(
            [MinuteCandle.of(row) for row in rows],
            [cursor.encode(kind, (row.timestamp,)) for row in rows],
            more,
            after,
            lambda: engine.run("minuteCandles count", lambda s: candles.count(s, wanted)),
        )


def connection(
    nodes: Sequence[NodeT],
    cursors: Sequence[str],
    more: bool,
    after: str | None,
    counter: Callable[[], Awaitable[int]],
) -> Connection[NodeT]:
    """A Relay page of these nodes."""
    return Connection(
        edges=[Edge(node=node, cursor=at) for node, at in zip(nodes, cursors, strict=True)],
        page_info=PageInfo(
            has_next_page=more,
            has_previous_page=after is not None,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
        counter=counter,
    )
