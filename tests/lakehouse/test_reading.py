"""DuckDB over Iceberg: by field id, within ranges, and nothing but the attached tables."""

from datetime import timedelta

import duckdb
import pyarrow as pa
import pytest
from pyiceberg.types import LongType
from tapehouse_lake.database import Database

from tests.lakehouse import declared, flink, market
from tests.lakehouse.market import utc

pytestmark = pytest.mark.local


def micros(moment):
    return int(moment.timestamp() * 1_000_000)


def test_renamed_added_and_widened_columns_read_right_in_old_files(lake):
    schema = pa.schema([("id", pa.int64()), ("count", pa.int32())])
    table = flink.create(lake, "bronze.t", schema)
    table.append(pa.table({"id": [1], "count": [7]}, schema=schema))
    with table.update_schema() as update:
        update.rename_column("id", "number")
        update.update_column("count", LongType())
    with table.update_schema() as update:
        update.add_column("id", LongType())
    with Database() as database:
        table = flink.load(lake, "bronze.t")
        database.attach("bronze.t", table, table.metadata.current_snapshot_id)
        rows = database.connection.execute("SELECT number, count, id FROM bronze.t").fetchall()
    assert rows == [(1, 7, None)]


def test_nested_columns_keep_their_nulls(lake):
    levels = pa.list_(pa.struct([("price", pa.float64())]))
    schema = pa.schema([("id", pa.int64()), ("bids", levels)])
    table = flink.create(lake, "bronze.t", schema)
    table.append(pa.table({"id": [1, 2], "bids": [[{"price": 2.5}], None]}, schema=schema))
    with Database() as database:
        database.attach("bronze.t", table, table.metadata.current_snapshot_id)
        rows = database.connection.execute("SELECT bids FROM bronze.t ORDER BY id").fetchall()
    assert rows == [([{"price": 2.5}],), (None,)]


def test_ranges_limit_rows_and_a_table_without_snapshot_is_empty(lake):
    declared.create(lake, "silver-trades")
    table = flink.load(lake, "silver.trades")
    with Database() as database:
        database.attach("silver.trades", table, None)
        assert database.connection.execute("FROM silver.trades").fetchall() == []
    rows = market.trades(1, utc(2026, 3, 2, 20), 300, timedelta(minutes=5))
    table.append(market.silver(rows))
    low, high = utc(2026, 3, 2, 22), utc(2026, 3, 3, 3)
    with Database() as database:
        head = table.metadata.current_snapshot_id
        ranges = [(micros(low), micros(high))]
        database.attach("silver.trades", table, head, "timestamp", ranges)
        (count,) = database.connection.execute("SELECT count(*) FROM silver.trades").fetchone()
    assert 0 < count == sum(low <= r["timestamp"] < high for r in rows) < 300


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY (SELECT 1) TO '/tmp/tapehouse-escaped'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT * FROM secret_frame",
    ],
)
def test_a_sealed_database_reaches_nothing_else(sql):
    secret_frame = pa.table({"a": [1]})
    assert secret_frame.num_rows
    with Database() as database:
        database.seal()
        with pytest.raises(duckdb.Error):
            database.connection.execute(sql)


def test_what_does_not_fit_in_memory_is_spilled():
    with Database(memory="64MB") as database:
        database.seal()
        sql = "SELECT count(*) FROM (SELECT DISTINCT hash(i) FROM range(3000000) t(i))"
        assert database.connection.execute(sql).fetchone() == (3_000_000,)
