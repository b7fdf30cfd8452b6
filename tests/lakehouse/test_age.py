"""How old rows are when they are seen, on a real catalog."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from tapehouse_lakehouse.age import oldest_arrival

from tests.lakehouse import flink

pytestmark = pytest.mark.local

TABLE, BRANCH = "bronze.trades", "rev-00001"
ARRIVALS = pa.schema([("id", pa.int64()), ("ingested_at", pa.timestamp("us", tz="UTC"))])


def arrived(*seconds: float) -> pa.Table:
    times = [datetime.fromtimestamp(second, UTC) for second in seconds]
    return pa.table({"id": range(len(times)), "ingested_at": times}, schema=ARRIVALS)


def test_the_oldest_row_of_a_snapshot_is_found_without_reading_it(lake):
    flink.create(lake, TABLE, ARRIVALS)
    first = flink.commit(lake, TABLE, BRANCH, 1, arrived(1_000.25, 999.5))
    second = flink.commit(lake, TABLE, BRANCH, 2, arrived(2_000.0, 2_001.0))
    assert oldest_arrival(lake, TABLE, first) == 999.5
    assert oldest_arrival(lake, TABLE, second) == 2_000.0, "only what it added itself"


def test_a_table_that_does_not_say_has_no_age(lake):
    flink.create(lake, TABLE)
    snapshot = flink.commit(lake, TABLE, BRANCH, 1)
    assert oldest_arrival(lake, TABLE, snapshot) is None
    assert oldest_arrival(lake, "bronze.none", snapshot) is None
