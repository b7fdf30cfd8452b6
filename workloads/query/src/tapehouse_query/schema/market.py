"""The market of one day, from its symbols' summaries."""

from collections.abc import Sequence
from math import fsum

from tapehouse_query.reads.daily import Summary
from tapehouse_query.schema.scalars import BigInt
from tapehouse_query.schema.types import DailySummary, MarketOverview

_TOP = 5


def overview(rows: Sequence[Summary]) -> MarketOverview | None:
    """Sums and rankings; ties by symbol. None of no rows."""
    if not rows:
        return None
    gained = sorted(rows, key=lambda row: (-_percent(row), row.symbol))
    lost = sorted(rows, key=lambda row: (_percent(row), row.symbol))
    active = sorted(rows, key=lambda row: (-row.total_volume, row.symbol))
    advancing = [row for row in gained if row.close_price > row.open_price]
    declining = [row for row in lost if row.close_price < row.open_price]
    return MarketOverview(
        trading_date=rows[0].trading_date,
        total_trades=BigInt(sum(row.trade_count for row in rows)),
        total_volume=BigInt(sum(row.total_volume for row in rows)),
        total_value=fsum(row.total_value for row in rows),
        unique_symbols=len(rows),
        advancing=len(advancing),
        declining=len(declining),
        unchanged=len(rows) - len(advancing) - len(declining),
        top_gainers=[DailySummary.of(row) for row in advancing[:_TOP]],
        top_losers=[DailySummary.of(row) for row in declining[:_TOP]],
        most_active=[DailySummary.of(row) for row in active[:_TOP]],
    )


def _percent(row: Summary) -> float:
    return (row.close_price - row.open_price) / row.open_price if row.open_price else 0.0
