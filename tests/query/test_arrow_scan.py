"""Few rows are read by Arrow, and are what DuckDB finds."""

import random
from datetime import UTC, datetime, timedelta
from math import inf, nan
from typing import Any

import pytest
from pyiceberg.types import DoubleType, LongType
from tapehouse_query.reads import arrow_scan, trades
from tapehouse_query.reads.engine import Engine, Session
from tapehouse_query.reads.lake import Lake
from tapehouse_query.reads.slices import SliceCache
from tapehouse_query.reads.trades import Trade, TradeFilter

from tests.query.catalog import BRONZE_TRADES, DAILY, MemoryCatalog, append
from tests.query.catalog import trades as some_trades

START = datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)
NAMES = ("", "A", "a", "Ä", "Z\u00df\U0001f600", 'quo"te', "l\\ine\n")


def odd(rows: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
    """Values at their limits, and few different times and ids."""
    for row in rows:
        row["timestamp"] = START + timedelta(microseconds=rng.randrange(40) * 100_000)
        row["trade_id"] = rng.choice(NAMES) + str(rng.randrange(5))
        row["symbol"] = rng.choice([*NAMES, None])
        row["price"] = rng.choice([nan, inf, -inf, 0.1, -0.0, 1e-320, 1e22, 2**53 + 1.0])
        row["quantity"] = rng.choice([1, 2**63 - 1, None])
        row["is_aggressive_buy"] = rng.choice([True, False, None])
    return rows


@pytest.fixture
def session(catalog: MemoryCatalog) -> Any:
    """Five commits, the last after a column was renamed and others added."""
    rng = random.Random(5)
    table = catalog.create_table("bronze.trades", BRONZE_TRADES, partition_spec=DAILY)
    for seed in range(4):
        append(table, odd(some_trades(60, seed, begin=60 * seed), rng))
    with table.update_schema() as change:
        change.rename_column("buy_order_id", "bid").add_column("sector", LongType())
    with table.update_schema() as change:
        change.add_column("buy_order_id", DoubleType())
    rows = odd(some_trades(40, 9, begin=900), rng)
    append(table, [{**row, "bid": row["buy_order_id"], "buy_order_id": 0.5} for row in rows])
    engine = Engine(Lake(lambda: catalog, max_age=60), slices=SliceCache(max_rows=0))
    yield engine.session()
    engine.close()


def chosen(rng: random.Random) -> TradeFilter:
    def maybe(value: Any) -> Any:
        return value if rng.random() < 0.4 else None

    start = int(START.timestamp() * 1_000_000)
    return TradeFilter(
        symbols=maybe(tuple(rng.sample(NAMES, rng.randrange(4)))),
        is_aggressive_buy=maybe(True),
        start=maybe(start + rng.randrange(40) * 100_000),
        end=maybe(start + rng.randrange(40) * 100_000),
    )


def test_what_duckdb_finds(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(11)
    for _ in range(40):
        wanted, size, after = chosen(rng), rng.randrange(1, 200), None
        while True:
            with monkeypatch.context() as patch:
                patch.setattr(arrow_scan, "suits", lambda *_: False)
                expected = trades.read(session, wanted, size, after)
            found = trades.read(session, wanted, size, after)
            assert list(map(repr, found.rows)) == list(map(repr, expected.rows))
            assert found.more == expected.more
            if not found.more:
                break
            after = trades.key(found.rows[-1])


def test_bounds_of_numbers_are_left_to_duckdb(session: Session) -> None:
    """To which NaN is the largest."""
    found: list[Trade] = [*trades.read(session, TradeFilter(min_price=1e21), 500, None).rows]
    assert {repr(trade.price) for trade in found} == {"nan", "inf", "1e+22"}
