"""Transforms on real tables: equal to an independent recomputation, whatever came late or twice."""

import math
import random
from collections import defaultdict
from datetime import timedelta

import pytest
from pyiceberg.transforms import DayTransform
from tapehouse_lakehouse import rewrite
from tapehouse_lakehouse.model import InvalidError
from tapehouse_lakehouse.transforms.run import Outcome, run

from tests.lakehouse import declared, flink, market
from tests.lakehouse.market import utc

pytestmark = pytest.mark.local

LENGTHS = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14400, "1d": 86400}
LENGTHS["1w"] = 7 * 86400
MONDAY = 4 * 86400


def candles(rows):
    """The definition, trade by trade, in plain Python."""
    groups = defaultdict(list)
    for row in rows:
        for interval, length in LENGTHS.items():
            origin = MONDAY if interval == "1w" else 0
            second = int(row["timestamp"].timestamp())
            start = (second - origin) // length * length + origin
            groups[row["symbol"], interval, start].append(row)
    return {key: _candle(group) for key, group in groups.items()}


def _candle(rows):
    rows = sorted(rows, key=lambda r: (r["timestamp"], r["kafka_offset"]))
    volume = sum(r["quantity"] for r in rows)
    value = math.fsum(r["value"] for r in rows)
    prices = [r["price"] for r in rows]
    exact = (prices[0], max(prices), min(prices), prices[-1], volume, len(rows))
    return exact, (value, value / volume)


def read(lake, name):
    return flink.load(lake, declared.resources()[name]["identifier"]).scan().to_arrow().to_pylist()


def check_candles(lake, rows):
    wanted = candles(rows)
    got = {
        (r["symbol"], r["interval"], int(r["window_start"].timestamp())): r
        for r in read(lake, "gold-candles")
    }
    assert got.keys() == wanted.keys()
    for key, row in got.items():
        exact, (value, vwap) = wanted[key]
        names = ("open_price", "high_price", "low_price", "close_price")
        assert (*(row[n] for n in names), row["total_volume"], row["trade_count"]) == exact
        assert row["total_value"] == pytest.approx(value, rel=1e-12)
        assert row["vwap"] == pytest.approx(vwap, rel=1e-12)


def snapshots(lake, name):
    identifier = declared.resources()[name]["identifier"]
    return len(flink.load(lake, identifier).metadata.snapshots)


@pytest.fixture
def gold(lake):
    for name in ("silver-candle-parts", "silver-candle-minutes", "gold-candles"):
        declared.create(lake, name)
    return lake


def add_parts(lake, rows):
    flink.load(lake, "silver.candle_parts").append(market.parts(rows))


MINUTES, SPEC = declared.spec("silver-candle-minutes"), declared.spec("gold-candles")


def fold(lake) -> Outcome:
    """Parts into minutes, minutes into candles."""
    run(lake, MINUTES)
    return run(lake, SPEC)


def test_candles_equal_the_definition_over_midnight_and_week(gold):
    rows = market.trades(1, utc(2019, 12, 28, 22), 4000, timedelta(seconds=120))
    random.Random(5).shuffle(rows)
    add_parts(gold, rows[:1500])
    fold(gold)
    check_candles(gold, rows[:1500])
    add_parts(gold, rows[1500:])
    fold(gold)
    check_candles(gold, rows)


def test_three_runs_are_one(gold):
    add_parts(gold, market.trades(2, utc(2026, 3, 2, 9), 500, timedelta(seconds=5)))
    outcomes = [fold(gold) for _ in range(3)]
    assert [o.changed > 0 for o in outcomes] == [True, False, False]
    assert snapshots(gold, "gold-candles") == 1
    # Nor does a run that forgot what it had seen, or a new SQL that says the same.
    again = declared.spec("gold-candles", sql=SPEC.producer.sql + " -- same")
    assert run(gold, again) == Outcome(outcomes[0].seen)
    assert snapshots(gold, "gold-candles") == 1


def test_only_changed_days_are_rewritten_and_late_rows_are_counted(gold):
    monday = market.trades(3, utc(2026, 3, 2, 9), 300, timedelta(seconds=30))
    friday = market.trades(4, utc(2026, 3, 6, 9), 300, timedelta(seconds=30))
    add_parts(gold, monday)
    fold(gold)
    add_parts(gold, friday)
    fold(gold)
    before = {t.file.file_path for t in flink.load(gold, "gold.candles").scan().plan_files()}
    late = market.trades(5, utc(2026, 3, 6, 9, 5), 1, timedelta(seconds=1))
    add_parts(gold, late)
    outcome = fold(gold)
    # 1m, 5m, 15m, 30m and 1h are over; 4h and 1d are the newest, the week's row is Monday's.
    assert outcome.changed == 8
    assert 5 <= outcome.corrected <= 6
    after = {t.file.file_path for t in flink.load(gold, "gold.candles").scan().plan_files()}
    assert len(before & after) == 0, "Friday, and the week's candle on Monday"
    check_candles(gold, monday + friday + late)


def test_a_day_years_ago_touches_no_other(gold):
    now = market.trades(6, utc(2026, 3, 2, 9), 200, timedelta(seconds=30))
    old = market.trades(7, utc(2011, 7, 5, 23, 50), 200, timedelta(seconds=30))
    add_parts(gold, now)
    fold(gold)
    before = {t.file.file_path for t in flink.load(gold, "gold.candles").scan().plan_files()}
    add_parts(gold, old)
    fold(gold)
    after = {t.file.file_path for t in flink.load(gold, "gold.candles").scan().plan_files()}
    assert before < after
    check_candles(gold, now + old)


def test_an_hour_is_folded_without_the_rest_of_its_day(gold):
    """The rest of the day's rows are there afterwards, though none of their parts was read."""
    rows = market.trades(15, utc(2026, 3, 2, 20), 900, timedelta(seconds=30))
    add_parts(gold, rows)
    fold(gold)
    everything = declared.spec("silver-candle-minutes", recompute="day")
    late = market.trades(16, utc(2026, 3, 2, 22, 5), 20, timedelta(seconds=60))
    add_parts(gold, late)
    assert 0 < run(gold, MINUTES).changed <= 20
    before = read(gold, "silver-candle-minutes")
    assert run(gold, everything).changed == 0
    assert read(gold, "silver-candle-minutes") == before
    fold(gold)
    check_candles(gold, rows + late)


def test_a_compaction_of_the_input_changes_nothing(gold):
    add_parts(gold, market.trades(8, utc(2026, 3, 2, 9), 200, timedelta(seconds=5)))
    fold(gold)
    table = flink.load(gold, "silver.candle_parts")
    files = [t.file for t in table.scan().plan_files()]
    rewrite.replace(table, "main", files, rewrite.write_files(table, table.scan().to_arrow()))
    assert fold(gold).changed == 0


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1 AS symbol", "gives no column close_price"),
        ("SELEKT", "syntax error"),
        ("SELECT 1; SELECT 2", "write one SELECT"),
        ("DROP TABLE tapehouse.old", "write one SELECT"),
        ("SELECT * FROM silver.nothing", "nothing"),
        ("SELECT * FROM read_csv('/etc/passwd')", "disabled"),
    ],
)
def test_bad_sql_is_refused_with_its_reason(gold, sql, message):
    add_parts(gold, market.trades(9, utc(2026, 3, 2, 9), 10, timedelta(seconds=5)))
    run(gold, MINUTES)
    with pytest.raises(InvalidError, match=message) as raised:
        run(gold, declared.spec("gold-candles", sql=sql))
    assert "table gold-candles: spec.transform.sql" in str(raised.value)


def test_rows_outside_the_recomputed_time_are_refused(gold):
    add_parts(gold, market.trades(9, utc(2026, 3, 4, 9), 10, timedelta(seconds=5)))
    run(gold, MINUTES)
    with pytest.raises(InvalidError, match=r"spec\.transform\.recompute"):
        run(gold, declared.spec("gold-candles", recompute="day"))


def activity(rows):
    """By agent, symbol and day: sides, shares, net shares; then notional and P&L."""
    sides, closes = defaultdict(list), {}
    for row in sorted(rows, key=lambda r: (r["timestamp"], r["kafka_offset"])):
        day = row["timestamp"].date()
        closes[row["symbol"], day] = row["price"]
        sides[row["buyer_agent_id"], row["symbol"], day].append((row["quantity"], row["price"]))
        sides[row["seller_agent_id"], row["symbol"], day].append((-row["quantity"], row["price"]))
    out = {}
    for (agent, symbol, day), each in sides.items():
        net = sum(q for q, _ in each)
        left = net * closes[symbol, day]
        out[agent, symbol, day] = (
            (len(each), sum(abs(q) for q, _ in each), net),
            (math.fsum(abs(q) * p for q, p in each), left - math.fsum(q * p for q, p in each)),
        )
    return out


def sectors(rows):
    groups = defaultdict(list)
    for row in rows:
        groups[row["sector"], row["timestamp"].date()].append(row)
    return {
        key: (
            (len(each), sum(r["quantity"] for r in each), len({r["symbol"] for r in each})),
            (math.fsum(r["value"] for r in each),),
        )
        for key, each in groups.items()
    }


def profile(rows):
    groups = defaultdict(list)
    for row in rows:
        cents = round(row["price"] * 100)
        width = 100 if cents >= 10_000 else 10
        bucket = cents // width * width / 100
        groups[row["symbol"], row["timestamp"].date(), bucket].append(row)
    return {
        key: (
            (
                len(each),
                sum(r["quantity"] for r in each),
                sum(r["quantity"] for r in each if r["is_aggressive_buy"]),
            ),
            (math.fsum(r["value"] for r in each),),
        )
        for key, each in groups.items()
    }


DEFINITIONS = {
    "gold-trader-activity": (
        activity,
        lambda r: (r["agent_id"], r["symbol"], r["trading_date"]),
        lambda r: (r["trade_count"], r["bought_quantity"] + r["sold_quantity"], r["net_quantity"]),
        lambda r: (r["notional"], r["pnl"]),
    ),
    "gold-sector-daily": (
        sectors,
        lambda r: (r["sector"], r["trading_date"]),
        lambda r: (r["trade_count"], r["total_volume"], r["symbols"]),
        lambda r: (r["total_value"],),
    ),
    "gold-volume-profile": (
        profile,
        lambda r: (r["symbol"], r["trading_date"], round(r["bucket_low"], 6)),
        lambda r: (r["trade_count"], r["total_volume"], r["buy_volume"]),
        lambda r: (r["total_value"],),
    ),
}


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_tables_over_trades_equal_their_definition_without_the_duplicates(lake, name):
    definition, key, exact, floats = DEFINITIONS[name]
    for table in ("silver-trades", name):
        declared.create(lake, table)
    rows = market.trades(11, utc(2026, 3, 2, 20), 800, timedelta(seconds=30))
    silver = flink.load(lake, "silver.trades")
    silver.append(market.silver(rows[:500]))
    run(lake, declared.spec(name))
    again = [{**row, "kafka_offset": row["kafka_offset"] + 10**6} for row in rows[::10]]
    silver.refresh().append(market.silver(rows[500:] + again))
    run(lake, declared.spec(name))
    wanted = definition(rows)
    got = {key(r): r for r in read(lake, name)}
    assert {k: exact(r) for k, r in got.items()} == {k: w[0] for k, w in wanted.items()}
    for k, row in got.items():
        # P&L is a small difference of large sums: its error is that of the sums.
        assert floats(row) == pytest.approx(wanted[k][1], rel=1e-9, abs=1e-3)


def test_positions_add_up_over_days(lake):
    for table in ("silver-trades", "gold-trader-activity", "gold-positions"):
        declared.create(lake, table)
    rows = market.trades(12, utc(2026, 3, 2, 20), 600, timedelta(seconds=60))
    flink.load(lake, "silver.trades").append(market.silver(rows))
    for _ in range(2):
        run(lake, declared.spec("gold-trader-activity"))
        run(lake, declared.spec("gold-positions"))
    assert snapshots(lake, "gold-positions") == 1
    held = defaultdict(int)
    for row in rows:
        held[row["buyer_agent_id"], row["symbol"]] += row["quantity"]
        held[row["seller_agent_id"], row["symbol"]] -= row["quantity"]
    got = {(r["agent_id"], r["symbol"]): r["quantity"] for r in read(lake, "gold-positions")}
    assert got == held


def test_risk_finds_self_trades_and_round_trips(lake):
    for table in ("silver-trades", "gold-risk"):
        declared.create(lake, table)
    rows = market.trades(13, utc(2026, 3, 2, 9), 100, timedelta(seconds=30))
    for index, row in enumerate(rows):
        row["buyer_agent_id"], row["seller_agent_id"] = f"b{index % 3}", f"s{index % 4}"
    rows[1] |= {"buyer_agent_id": "washer", "seller_agent_id": "washer", "symbol": "XOM"}
    there = rows[2] | {"trade_id": "there", "buyer_agent_id": "x", "seller_agent_id": "y"}
    back = there | {"trade_id": "back", "buyer_agent_id": "y", "seller_agent_id": "x"}
    back["timestamp"] = there["timestamp"] + timedelta(seconds=59)
    late = back | {"trade_id": "late", "timestamp": there["timestamp"] + timedelta(seconds=200)}
    flink.load(lake, "silver.trades").append(market.silver([*rows, there, back, late]))
    run(lake, declared.spec("gold-risk"))
    got = {(r["agent_id"], r["symbol"]): r for r in read(lake, "gold-risk")}
    washer = got["washer", "XOM"]
    assert (washer["self_trades"], washer["self_quantity"]) == (1, rows[1]["quantity"])
    assert sum(r["self_trades"] for r in got.values()) == 1
    for agent in ("x", "y"):
        trips = got[agent, there["symbol"]]
        assert (trips["round_trips"], trips["round_trip_quantity"]) == (1, there["quantity"])
    shares = defaultdict(float)
    for (_, symbol), row in got.items():
        shares[symbol] += row["share_of_symbol"]
    assert dict(shares) == pytest.approx(dict.fromkeys(shares, 1.0))


def test_files_older_than_the_partitioning_are_replaced_whole(lake):
    for name in ("silver-candle-parts", "silver-candle-minutes"):
        declared.create(lake, name)
    flink.create(lake, "gold.candles", declared.schema("gold-candles"))
    rows = market.trades(14, utc(2026, 3, 2, 20), 200, timedelta(minutes=3))
    add_parts(lake, rows[:100])
    fold(lake)
    with flink.load(lake, "gold.candles").update_spec() as update:
        update.add_field("window_start", DayTransform())
    add_parts(lake, rows[100:])
    fold(lake)
    check_candles(lake, rows)
    assert len(list(flink.load(lake, "gold.candles").scan().plan_files())) > 1
