"""`health`: what counts as well, what is said first, how lags are read from metrics."""

from tapehouse_cli.platform.health import Health, Lag, lags
from tapehouse_cli.platform.status_view import Row

FEED = """# TYPE tapehouse_feed_last_frame_timestamp_seconds gauge
tapehouse_feed_last_frame_timestamp_seconds{feed="market"} 98.5
"""
PUBLISHER = """# TYPE tapehouse_table_snapshot_timestamp_seconds gauge
tapehouse_table_snapshot_timestamp_seconds{table="bronze.trades"} 90
tapehouse_table_snapshot_timestamp_seconds{table="bronze.quotes"} 101
# TYPE tapehouse_publish_lag_seconds gauge
tapehouse_publish_lag_seconds{table="bronze.trades"} 0.25
# TYPE tapehouse_publish_moves counter
tapehouse_publish_moves_total{table="bronze.trades"} 7
"""
GOOD = (Row("component", "kafka", True), Row("StreamJob", "land", True))


def test_lags_are_read_from_the_metrics() -> None:
    assert set(lags({"feed": FEED, "publisher": PUBLISHER}, now=100.0)) == {
        Lag("since the last frame", "market", 1.5),
        Lag("age of what readers see", "bronze.trades", 10.0),
        Lag("age of what readers see", "bronze.quotes", 0.0),
        Lag("from commit to readers", "bronze.trades", 0.25),
    }


def test_all_is_well_when_all_is_ready_and_answers() -> None:
    assert Health(GOOD).good
    assert list(Health(GOOD).lines()) == ["healthy: 2 of 2 ready"]
    assert not Health(()).good


def test_trouble_is_told_with_its_reason_and_the_worst_lags() -> None:
    bad = Row("StreamJob", "refine", False, "CommitStalled: run: tapehouse repair streamjob/refine")
    found = Health((*GOOD, bad), tuple(Lag("age", f"t{n}", float(n)) for n in range(5)), ("feed",))
    assert not found.good
    assert list(found.lines()) == [
        "NOT healthy: 2 of 3 ready",
        "  streamjob/refine: CommitStalled: run: tapehouse repair streamjob/refine",
        "  metrics of feed do not answer",
        "  age: t4 4.0 s, t3 3.0 s, t2 2.0 s and 2 more below",
    ]


def test_silent_metrics_are_not_well() -> None:
    assert not Health(GOOD, silent=("feed",)).good
