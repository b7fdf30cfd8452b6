"""The lists of the schema: sort key, node type and plain columns of each kind of row."""

from tapehouse_query import cursor
from tapehouse_query.reads import alerts, candles, daily, symbols, trades
from tapehouse_query.reads.slices import Slice
from tapehouse_query.schema.connection import Rows, plain_columns
from tapehouse_query.schema.scalars import format_times
from tapehouse_query.schema.types import (
    DailySummary,
    MinuteCandle,
    Symbol,
    Trade,
    TradeAlert,
)

_TRADE = plain_columns(trades.Trade, timestamp=format_times)
_CANDLE = plain_columns(candles.Candle, timestamp=format_times)
_SUMMARY = plain_columns(daily.Summary)
_SYMBOL = plain_columns(symbols.Instrument)
_ALERT = plain_columns(alerts.Alert, triggered_at=format_times)


def trade_rows(rows: Slice[trades.Trade]) -> Rows[trades.Trade, Trade]:
    """Trades."""
    return Rows(rows, "trades", trades.key, Trade.of, _TRADE)


def candle_rows(rows: Slice[candles.Candle], kind: str) -> Rows[candles.Candle, MinuteCandle]:
    """Candles; their cursors belong to a symbol and an interval."""
    return Rows(rows, kind, candles.key, MinuteCandle.of, _CANDLE)


def summary_rows(rows: Slice[daily.Summary]) -> Rows[daily.Summary, DailySummary]:
    """Daily summaries."""
    return Rows(rows, "daily", daily.key, DailySummary.of, _SUMMARY)


def symbol_rows(rows: Slice[symbols.Instrument]) -> Rows[symbols.Instrument, Symbol]:
    """Instruments."""
    return Rows(rows, "symbols", symbols.key, Symbol.of, _SYMBOL)


def alert_rows(rows: Slice[alerts.Alert]) -> Rows[alerts.Alert, TradeAlert]:
    """Alerts."""
    return Rows(rows, "alerts", alerts.key, TradeAlert.of, _ALERT)


def time_and_id(key: cursor.Key | None) -> tuple[int, str] | None:
    """The key of a list that is sorted by a number and a text."""
    return None if key is None else (int(key[0]), str(key[1]))
