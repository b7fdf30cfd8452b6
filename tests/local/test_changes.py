"""`kubectl apply` of a change takes effect; of a mistake, it is refused and all goes on."""

from collections import Counter
from typing import Any

import pytest
import yaml

from tests.local.platform import Platform, eventually
from tests.local.test_ledger import rows

pytestmark = pytest.mark.local

COLUMNS = """
    - {name: trade_id, type: string}
    - {name: symbol, type: string}
    - {name: quantity, type: int}
    - {name: kafka_partition, type: int}
    - {name: kafka_offset, type: long}
"""
SQL = """
    INSERT INTO {table} (trade_id, symbol, quantity, kafka_partition, kafka_offset{more})
    SELECT trade_id, symbol, CAST(quantity AS INT), kafka_partition, kafka_offset{more} FROM trades;
"""

NONSENSE = "    INSERT INTO {table} (nonsense) SELECT 1 FROM trades;\n"


def resource(kind: str, name: str, spec: dict[str, Any]) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "tapehouse.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
    )


def feed(name: str, rate: float, seed: int = 5, **simulator: Any) -> str:
    fields = {
        "trade_id": "string",
        "timestamp": "timestamptz",
        "symbol": "string",
        "price": "double",
        "quantity": "long",
    }
    event = {
        "name": "TradeExecuted",
        "key": "symbol",
        "eventTime": "timestamp",
        "fields": [{"name": n, "type": t, "required": True} for n, t in fields.items()],
    }
    exchange = {"symbols": ["TAPE", "REEL"], "tradesPerSecond": rate, "seed": seed, **simulator}
    spec = {
        "deletionPolicy": "Delete",
        "source": {"simulator": exchange},
        "events": [event],
        "topics": [{"event": "TradeExecuted", "name": f"raw.{name}", "partitions": 2}],
    }
    return resource("TradeFeed", name, spec)


def table(name: str, columns: str = COLUMNS) -> str:
    return f"""
apiVersion: tapehouse.dev/v1alpha1
kind: LakehouseTable
metadata: {{name: {name}}}
spec:
  deletionPolicy: Delete
  identifier: test.{name}
  columns: {columns}
  stream: {{job: {name}}}
"""


def job(name: str, more: str = "", sql: str = SQL) -> str:
    return f"""
apiVersion: tapehouse.dev/v1alpha1
kind: StreamJob
metadata: {{name: {name}}}
spec:
  inputs: [{{feed: {name}, event: TradeExecuted, as: trades}}]
  outputs: [{{table: {name}}}]
  parallelism: 1
  checkpoint: {{interval: 2s}}
  sql: |
    {sql.format(table=f"test.{name}", more=more)}
"""


def exact(platform: Platform, name: str) -> list[dict[str, Any]]:
    """What the table holds, each trade once and no offset missing."""
    landed = rows(platform, f"test.{name}")
    assert max(Counter(r["trade_id"] for r in landed).values(), default=1) == 1
    for partition in {r["kafka_partition"] for r in landed}:
        offsets = [r["kafka_offset"] for r in landed if r["kafka_partition"] == partition]
        assert sorted(offsets) == list(range(len(offsets)))
    return landed


def refusal(platform: Platform, kind: str, name: str) -> str:
    found = platform.wait(kind, name, "Accepted", "False")
    return f"{found['reason']}: {found['message']}"


@pytest.fixture(scope="module")
def changing(platform: Platform) -> str:
    """A feed, a table and a job of the module's own."""
    name = "changing"
    platform.kubectl("apply", "-f", "-", stdin=feed(name, 50))
    platform.kubectl("apply", "-f", "-", stdin=table(name))
    platform.kubectl("apply", "-f", "-", stdin=job(name))
    for kind in ("tradefeed", "lakehousetable", "streamjob"):
        platform.wait(kind, name)
    eventually(lambda: exact(platform, name), 120, every=2)
    return name


def test_a_changed_rate_takes_effect_and_no_row_is_lost(platform: Platform, changing: str) -> None:
    before = len(exact(platform, changing))
    platform.kubectl("apply", "-f", "-", stdin=feed(changing, 200))
    platform.wait("tradefeed", changing)
    eventually(lambda: len(exact(platform, changing)) > before + 400, 120, every=2)


def test_a_new_column_takes_effect_and_no_row_is_lost(platform: Platform, changing: str) -> None:
    wider = COLUMNS + "    - {name: price, type: double}\n"
    platform.kubectl("apply", "-f", "-", stdin=table(changing, wider))
    platform.wait("lakehousetable", changing)
    platform.kubectl("apply", "-f", "-", stdin=job(changing, ", price"))

    def priced() -> bool:
        landed = exact(platform, changing)
        return any(r.get("price") for r in landed) and any(not r.get("price") for r in landed)

    eventually(priced, 180, every=2)
    platform.wait("streamjob", changing)
    assert platform.get("streamjob", changing)["status"]["currentRevision"].endswith("00002")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (lambda n: feed(n, 50).replace("tradesPerSecond", "tradesPerSekond"), "tradesPerSekond"),
        (lambda n: table(n).replace("identifier", "identifer"), "identifer"),
        (lambda n: job(n).replace("parallelism: 1", "parallelism: -1"), "parallelism"),
    ],
)
def test_a_misspelt_or_impossible_field_is_refused_at_once(
    platform: Platform, changing: str, document: Any, says: str
) -> None:
    done = platform.try_kubectl("apply", "-f", "-", stdin=document(changing))
    assert done.returncode != 0
    assert says in done.stderr


def test_a_narrower_type_is_refused_and_the_table_stays(platform: Platform, changing: str) -> None:
    good = platform.get("lakehousetable", changing)["spec"]
    columns = [
        column | {"type": "int"} if column["name"] == "kafka_offset" else column
        for column in good["columns"]
    ]
    done = platform.try_kubectl(
        "apply", "-f", "-", stdin=resource("LakehouseTable", changing, good | {"columns": columns})
    )
    try:
        denied = done.returncode != 0
        said = done.stderr if denied else refusal(platform, "lakehousetable", changing)
        assert "long" in said or "widen" in said
        assert exact(platform, changing)
    finally:
        platform.kubectl("apply", "-f", "-", stdin=resource("LakehouseTable", changing, good))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda n: job(n, sql="    INSERT INTO {table} (trade_id) SELECT FROM;\n"), "FROM"),
        (lambda n: job(n).replace("feed: changing", "feed: nowhere"), "nowhere"),
        (
            lambda n: job(n, sql="    INSERT INTO {table} (nonsense) SELECT 1 FROM trades;\n"),
            "nonsense",
        ),
    ],
)
def test_a_broken_job_is_refused_while_the_old_one_runs(
    platform: Platform, changing: str, wrong: Any, says: str
) -> None:
    good = platform.get("streamjob", changing)["spec"]
    before = platform.get("flinkdeployment", changing)["status"]["jobStatus"]["jobId"]
    try:
        # At once, or in the status when only Flink can see it or something may still come.
        done = platform.try_kubectl("apply", "-f", "-", stdin=wrong(changing))
        denied = done.returncode != 0
        assert says in (done.stderr if denied else refusal(platform, "streamjob", changing))
        count = len(exact(platform, changing))
        eventually(lambda: len(exact(platform, changing)) > count, 60, every=2)
        after = platform.get("flinkdeployment", changing)["status"]["jobStatus"]["jobId"]
        assert after == before
    finally:
        platform.kubectl("apply", "-f", "-", stdin=resource("StreamJob", changing, good))
        platform.wait("streamjob", changing, "Accepted")
