"""Jobs in a row, and a table that is repartitioned while its job writes."""

from collections import Counter

import pytest
import yaml

from tests.local.platform import Platform, eventually
from tests.local.test_changes import exact, feed, job, table
from tests.local.test_ledger import rows

pytestmark = [pytest.mark.local, pytest.mark.e2e]

FIRST, SECOND, TOPIC = "chained", "chained-again", "derived.chained"
TRADES = 12_000
WRITTEN = [{"name": "trade_id", "type": "string"}, {"name": "quantity", "type": "int"}]
ONWARD = (
    f"INSERT INTO `{TOPIC}` (trade_id, quantity) SELECT trade_id, CAST(quantity AS INT) FROM trades"
)
AGAIN = (
    "INSERT INTO test.chained_again (trade_id, quantity) SELECT trade_id, quantity * 2 FROM derived"
)


@pytest.fixture(scope="module")
def chained(platform: Platform) -> None:
    """A feed that ends, a job that writes a table and a topic, a job that reads the topic."""
    writer = yaml.safe_load(job(FIRST))
    writer["spec"]["outputs"].append({"topic": TOPIC, "key": ["trade_id"], "columns": WRITTEN})
    writer["spec"]["sql"] += f"{ONWARD};\n"
    reader = yaml.safe_load(job(SECOND))
    reader["spec"] |= {"inputs": [{"as": "derived", "topic": TOPIC}], "sql": AGAIN}
    again = yaml.safe_load(table(SECOND))
    again["spec"] |= {"identifier": "test.chained_again", "columns": WRITTEN}
    bodies = [yaml.safe_load(feed(FIRST, 100, limit=TRADES)), yaml.safe_load(table(FIRST))]
    bodies += [writer, again, reader]
    platform.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(bodies))
    for name in (FIRST, SECOND):
        platform.wait("streamjob", name)


def layouts(platform: Platform) -> set[int]:
    """The partition specs that the table's files were written by."""
    files = platform.catalog.load_table(f"test.{FIRST}").inspect.files()
    return set(files["spec_id"].to_pylist())


def test_a_partition_that_changes_restarts_the_job_and_loses_nothing(
    platform: Platform, chained: None
) -> None:
    eventually(lambda: exact(platform, FIRST), 120, every=2)
    before = platform.get("flinkdeployment", FIRST)["status"]["jobStatus"]["jobId"]
    divided = yaml.safe_load(table(FIRST))
    divided["spec"]["partition"] = ["symbol"]
    platform.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(divided))
    eventually(lambda: layouts(platform) == {0, 1}, 120, every=2)
    eventually(lambda: len(exact(platform, FIRST)) == TRADES, 240, every=2)
    platform.wait("streamjob", FIRST)
    after = platform.get("flinkdeployment", FIRST)["status"]["jobStatus"]["jobId"]
    assert after != before


def test_a_job_reads_what_another_job_wrote(platform: Platform, chained: None) -> None:
    def reported() -> bool:
        first = Counter((r["trade_id"], 2 * r["quantity"]) for r in rows(platform, f"test.{FIRST}"))
        found = Counter(
            (r["trade_id"], r["quantity"]) for r in rows(platform, "test.chained_again")
        )
        assert first.total() == TRADES
        # The first job was restarted: what it had sent since its last checkpoint is sent again.
        assert first.keys() == found.keys()
        return True

    eventually(reported, 240, every=2)
