"""Runs in the streams environment: `python measure.py rows rounds`; see `functions.py`.

The last line of standard output is the JVM's median CPU-seconds by pair and side.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path

from pyflink.common import Configuration, RowKind
from pyflink.java_gateway import get_gateway
from pyflink.table import EnvironmentSettings, TableEnvironment
from tapehouse_streams import flinksql, home

SYMBOLS = 64
EPOCH = 1_750_000_000_000
TRADES = f"""CREATE TEMPORARY TABLE trades (
  i BIGINT,
  symbol AS 'S' || CAST(MOD(i, {SYMBOLS}) AS STRING),
  price AS CAST(100 + MOD(i * 7919, 1000) / 10.0 AS DOUBLE),
  quantity AS CAST(1 + MOD(i * 31, 1000) AS BIGINT),
  ms AS {EPOCH} + i * 2 + MOD(i * 17, 500),
  happened AS TO_TIMESTAMP_LTZ({EPOCH} + i * 2 + MOD(i * 17, 500), 3),
  WATERMARK FOR happened AS happened - INTERVAL '1' SECOND
) WITH ('connector' = 'datagen', 'number-of-rows' = '{{rows}}', 'fields.i.kind' = 'sequence',
  'fields.i.start' = '0', 'fields.i.end' = '{{last}}', 'rows-per-second' = '100000000')"""
LEVELS = ", ".join(
    f"CAST(ROW(price {{sign}} 0.1E0 * {n}, quantity + {n}, 1)"
    " AS ROW<price DOUBLE, quantity BIGINT, order_count INT>)"
    for n in range(1, 6)
)
BOOKS = (
    f"CREATE TEMPORARY VIEW books AS SELECT i, ARRAY[{LEVELS.format(sign='-')}] AS bids,"
    f" ARRAY[{LEVELS.format(sign='+')}] AS asks FROM trades"
)
WINDOWS = "TABLE(TUMBLE(TABLE trades, DESCRIPTOR(happened), INTERVAL '1' MINUTE))"
PLACE = "LPAD(CAST(ms AS STRING), 13, '0') || LPAD(CAST(i AS STRING), 12, '0')"
DIMENSION = [
    {
        "key": f"S{number}",
        "from": "2020-01-01T00:00:00Z" if version == 0 else "2025-06-15T15:06:42Z",
        "to": "2025-06-15T15:06:42Z" if version == 0 else None,
        "row": {"sector": f"Sector {(number + version) % 7}"},
    }
    for number in range(SYMBOLS)
    for version in (0, 1)
]
VERSIONS = ", ".join(
    "('{}', TO_TIMESTAMP_LTZ({}, 3), TO_TIMESTAMP_LTZ({}, 3), '{}')".format(
        one["key"],
        0 if one["to"] else 1_750_000_002_000,
        1_750_000_002_000 if one["to"] else 4_000_000_000_000,
        one["row"]["sector"],
    )
    for one in DIMENSION
)
PAIRS = {
    "FIRST_BY and LAST_BY": (
        "w TIMESTAMP(3), symbol STRING, f DOUBLE, l DOUBLE, h DOUBLE, v BIGINT",
        f"""SELECT window_start, symbol, FIRST_BY(price, happened, i).`value`,
          LAST_BY(price, happened, i).`value`, MAX(price), SUM(quantity)
        FROM {WINDOWS} GROUP BY window_start, window_end, symbol""",
        f"""SELECT window_start, symbol,
          CAST(SUBSTRING(MIN({PLACE} || CAST(price AS STRING)), 26) AS DOUBLE),
          CAST(SUBSTRING(MAX({PLACE} || CAST(price AS STRING)), 26) AS DOUBLE),
          MAX(price), SUM(quantity)
        FROM {WINDOWS} GROUP BY window_start, window_end, symbol""",
    ),
    "BOOK_STATS": (
        "i BIGINT, bid DOUBLE, ask DOUBLE, bids BIGINT, asks BIGINT",
        """SELECT i, s.best_bid_price, s.best_ask_price, s.bid_depth, s.ask_depth
        FROM (SELECT i, BOOK_STATS(bids, asks) AS s FROM books)""",
        """SELECT b.i, b.best, a.best, b.depth, a.depth FROM
          (SELECT i, MAX(price) AS best, SUM(quantity) AS depth
           FROM books CROSS JOIN UNNEST(bids) AS l (price, quantity, orders) GROUP BY i) b
          JOIN (SELECT i, MIN(price) AS best, SUM(quantity) AS depth
           FROM books CROSS JOIN UNNEST(asks) AS l (price, quantity, orders) GROUP BY i) a
          ON a.i = b.i""",
    ),
    "DIM_AS_OF": (
        "i BIGINT, sector STRING",
        "SELECT i, DIM_AS_OF('symbols', symbol, happened)['sector'] FROM trades",
        """SELECT t.i, s.sector FROM trades t JOIN versions s
          ON t.symbol = s.symbol AND t.happened >= s.since AND t.happened < s.until""",
    ),
}


class Runner:
    """One table environment over so many rows."""

    def __init__(self, rows: int, dimensions: Path) -> None:
        settings = Configuration()
        for key, value in {
            "execution.target": "local",
            "parallelism.default": "1",
            "table.local-time-zone": "UTC",
            "pipeline.global-job-parameters": f"tapehouse.dimensions:'{dimensions}'",
        }.items():
            settings.set_string(key, value)
        made = EnvironmentSettings.new_instance().in_streaming_mode()
        self.tables = TableEnvironment.create(made.with_configuration(settings).build())
        flinksql.add_functions(self.tables)
        self.tables.execute_sql(TRADES.format(rows=rows, last=rows - 1))
        self.tables.execute_sql(BOOKS)
        self.tables.execute_sql(
            "CREATE TEMPORARY VIEW versions AS SELECT * FROM"
            f" (VALUES {VERSIONS}) AS v (symbol, since, until, sector)"
        )

    def rows(self, query: str) -> list[list[str]]:
        """The rows the query ends with, sorted."""
        found: dict[tuple[str, ...], int] = {}
        with self.tables.execute_sql(query).collect() as results:
            for row in results:
                key = tuple(map(str, row))
                added = row.get_row_kind() in (RowKind.INSERT, RowKind.UPDATE_AFTER)
                found[key] = found.get(key, 0) + (1 if added else -1)
        return sorted(list(key) for key, count in found.items() for _ in range(count))

    def seconds(self, columns: str, query: str) -> float:
        """CPU-seconds of the JVM for all rows, planning included."""
        self.tables.execute_sql("DROP TEMPORARY TABLE IF EXISTS nowhere")
        self.tables.execute_sql(
            f"CREATE TEMPORARY TABLE nowhere ({columns}) WITH ('connector' = 'blackhole')"
        )
        before = cpu()
        self.tables.execute_sql(f"INSERT INTO nowhere {query}").wait()
        return cpu() - before


def cpu() -> float:
    process = get_gateway().jvm.java.lang.ProcessHandle.current()
    return process.info().totalCpuDuration().get().toMillis() / 1000


def main(rows: int, rounds: int) -> None:
    dimensions = Path(tempfile.mkdtemp())
    lines = "".join(json.dumps(one) + "\n" for one in DIMENSION)
    (dimensions / "symbols.jsonl").write_text(lines)
    few = Runner(2_000, dimensions)
    for name, (_, ours, plain) in PAIRS.items():
        assert few.rows(ours) == few.rows(plain), f"{name}: the two queries do not agree"
    runner = Runner(rows, dimensions)
    seconds = {name: {"ours": [], "plain": []} for name in PAIRS}
    for turn in range(rounds + 1):
        for name, (columns, ours, plain) in PAIRS.items():
            for side, query in (("ours", ours), ("plain", plain)):
                spent = runner.seconds(columns, query)
                if turn:
                    seconds[name][side].append(spent)
    medians = {
        name: {side: statistics.median(spent) for side, spent in sides.items()}
        for name, sides in seconds.items()
    }
    sys.stdout.write(json.dumps(medians) + "\n")


if __name__ == "__main__":
    home.settle()
    main(int(sys.argv[1]), int(sys.argv[2]))
