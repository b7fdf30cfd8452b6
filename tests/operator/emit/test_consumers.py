"""Who reads what, by the specs of those who do."""

from tapehouse_operator.emit.consumers import Source, event_readers, readers
from tapehouse_operator.emit.core import ObjectKey
from tapehouse_operator.names import API_VERSION

TABLE, FEED = Source("LakehouseTable", "trades"), Source("TradeFeed", "market")


def at(kind: str, name: str = "x") -> ObjectKey:
    return ObjectKey(API_VERSION, kind, name)


CONSUMERS = {
    at("LakehouseTable", "gold"): {
        "transform": {"inputs": ["trades"], "sql": 'SELECT "price", qty AS n FROM silver.trades'}
    },
    at("LakehouseTable", "other"): {"transform": {"inputs": ["quotes"], "sql": "SELECT price"}},
    at("StreamJob", "land"): {
        "inputs": [{"as": "t", "feed": "market", "event": "Trade", "unique": ["trade_id"]}],
        "sql": "INSERT INTO bronze.trades (price) SELECT price FROM t;",
    },
    at("QualitySuite", "suite"): {
        "target": {"table": "trades"},
        "expectations": [
            {"kwargs": {"column": "price"}},
            {"kwargs": {"column_list": ["qty", "venue"]}},
            {"kwargs": {"query": "SELECT * FROM t WHERE side = 1"}},
        ],
        "freshness": {"column": "timestamp"},
    },
    at("Dashboard", "board"): {
        "datasets": [{"name": "d", "table": "trades"}, {"name": "e", "table": "quotes"}],
        "charts": [
            {"dataset": "e", "values": ["price"]},
            {"dataset": "d", "x": "timestamp", "values": ["price"], "series": "symbol"},
        ],
    },
}


def test_everybody_who_reads_a_column_is_named_with_the_place() -> None:
    assert readers(TABLE, "price", CONSUMERS) == (
        "dashboard/board (spec.charts[1].values)",
        "lakehousetable/gold (spec.transform.sql)",
        "qualitysuite/suite (spec.expectations[0].kwargs.column)",
    )
    assert readers(TABLE, "venue", CONSUMERS) == (
        "qualitysuite/suite (spec.expectations[1].kwargs.column_list)",
    )
    assert len(readers(TABLE, "timestamp", CONSUMERS)) == 2
    assert readers(TABLE, "side", CONSUMERS)[0].endswith("kwargs.query)")
    assert readers(TABLE, "nobody", CONSUMERS) == ()


def test_fields_and_events_of_a_feed() -> None:
    assert readers(FEED, "price", CONSUMERS) == ("streamjob/land (spec.sql)",)
    assert readers(FEED, "trade_id", CONSUMERS) == ("streamjob/land (spec.inputs[0].unique)",)
    assert event_readers("market", "Trade", CONSUMERS) == ("streamjob/land (spec.inputs[0])",)
    assert event_readers("market", "Quote", CONSUMERS) == ()


def test_a_spec_that_is_no_good_reads_nothing() -> None:
    odd = {at("Dashboard"): {"charts": ["x"], "datasets": None}, at("StreamJob"): {"inputs": [1]}}
    assert readers(TABLE, "price", odd) == ()
