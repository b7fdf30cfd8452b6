"""Subscriptions: what is told as it happens."""

from collections.abc import AsyncIterator

import strawberry

from tapehouse_query.live.events import TradeEvent
from tapehouse_query.schema.context import Info
from tapehouse_query.schema.inputs import symbol_of
from tapehouse_query.schema.scalars import BigInt, Time, to_micros
from tapehouse_query.schema.typed import subscription
from tapehouse_query.schema.types import Trade


@strawberry.type
class Subscription:
    """What can be followed."""

    @subscription
    async def on_new_trade(self, info: Info, symbol: str | None = None) -> AsyncIterator[Trade]:
        """Trades as they happen, of one symbol or of all; who cannot keep up misses the oldest."""
        wanted = None if symbol is None else frozenset((symbol_of(symbol),))
        with info.context.trades.subscribe(wanted) as subscriber:
            async for event in subscriber.events():
                yield _trade(event)


def _trade(event: TradeEvent) -> Trade:
    return Trade(
        trade_id=event.trade_id,
        symbol=event.symbol,
        price=event.price,
        quantity=BigInt(event.quantity),
        buy_order_id=event.buy_order_id,
        sell_order_id=event.sell_order_id,
        buyer_agent_id=event.buyer_agent_id,
        seller_agent_id=event.seller_agent_id,
        is_aggressive_buy=event.is_aggressive_buy,
        timestamp=Time(to_micros(event.timestamp)),
        company_name=event.company_name,
        sector=event.sector,
    )
