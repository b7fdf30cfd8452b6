"""Questions to a large silver.trades: our reader, raw DuckDB and PyIceberg's Arrow.

    python -m bench.lakehouse.gold [--trades 5000000] [--rounds 5] [--remove]

`ours` plans with the files' bounds, kept in memory by snapshot, and reads with DuckDB by Iceberg
field id, as the query server does. `raw` is `read_parquet` over the same directory with the same
SQL. `arrow` is PyIceberg's filtered and projected scan into Arrow, then DuckDB with the same SQL.
All have two threads and run by turns in this process; equal answers are asserted. Prints the
median of wall and CPU milliseconds and what the others need of ours.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
from pyiceberg.table import Table
from tapehouse_query.reads import trades
from tapehouse_query.reads.conditions import Condition, OneOf, TimeRange, matching, where
from tapehouse_query.reads.engine import Engine, Session
from tapehouse_query.reads.lake import Lake
from tapehouse_query.reads.relation import relation
from tapehouse_query.reads.slices import SliceCache
from tapehouse_query.tables import SILVER_TRADES

from bench.lakehouse.big import FIRST_DAY, Big

Rows = list[tuple[Any, ...]]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Question:
    """One SQL query over `trades`, and the rows it needs."""

    name: str
    sql: str
    columns: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    iceberg: str = ""
    """The same conditions as PyIceberg takes them."""


def micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


DAY = FIRST_DAY + timedelta(days=12)
IN_DAY = TimeRange("timestamp", micros(DAY), micros(DAY + timedelta(days=1)) - 1)
IN_DAY_TEXT = (
    f"timestamp >= '{DAY.isoformat()}' and timestamp < '{(DAY + timedelta(days=1)).isoformat()}'"
)
CURSOR = micros(DAY + timedelta(hours=17)), "8000"

PLACE = "epoch_us(timestamp)::HUGEINT * 18446744073709551616 + kafka_offset"
"""Open and close are by time, ties by offset."""
QUESTIONS = (
    Question(
        "VWAP of every symbol, all days",
        """SELECT symbol, sum(price * quantity) / sum(quantity), sum(quantity)::BIGINT, count(*)
        FROM trades GROUP BY symbol ORDER BY symbol""",
        ("symbol", "price", "quantity"),
    ),
    Question(
        "summary of a day, every symbol",
        f"""SELECT symbol, arg_min(price, {PLACE}), arg_max(price, {PLACE}), max(price), min(price),
          sum(quantity)::BIGINT, sum(price * quantity) / sum(quantity)
        FROM trades GROUP BY symbol ORDER BY symbol""",
        ("symbol", "timestamp", "price", "quantity", "kafka_offset"),
        (IN_DAY,),
        IN_DAY_TEXT,
    ),
    Question(
        "5m candles of a symbol, one day",
        f"""SELECT epoch_us(time_bucket(INTERVAL 5 MINUTES, timestamp)) AS start,
          arg_min(price, {PLACE}), arg_max(price, {PLACE}),
          max(price), min(price), sum(quantity)::BIGINT, count(*)
        FROM trades GROUP BY start ORDER BY start""",
        ("timestamp", "price", "quantity", "kafka_offset"),
        (OneOf("symbol", ("S011",)), IN_DAY),
        f"symbol = 'S011' and {IN_DAY_TEXT}",
    ),
    Question(
        "page of 100 after a cursor, newest first",
        f"""SELECT trade_id, symbol, price, quantity, buy_order_id, sell_order_id, buyer_agent_id,
          seller_agent_id, is_aggressive_buy, epoch_us(timestamp), company_name, sector
        FROM trades WHERE timestamp <= make_timestamptz({CURSOR[0]})
          AND (timestamp < make_timestamptz({CURSOR[0]}) OR trade_id < '{CURSOR[1]}')
        ORDER BY timestamp DESC, trade_id DESC LIMIT 100""",
        (
            "trade_id", "symbol", "price", "quantity", "buy_order_id", "sell_order_id",
            "buyer_agent_id", "seller_agent_id", "is_aggressive_buy", "timestamp",
            "company_name", "sector",
        ),
        iceberg=f"timestamp <= '{(_EPOCH + timedelta(microseconds=CURSOR[0])).isoformat()}'"
        f" and timestamp >= '{DAY.isoformat()}'",  # or it would hold most of the table in memory
    ),
)  # fmt: skip


def ours(session: Session, question: Question) -> Rows:
    if question.name.startswith("page"):
        return list(trades.read(session, trades.TradeFilter(), 100, CURSOR).rows)
    snapshot = session.lake.first(SILVER_TRADES)
    files = matching(snapshot.files, question.conditions)
    condition, parameters = where(question.conditions)
    source = f"(SELECT * FROM {relation(snapshot, files)} WHERE {condition})"
    return session.rows(question.sql.replace("FROM trades", f"FROM {source}"), parameters, files)


def raw(database: duckdb.DuckDBPyConnection, big: Big, question: Question) -> Rows:
    condition, parameters = where(question.conditions)
    source = f"(SELECT * FROM read_parquet('{big.home}/*.parquet') WHERE {condition})"
    sql = question.sql.replace("FROM trades", f"FROM {source}")
    return database.execute(sql, parameters).fetchall()


def arrow(database: duckdb.DuckDBPyConnection, table: Table, question: Question) -> Rows:
    filters = {"row_filter": question.iceberg} if question.iceberg else {}
    rows = table.scan(selected_fields=question.columns, **filters).to_arrow()
    database.register("trades", rows)
    try:
        return database.execute(question.sql).fetchall()
    finally:
        database.unregister("trades")


def database() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect(config={"threads": 2})
    made.execute("SET TimeZone = 'UTC'")
    made.execute("SET parquet_metadata_cache = true")
    return made


def same(one: Rows, other: Rows) -> bool:
    """Equal, floats to 1e-9 relative."""
    return len(one) == len(other) and all(
        math.isclose(a, b, rel_tol=1e-9) if isinstance(a, float) else a == b
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left, right, strict=True)
    )


class Watch:
    """Wall and CPU milliseconds of every run."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def run(self, ask: Callable[[], Rows]) -> Rows:
        cpu, wall = time.process_time(), time.perf_counter()
        answer = ask()
        self.wall.append(1000 * (time.perf_counter() - wall))
        self.cpu.append(1000 * (time.process_time() - cpu))
        return answer


def compare(
    question: Question, contenders: dict[str, Callable[[Question], Rows]], rounds: int
) -> None:
    """The first round warms up and is not counted."""
    watches = {name: Watch() for name in contenders}
    for turn in range(rounds + 1):
        if turn == 1:
            watches = {name: Watch() for name in contenders}
        answers = {
            name: watches[name].run(lambda ask=ask: ask(question))
            for name, ask in contenders.items()
        }
        assert all(same(answers["ours"], other) for other in answers.values()), question.name
    print(f"{question.name}: {len(answers['ours'])} rows")
    wall, cpu = ({n: statistics.median(getattr(w, kind)) for n, w in watches.items()}
                 for kind in ("wall", "cpu"))  # fmt: skip
    for name in contenders:
        print(
            f"  {name:6} {wall[name]:10.1f} ms wall {cpu[name]:10.1f} ms CPU"
            f"   {wall[name] / wall['ours']:8.2f} of ours in wall"
            f" {cpu[name] / cpu['ours']:8.2f} in CPU"
        )


def run(big: Big, rounds: int, questions: Sequence[Question]) -> None:
    began = time.perf_counter()
    catalog, table = big.table()
    print(f"{big.trades:,} trades; the table was there after {time.perf_counter() - began:.0f} s")
    lake = Lake(lambda: catalog, max_age=3600)
    began = time.perf_counter()
    files = lake.first(SILVER_TRADES).files
    print(f"first plan of {len(files)} files: {1000 * (time.perf_counter() - began):.0f} ms")
    engine = Engine(lake, threads=2, memory="4GB", slices=SliceCache(max_rows=0))
    session, beside = engine.session(), database()
    contenders: dict[str, Callable[[Question], Rows]] = {
        "ours": lambda question: ours(session, question),
        "raw": lambda question: raw(beside, big, question),
        "arrow": lambda question: arrow(beside, table, question),
    }
    for question in questions:
        compare(question, contenders, rounds)
    engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trades", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--question", type=int, action="append", help="by number, from 0; all")
    parser.add_argument("--remove", action="store_true", help="delete the files afterwards")
    given = parser.parse_args()
    big = Big(given.trades)
    try:
        run(big, given.rounds, [QUESTIONS[n] for n in given.question or range(len(QUESTIONS))])
    finally:
        if given.remove:
            big.remove()


if __name__ == "__main__":
    main()
