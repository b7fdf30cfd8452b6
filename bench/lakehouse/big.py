"""A large silver.trades on disk: seeded, partitioned and sorted as the shipped table is.

Kept under the cache directory by what it was made of, so that it is made once; a run that was
stopped goes on with the file it was at. 100 million trades are about 3 GB.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import BucketTransform, DayTransform
from pyiceberg.typedef import Record
from pyiceberg.types import (
    BooleanType,
    DoubleType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

from tests.query.catalog import MemoryCatalog, data_file

CACHE = Path.home() / ".cache" / "tapehouse" / "bench"
NAME = "silver.trades"
DAYS, BUCKETS = 20, 16
FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)
SYMBOLS = tuple(f"S{number:03}" for number in range(64))

_VERSION = 1
"""To be raised with whatever changes the files."""
_TEXT, _NUMBER, _WHOLE = StringType(), DoubleType(), LongType()
_COLUMNS = {
    "trade_id": _TEXT, "symbol": _TEXT, "price": _NUMBER, "quantity": _WHOLE, "value": _NUMBER,
    "buy_order_id": _TEXT, "sell_order_id": _TEXT, "buyer_agent_id": _TEXT,
    "seller_agent_id": _TEXT, "is_aggressive_buy": BooleanType(), "timestamp": TimestamptzType(),
    "company_name": _TEXT, "sector": _TEXT, "market_cap_category": _TEXT,
    "kafka_partition": IntegerType(), "kafka_offset": _WHOLE, "ingested_at": TimestamptzType(),
    "trace_id": _TEXT,
}  # fmt: skip
SCHEMA = Schema(
    *(NestedField(number, name, kind) for number, (name, kind) in enumerate(_COLUMNS.items(), 1))
)
SPEC = PartitionSpec(
    PartitionField(11, 1000, DayTransform(), "timestamp_day"),
    PartitionField(2, 1001, BucketTransform(BUCKETS), "symbol_bucket"),
)
_ROWS = """
WITH numbered AS (
  SELECT i, (hash(i, {seed}, {day}, {bucket}) >> 1)::BIGINT AS h FROM range({rows}) AS numbers(i)
), drawn AS (
  SELECT *, {symbols}[1 + h % {many}] AS symbol,
    make_timestamptz({start} + i * 23_400_000_000 // {rows} + (h >> 20) % 20_000) AS timestamp
  FROM numbered
), priced AS (
  SELECT *, (1 + (h >> 16) % 1000)::BIGINT AS quantity,
    round(50 + (hash(symbol) % 400)::BIGINT + 5 * sin(i / 5e4) + (h >> 8) % 100 / 100, 2) AS price
  FROM drawn
)
SELECT md5(h::VARCHAR) AS trade_id, symbol, price, quantity, price * quantity AS value,
  'b' || i AS buy_order_id, 's' || i AS sell_order_id,
  'agent-' || (h >> 24) % 500 AS buyer_agent_id, 'agent-' || (h >> 34) % 500 AS seller_agent_id,
  h % 2 = 0 AS is_aggressive_buy, timestamp, symbol || ' Inc.' AS company_name,
  'Sector ' || hash(symbol) % 11 AS sector, 'Large' AS market_cap_category,
  (h % 6)::INTEGER AS kafka_partition, i AS kafka_offset,
  timestamp + INTERVAL 3 MILLISECONDS AS ingested_at, NULL::VARCHAR AS trace_id
FROM priced ORDER BY symbol, timestamp
"""


@dataclass(frozen=True)
class Big:
    """How many trades, and of which seed."""

    trades: int
    seed: int = 7

    @property
    def home(self) -> Path:
        """The files' directory."""
        return CACHE / f"trades-v{_VERSION}-{self.trades}-{self.seed}"

    def table(self) -> tuple[MemoryCatalog, Table]:
        """The table in a catalog of its own; makes the files that are not there yet."""
        self.home.mkdir(parents=True, exist_ok=True)
        parts = [(cell, self._written(cell)) for cell in _cells()]
        catalog = MemoryCatalog(self.home)
        table = catalog.create_table(NAME, SCHEMA, partition_spec=SPEC)
        with table.transaction() as change, change.update_snapshot().fast_append() as commit:
            for (day, bucket), path in parts:
                commit.append_data_file(data_file(table, path, Record(_epoch_day(day), bucket)))
        return catalog, table.refresh()

    def remove(self) -> None:
        """Delete the files."""
        shutil.rmtree(self.home, ignore_errors=True)

    def _written(self, cell: tuple[int, int]) -> Path:
        day, bucket = cell
        path = self.home / f"day-{day:02}-bucket-{bucket:02}.parquet"
        if path.exists():
            return path
        symbols = _buckets()[bucket]
        start = FIRST_DAY + timedelta(days=day, hours=14, minutes=30)
        rows = _ROWS.format(
            seed=self.seed, day=day, bucket=bucket, symbols=list(symbols), many=len(symbols),
            rows=self.trades // DAYS * len(symbols) // len(SYMBOLS),
            start=int(start.timestamp() * 1_000_000),
        )  # fmt: skip
        ids = ", ".join(f"{field.name}: {field.field_id}" for field in SCHEMA.fields)
        unfinished = path.with_suffix(".part")
        options = f"FORMAT parquet, COMPRESSION zstd, FIELD_IDS {{{ids}}}"
        duckdb.execute("SET TimeZone = 'UTC'")
        duckdb.execute(f"COPY ({rows}) TO '{unfinished}' ({options})")
        return unfinished.rename(path)


def _cells() -> Iterator[tuple[int, int]]:
    return ((day, bucket) for day in range(DAYS) for bucket in _buckets())


def _buckets() -> Mapping[int, tuple[str, ...]]:
    """The symbols of each bucket that has any."""
    bucket_of = BucketTransform(BUCKETS).transform(StringType())
    found: dict[int, list[str]] = {}
    for symbol in SYMBOLS:
        found.setdefault(int(bucket_of(symbol) or 0), []).append(symbol)
    return {bucket: tuple(symbols) for bucket, symbols in sorted(found.items())}


def _epoch_day(day: int) -> int:
    return (FIRST_DAY - datetime(1970, 1, 1, tzinfo=UTC)).days + day
