"""The shipped dimensions on a real catalog."""

import datetime as dt

import msgspec
import pyarrow as pa
import pytest
from tapehouse_lakehouse.dimensions.load import load
from tapehouse_lakehouse.model import InvalidError, Producer
from tapehouse_lakehouse.transforms.run import run

from tests.lakehouse import declared, flink
from tests.lakehouse.market import utc

pytestmark = pytest.mark.local


def rows_spec(name, rows=None, csv=None):
    spec = declared.spec(name)
    given = rows if rows is not None or csv else declared.resources()[name]["rows"]["inline"]
    producer = Producer(type="rows", rows=None if given is None else tuple(given), csv=csv)
    return type(spec)(
        **{f: getattr(spec, f) for f in spec.__struct_fields__} | {"producer": producer}
    )


def read(lake, name):
    table = flink.load(lake, declared.resources()[name]["identifier"])
    return table.scan().to_arrow().to_pylist(), len(table.metadata.snapshots)


def test_symbols_loaded_three_times_then_changed(lake):
    declared.create(lake, "dim-symbol")
    spec = rows_spec("dim-symbol")
    outcomes = [load(lake, spec, utc(2026, 1, day)) for day in (1, 2, 3)]
    count = len(declared.resources()["dim-symbol"]["rows"]["inline"])
    assert [o.added for o in outcomes] == [count, 0, 0]
    rows, snapshots = read(lake, "dim-symbol")
    assert (len(rows), snapshots) == (count, 1)
    changed = [dict(r) for r in spec.producer.rows]
    changed[0] |= {"sector": "Media", "price_target": 300}
    assert load(lake, rows_spec("dim-symbol", changed), utc(2026, 2, 1)).added == 1
    rows, snapshots = read(lake, "dim-symbol")
    assert snapshots == 2
    mine = sorted((r for r in rows if r["symbol"] == "AAPL"), key=lambda r: r["version"])
    assert [(r["sector"], r["valid_to"]) for r in mine] == [
        ("Technology", utc(2026, 2, 1)),
        ("Media", None),
    ]
    assert {(r["price_target"], r["previous_price_target"]) for r in mine} == {(300.0, 240.0)}


def test_rows_from_csv(lake):
    declared.create(lake, "dim-symbol")
    csv = "symbol,sector,valid_from\nAAPL,Tech,\nMSFT,,2020-01-01T00:00:00Z\n"
    load(lake, rows_spec("dim-symbol", csv=csv), utc(2026, 1, 1))
    rows, _ = read(lake, "dim-symbol")
    shown = {r["symbol"]: (r["sector"], r["valid_from"]) for r in rows}
    assert shown == {"AAPL": ("Tech", utc(1970, 1, 1)), "MSFT": (None, utc(2020, 1, 1))}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rows": [{"symbol": "A", "sektor": "x"}]}, r"no column sektor; use symbol, company_name"),
        ({"rows": [{"symbol": "A", "price_target": "dear"}]}, r"inline\[0\]\.price_target: 'dear'"),
        ({"rows": [{"symbol": "A"}, {"symbol": "A"}]}, r"symbol='A': the key is there twice"),
        ({"csv": "symbol,price_target\nA,dear\n"}, r"csvFrom.*price_target|csvFrom.*'dear'"),
        ({"csv": "symbol,version\nA,3\n"}, r"no column version"),
    ],
)
def test_rows_that_do_not_fit_are_refused_by_name(lake, given, message):
    declared.create(lake, "dim-symbol")
    with pytest.raises(InvalidError, match=message):
        load(lake, rows_spec("dim-symbol", **given), utc(2026, 1, 1))
    assert read(lake, "dim-symbol") == ([], 0)


LANDED = pa.schema(
    [
        ("symbol", pa.string()),
        ("sector", pa.string()),
        ("since", pa.timestamp("us", "UTC")),
        ("kafka_offset", pa.int64()),
    ]
)
NEWEST = """SELECT symbol, arg_max(sector, kafka_offset) AS sector, max(since) AS valid_from
  FROM bronze.instruments GROUP BY symbol"""


def test_history_is_kept_of_what_a_query_gives(lake):
    """As of a feed of reference data that a job has landed."""
    declared.create(lake, "dim-symbol")
    flink.create(lake, "bronze.instruments", LANDED)
    producer = Producer(type="transform", sql=NEWEST, inputs=("bronze.instruments",))
    spec = msgspec.structs.replace(declared.spec("dim-symbol"), producer=producer)

    def added(*rows):
        if rows:
            columns = map(list, zip(*rows, strict=True))
            landed = pa.table(dict(zip(LANDED.names, columns, strict=True)), LANDED)
            flink.load(lake, "bronze.instruments").append(landed)
        return load(lake, spec, utc(2026, 1, 1)).added

    assert added() == 0
    assert added(("AAPL", "Tech", utc(2020, 1, 1), 1), ("MSFT", "Tech", utc(2020, 1, 1), 2)) == 2
    assert added() == 0
    assert added(("MSFT", "Tech", utc(2021, 1, 1), 3)) == 0
    assert added(("AAPL", "Media", utc(2022, 1, 1), 4)) == 1
    rows, _ = read(lake, "dim-symbol")
    shown = sorted((r["symbol"], r["version"], r["sector"], r["valid_to"]) for r in rows)
    assert shown == [
        ("AAPL", 1, "Tech", utc(2022, 1, 1)),
        ("AAPL", 2, "Media", None),
        ("MSFT", 1, "Tech", None),
    ]
    wrong = Producer(type="transform", sql=NEWEST.replace("AS sector", "AS version"),
                     inputs=producer.inputs)  # fmt: skip
    with pytest.raises(InvalidError, match=r"spec\.transform\.sql: gives version"):
        load(lake, msgspec.structs.replace(spec, producer=wrong), utc(2026, 1, 1))


def test_generated_dimensions_are_whole_and_idempotent(lake):
    for name in ("dim-time", "dim-date"):
        declared.create(lake, name)
        for _ in range(3):
            run(lake, declared.spec(name))
    minutes, snapshots = read(lake, "dim-time")
    assert (len(minutes), snapshots) == (1440, 1)
    assert minutes[-1]["time_of_day"] == "23:59"
    days, snapshots = read(lake, "dim-date")
    assert snapshots == 1
    wanted = [dt.date(2000, 1, 1) + dt.timedelta(days=i) for i in range(18263)]
    assert [d["date"] for d in days] == wanted
    for day in days:
        calendar = day["date"].isocalendar()
        assert (day["iso_year"], day["iso_week"], day["day_of_week"]) == tuple(calendar)
        assert day["is_month_end"] == ((day["date"] + dt.timedelta(days=1)).day == 1)


def test_daily_summary_takes_the_attributes_of_its_day(lake):
    for name in ("gold-candles", "dim-symbol", "gold-daily-summary"):
        declared.create(lake, name)
    load(lake, rows_spec("dim-symbol", [{"symbol": "AAPL", "sector": "Tech"}]), utc(2026, 1, 1))
    later = [{"symbol": "AAPL", "sector": "Media"}]
    load(lake, rows_spec("dim-symbol", later), utc(2026, 3, 2, 12))
    schema = declared.schema("gold-candles")
    candles = [
        {"symbol": symbol, "interval": "1d", "window_start": utc(2026, 3, day), "open_price": 100.0,
         "close_price": 101.0, "high_price": 102.0, "low_price": 99.0}
        for symbol, day in (("AAPL", 1), ("AAPL", 2), ("NEW", 2))
    ]  # fmt: skip
    flink.load(lake, "gold.candles").append(flink.pa.Table.from_pylist(candles, schema))
    run(lake, declared.spec("gold-daily-summary"))
    rows, _ = read(lake, "gold-daily-summary")
    shown = {
        (r["symbol"], r["trading_date"].day): (r["sector"], r["price_change_pct"]) for r in rows
    }
    assert shown == {
        ("AAPL", 1): ("Tech", 1.0),
        ("AAPL", 2): ("Media", 1.0),
        ("NEW", 2): (None, 1.0),
    }
