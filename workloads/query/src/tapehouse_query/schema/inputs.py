"""Arguments, and the checks that turn them into what a read takes."""

from datetime import UTC, date, datetime, timedelta

import strawberry

from tapehouse_query import cursor
from tapehouse_query.errors import BadInputError
from tapehouse_query.reads.alerts import AlertFilter
from tapehouse_query.reads.candles import INTERVALS
from tapehouse_query.reads.symbols import InstrumentFilter
from tapehouse_query.reads.trades import TradeFilter
from tapehouse_query.schema.scalars import BigInt, Bound

MAX_FIRST = 1000
MAX_SYMBOLS = 100
SEVERITIES = ("MEDIUM", "HIGH", "CRITICAL")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@strawberry.input(description="From start to end, both included; either may be left out.")
class DateRangeInput:
    """A range of times."""

    start: Bound | None = None
    end: Bound | None = None


@strawberry.input(description="Which trades; everything given must hold. Bounds are included.")
class TradeFilterInput:
    """A filter of trades."""

    symbol: str | None = None
    symbols: list[str] | None = None
    is_aggressive_buy: bool | None = None
    min_price: float | None = None
    max_price: float | None = None
    min_quantity: BigInt | None = None
    max_quantity: BigInt | None = None
    date_range: DateRangeInput | None = None


@strawberry.input(description="Which instruments; everything given must hold.")
class SymbolFilterInput:
    """A filter of instruments."""

    symbols: list[str] | None = None
    sector: str | None = None
    market_cap_category: str | None = None


@strawberry.input(description="Which alerts; everything given must hold.")
class AlertFilterInput:
    """A filter of alerts."""

    symbol: str | None = None
    symbols: list[str] | None = None
    severity: str | None = None
    alert_type: str | None = None
    direction: str | None = None
    date_range: DateRangeInput | None = None


def page_size(first: int | None) -> int:
    """The size of a page.

    Raises:
        BadInputError: it is not from 1 to `MAX_FIRST`.
    """
    if first is None:
        return 50
    if not 1 <= first <= MAX_FIRST:
        raise BadInputError("first", first, f"must be from 1 to {MAX_FIRST}")
    return first


def after_key(kind: str, after: str | None, shape: tuple[type, ...]) -> cursor.Key | None:
    """The sort key in `after`.

    Raises:
        BadInputError: not a cursor of this list.
    """
    if after is None:
        return None
    try:
        return cursor.decode(kind, after, shape)
    except cursor.CursorError as error:
        raise BadInputError(
            "after", after, f"not a cursor of this list: {error}; take one from its pageInfo"
        ) from None


def symbol_of(value: str | None, argument: str = "symbol") -> str:
    """A symbol that can exist.

    Raises:
        BadInputError: it is missing, empty or longer than any.
    """
    if value is None or not value.strip() or len(value) > 64:
        raise BadInputError(argument, value, "must be the name of an instrument, as in AAPL")
    return value


def symbols_of(symbol: str | None, symbols: list[str] | None) -> tuple[str, ...] | None:
    """The symbols that satisfy both arguments; None if neither is given.

    Raises:
        BadInputError: an impossible symbol, none or too many.
    """
    if symbols is not None and not 1 <= len(symbols) <= MAX_SYMBOLS:
        raise BadInputError("symbols", symbols, f"must have from 1 to {MAX_SYMBOLS} symbols")
    wanted = None if symbols is None else {symbol_of(one, "symbols") for one in symbols}
    if symbol is None:
        return None if wanted is None else tuple(sorted(wanted))
    only = {symbol_of(symbol)}
    return tuple(only if wanted is None else only & wanted)


def times_of(chosen: DateRangeInput | None) -> tuple[int | None, int | None]:
    """First and last microsecond of a range.

    Raises:
        BadInputError: it ends before it starts.
    """
    if chosen is None:
        return None, None
    start = chosen.start.first if chosen.start else None
    end = chosen.end.last if chosen.end else None
    if start is not None and end is not None and end < start:
        raise BadInputError("dateRange", "end", "must not be before start")
    return start, end


def trade_filter(chosen: TradeFilterInput | None) -> TradeFilter:
    """The read's filter.

    Raises:
        BadInputError: a value that cannot be, or a lower bound above its upper one.
    """
    if chosen is None:
        return TradeFilter()
    _ordered("minPrice", chosen.min_price, chosen.max_price)
    _ordered("minQuantity", chosen.min_quantity, chosen.max_quantity)
    start, end = times_of(chosen.date_range)
    return TradeFilter(
        symbols=symbols_of(chosen.symbol, chosen.symbols),
        is_aggressive_buy=chosen.is_aggressive_buy,
        min_price=chosen.min_price,
        max_price=chosen.max_price,
        min_quantity=chosen.min_quantity,
        max_quantity=chosen.max_quantity,
        start=start,
        end=end,
    )


def alert_filter(chosen: AlertFilterInput | None) -> AlertFilter:
    """The read's filter.

    Raises:
        BadInputError: a value that cannot be.
    """
    if chosen is None:
        return AlertFilter()
    start, end = times_of(chosen.date_range)
    severity = _one_of("severity", chosen.severity, SEVERITIES)
    return AlertFilter(
        symbols=symbols_of(chosen.symbol, chosen.symbols),
        severities=None if severity is None else (severity,),
        alert_type=chosen.alert_type,
        direction=_one_of("direction", chosen.direction, ("UP", "DOWN")),
        start=start,
        end=end,
    )


def symbol_filter(chosen: SymbolFilterInput | None) -> InstrumentFilter:
    """The read's filter.

    Raises:
        BadInputError: an impossible symbol, none or too many.
    """
    if chosen is None:
        return InstrumentFilter()
    return InstrumentFilter(
        symbols_of(None, chosen.symbols), chosen.sector, chosen.market_cap_category
    )


def days_of(chosen: DateRangeInput | None) -> tuple[date | None, date | None]:
    """First and last day of a range, UTC.

    Raises:
        BadInputError: it ends before it starts.
    """
    start, end = times_of(chosen)
    return _day(start), _day(end)


def interval_of(value: str) -> str:
    """The length of a candle.

    Raises:
        BadInputError: not one of the lengths.
    """
    if value not in INTERVALS:
        raise BadInputError("interval", value, f"must be one of {', '.join(INTERVALS)}")
    return value


def _ordered(argument: str, low: float | None, high: float | None) -> None:
    if low is not None and high is not None and low > high:
        raise BadInputError(
            argument, low, f"must not be above {argument.replace('min', 'max')} {high}"
        )


def _one_of(argument: str, value: str | None, values: tuple[str, ...]) -> str | None:
    if value is not None and value not in values:
        raise BadInputError(argument, value, f"must be one of {', '.join(values)}")
    return value


def _day(micros: int | None) -> date | None:
    return None if micros is None else (_EPOCH + timedelta(microseconds=micros)).date()
