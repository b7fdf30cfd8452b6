"""Subscriptions: live events."""

from collections.abc import AsyncIterator

import strawberry

from tapehouse_query.live.events import AlertEvent, TradeEvent
from tapehouse_query.schema.context import Info
from tapehouse_query.schema.inputs import symbol_of, symbols_of
from tapehouse_query.schema.scalars import BigInt, Time, to_micros
from tapehouse_query.schema.typed import subscription
from tapehouse_query.schema.types import Trade, TradeAlert


@strawberry.type
class Subscription:
    """The live streams."""

    @subscription
    async def on_new_trade(self, info: Info, symbol: str | None = None) -> AsyncIterator[Trade]:
        """Trades as they happen, of one symbol or of all; a slow client loses the oldest."""
        wanted = None if symbol is None else frozenset((symbol_of(symbol),))
        with info.context.trades.subscribe(wanted) as subscriber:
            async for event in subscriber.events():
                info.context.symbols.clear_all()  # the dimension may have changed since
                yield _trade(event)

    @subscription
    async def on_trade_alert(
        self, info: Info, symbols: list[str] | None = None
    ) -> AsyncIterator[TradeAlert]:
        """Price movements as they are noticed, of these symbols or of all."""
        given = symbols_of(None, symbols)
        wanted = None if given is None else frozenset(given)
        with info.context.alerts.subscribe(wanted) as subscriber:
            async for event in subscriber.events():
                yield _alert(event)


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
        known_company_name=event.company_name,
        known_sector=event.sector,
    )


def _alert(event: AlertEvent) -> TradeAlert:
    return TradeAlert(
        symbol=event.symbol,
        alert_type=event.alert_type,
        severity=event.severity,
        direction=event.direction,
        price=event.price,
        baseline_price=event.baseline_price,
        pct_change=event.pct_change,
        threshold=event.threshold,
        triggered_at=Time(to_micros(event.time)),
        message=event.message,
    )
