"""Daily summaries, newest first, and the market of one day.

They come from `gold.daily_summary`; where there is none, they are computed from the parts of
candles, and then have no company names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from tapehouse_query import metrics, tables
from tapehouse_query.reads.candles import INTERVALS, bucket
from tapehouse_query.reads.conditions import Condition, DayRange, OneOf, matching, where
from tapehouse_query.reads.engine import Session
from tapehouse_query.reads.files import File
from tapehouse_query.reads.lake import Snapshot
from tapehouse_query.reads.parts import Bucket, Source, Wanted, merged, sources
from tapehouse_query.reads.relation import relation
from tapehouse_query.reads.slices import Slice, cut

_EPOCH = date(1970, 1, 1)
_DAY = INTERVALS["1d"]
_FIELDS = (
    "symbol, trading_date, open_price, close_price, high_price, low_price, vwap, total_volume,"
    " trade_count, total_value, company_name, sector"
)


class Summary(NamedTuple):
    """One symbol on one day."""

    symbol: str
    trading_date: date
    open_price: float
    close_price: float
    high_price: float
    low_price: float
    vwap: float
    total_volume: int
    trade_count: int
    total_value: float
    company_name: str | None
    sector: str | None


@dataclass(frozen=True, slots=True)
class SummaryQuery:
    """Which summaries: of one symbol or all (None), from `start` to `end`, both included."""

    symbol: str | None = None
    start: date | None = None
    end: date | None = None


def key(summary: Summary) -> tuple[int, str]:
    """The sort key: days since 1970, and the symbol, which ascends within a day."""
    return (summary.trading_date - _EPOCH).days, summary.symbol


def read(
    session: Session, query: SummaryQuery, size: int, after: tuple[int, str] | None
) -> Slice[Summary]:
    """The `size` newest summaries after a sort key."""
    gold = _gold(session)
    if gold is None:
        rows = [row for row in _computed(session, query) if after is None or _follows(row, after)]
        return cut(rows, size)
    return session.slices.get(
        ("daily", gold.key, query, size, after),
        lambda: cut(_stored(session, gold, query, size + 1, after), size),
    )


def count(session: Session, query: SummaryQuery) -> int:
    """How many summaries there are."""
    gold = _gold(session)
    if gold is None:
        return len(_computed(session, query))
    return int(session.rows(*_select(gold, query, "count(*)"))[0][0])


def market(session: Session, day: date | None) -> list[Summary]:
    """Every symbol's summary of a day; of the newest day there is if none is given."""
    if day is None:
        newest = read(session, SummaryQuery(), 1, None).rows
        if not newest:
            return []
        day = newest[0].trading_date
    query = SummaryQuery(start=day, end=day)
    gold = _gold(session)
    return _stored(session, gold, query, None, None) if gold else _computed(session, query)


def _gold(session: Session) -> Snapshot | None:
    gold = session.lake.find(tables.DAILY_SUMMARY)
    return gold if gold and gold.id else None


def _follows(row: Summary, after: tuple[int, str]) -> bool:
    days, symbol = key(row)
    return days < after[0] or (days == after[0] and symbol > after[1])


def _stored(
    session: Session,
    gold: Snapshot,
    query: SummaryQuery,
    want: int | None,
    after: tuple[int, str] | None,
) -> list[Summary]:
    bounded = query
    extra, values = "true", []
    if after is not None:
        day = _EPOCH + timedelta(days=after[0])
        bounded = SummaryQuery(query.symbol, query.start, min(day, query.end or day))
        extra, values = "(trading_date < ? OR symbol > ?)", [day, after[1]]
    sql, parameters, files = _select(gold, bounded, _FIELDS)
    limit = "" if want is None else f" LIMIT {want}"
    rows = session.rows(
        f"{sql} AND {extra} ORDER BY trading_date DESC, symbol{limit}",
        [*parameters, *values],
        files,
    )
    return list(map(Summary._make, rows))


def _select(gold: Snapshot, query: SummaryQuery, fields: str) -> tuple[str, list[Any], list[File]]:
    """The query, its parameters and the files it reads."""
    conditions: list[Condition] = [DayRange("trading_date", query.start, query.end)]
    if query.symbol is not None:
        conditions.append(OneOf("symbol", (query.symbol,)))
    files = matching(gold.files, conditions)
    metrics.FILES.inc(len(files))
    condition, parameters = where(conditions)
    sql = f"SELECT {fields} FROM {relation(gold, files)} WHERE {condition}"  # noqa: S608
    return sql, parameters, files


def _computed(session: Session, query: SummaryQuery) -> list[Summary]:
    """All summaries from the parts of candles, in the list's order."""
    symbols = None if query.symbol is None else (query.symbol,)
    wanted = bucket("1d", symbols).within(_micros(query.start), _micros(query.end, 1))
    found = sources(session.lake, wanted)
    page = session.slices.get(
        ("computed daily", *(source.snapshot.key for source in found), query),
        lambda: Slice(_days(session, wanted, found), more=False),
    )
    return list(page.rows)


def _days(session: Session, wanted: Wanted, found: Sequence[Source]) -> list[Summary]:
    opened = [(source, source.files()) for source in found]
    return list(map(_summary, merged(session, wanted, opened, "ORDER BY bucket DESC, symbol")))


def _micros(day: date | None, later: int = 0) -> int | None:
    """The first microsecond of a day, or the last one of it."""
    return None if day is None else ((day - _EPOCH).days + later) * _DAY - later


def _summary(found: Bucket) -> Summary:
    return Summary(
        symbol=found.symbol,
        trading_date=_EPOCH + timedelta(days=found.start // _DAY),
        open_price=found.open,
        close_price=found.close,
        high_price=found.high,
        low_price=found.low,
        vwap=found.value / found.volume,
        total_volume=found.volume,
        trade_count=found.trades,
        total_value=found.value,
        company_name=None,
        sector=None,
    )
