"""Instruments in their current version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tapehouse_query import metrics, tables
from tapehouse_query.reads.engine import Session
from tapehouse_query.reads.lake import Snapshot
from tapehouse_query.reads.relation import relation
from tapehouse_query.reads.slices import Slice, cut


class Instrument(NamedTuple):
    """One instrument."""

    symbol: str
    company_name: str | None
    sector: str | None
    market_cap_category: str | None
    is_current: bool


@dataclass(frozen=True, slots=True)
class InstrumentFilter:
    """Which instruments; None = any."""

    symbols: tuple[str, ...] | None = None
    sector: str | None = None
    market_cap_category: str | None = None

    def lets(self, one: Instrument) -> bool:
        """Whether everything given holds."""
        return (
            (self.symbols is None or one.symbol in self.symbols)
            and self.sector in (None, one.sector)
            and self.market_cap_category in (None, one.market_cap_category)
        )


def key(one: Instrument) -> tuple[str]:
    """The sort key."""
    return (one.symbol,)


def by_symbol(session: Session) -> Mapping[str, Instrument]:
    """All instruments the dimension describes; none where there is no dimension."""
    dimension = _dimension(session)
    return {one.symbol: one for one in dimension.rows} if dimension else {}


def read(
    session: Session, chosen: InstrumentFilter, size: int, after: str | None
) -> Slice[Instrument]:
    """The first `size` instruments after a symbol, by symbol."""
    found = [
        one
        for one in _all(session).rows
        if chosen.lets(one) and (after is None or one.symbol > after)
    ]
    return cut(found, size)


def count(session: Session, chosen: InstrumentFilter) -> int:
    """How many instruments the filter lets through."""
    return sum(map(chosen.lets, _all(session).rows))


def _dimension(session: Session) -> Slice[Instrument] | None:
    found = session.lake.find(tables.DIM_SYMBOL)
    if found is None or not found.id:
        return None
    fields = "DISTINCT ON (symbol) symbol, company_name, sector, market_cap_category, true"
    return _read(session, found, fields, "is_current")


def _all(session: Session) -> Slice[Instrument]:
    """What the dimension describes, else what has been traded."""
    if described := _dimension(session):
        return described
    trades = session.lake.first(*tables.TRADES)
    return _read(session, trades, "DISTINCT symbol, NULL, NULL, NULL, true", "symbol IS NOT NULL")


def _read(session: Session, snapshot: Snapshot, fields: str, condition: str) -> Slice[Instrument]:
    def read() -> Slice[Instrument]:
        metrics.FILES.inc(len(snapshot.files))
        source = relation(snapshot, snapshot.files)
        sql = f"SELECT {fields} FROM {source} WHERE {condition} ORDER BY symbol"  # noqa: S608
        found = session.rows(sql, [], snapshot.files)
        return Slice(list(map(Instrument._make, found)), more=False)

    return session.slices.get(("instruments", snapshot.key), read)
