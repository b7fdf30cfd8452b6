"""Recorded days through the whole platform: silver is exact, gold is what the recording says by
definition, alerts are those of the rules, whatever came twice, late or broken."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pyarrow.compute as pc
import pytest
import yaml

from tests.local import alerting, coins, listings, replayed
from tests.local.definitions import BOOKS, CANDLES, GOLD, SILVER, Recomputed, plain, same
from tests.local.platform import Platform, eventually
from tests.local.recording import Frame, events, faulty, line, moment, session, stray
from tests.local.replay import CHANGES, RELOADED, Replay, versions
from tests.local.test_bad_frames import consume
from tests.local.test_refine import records

pytestmark = pytest.mark.local

SPLIT = moment(2019, 3, 8, 22, 30)
FRIDAY = session(19, moment(2019, 3, 8, 20), moment(2019, 3, 9, 2), 1600)
"""Clean; crosses a midnight, and the job is restarted at SPLIT."""
EVENING = [f for f in FRIDAY if f["data"]["timestamp"] < SPLIT.isoformat()]
NIGHT = FRIDAY[len(EVENING) :]
SUMMER = session(23, moment(2019, 6, 14, 20), moment(2019, 6, 15, 2), 1600)
SUMMER.insert(900, stray(31, moment(2099, 1, 2)))
BAD = faulty(SUMMER, 29)


@pytest.fixture(scope="module")
def replay(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    """Every stage, each when what came before has arrived."""
    run = Replay(platform, tmp_path_factory.mktemp("replay"))
    (run.home / "days").mkdir()
    run.coins = coins.record(run.home)
    listings.deliver(run.home, "1.csv", listings.FIRST)
    bodies = replayed.resources(run.home)
    run.dimension = next(b for b in bodies if b["metadata"]["name"].endswith("dim-symbol"))
    run.deliver("1-evening.jsonl", [line(frame) for frame in EVENING])
    platform.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(bodies))
    try:
        _play(run)
        yield run
    finally:
        for kind in ("streamjob", "tradefeed", "lakehousetable"):
            names = [b["metadata"]["name"] for b in bodies if b["kind"].lower() == kind]
            platform.kubectl("delete", kind, *names, "--wait=false")


def _play(run: Replay) -> None:
    run.platform.wait("streamjob", replayed.JOB)
    run.agrees(EVENING, (CANDLES,))
    run.restart()
    for change in ({}, {}, {}, *CHANGES[:2]):
        run.load(change)
    listings.deliver(run.home, "2.csv", listings.SECOND)
    run.deliver("2-night.jsonl", [line(frame) for frame in NIGHT])
    run.arrives(FRIDAY)
    run.load(CHANGES[2])
    time.sleep(RELOADED)
    run.deliver("3-summer.jsonl", BAD.lines)
    run.agrees([*FRIDAY, *BAD.arrived], (SILVER, *GOLD))
    run.corrected_before = run.corrected()
    run.deliver("4-late.jsonl", [line(frame) for frame in BAD.withheld])
    run.agrees([*FRIDAY, *BAD.arrived, *BAD.withheld], (SILVER, *GOLD))


def test_silver_and_gold_are_those_of_the_clean_recording(replay: Replay) -> None:
    """What came late or twice or broken leaves no trace but the counts of it."""
    replay.agrees([*FRIDAY, *SUMMER], (SILVER, BOOKS, *GOLD))


def test_every_malformed_line_is_a_dead_letter_as_it_was(replay: Replay) -> None:
    found = consume(replay.platform, f"{replayed.NAME}.dead-letters", len(BAD.malformed))
    assert Counter(m.value() for m in found) == Counter(BAD.malformed)
    assert all(dict(m.headers())["reason"] for m in found)


def test_what_late_rows_corrected_is_counted(replay: Replay) -> None:
    def candles(frames: list[Frame]) -> dict[Any, Any]:
        return Recomputed(events(frames, "TradeExecuted"), versions()).rows(CANDLES)

    before = candles([*FRIDAY, *BAD.arrived])
    after = candles([*FRIDAY, *SUMMER])
    midnight = int(moment(2019, 6, 15).timestamp() * 1_000_000)
    changed = [key for key in before if before[key] != after[key]]
    closed = [key for key in changed if key[2] < midnight]
    assert closed
    counted = replay.corrected() - replay.corrected_before
    assert len(closed) <= counted <= 2 * len(changed)


def test_reloads_add_nothing_and_changes_make_exactly_the_declared_history(
    replay: Replay,
) -> None:
    (snapshots, rows) = replay.loads[0]
    assert replay.loads[:3] == [(snapshots, rows)] * 3
    assert [count - rows for _, count in replay.loads[3:]] == [1, 1, 2]
    apple = pc.field("symbol") == "AAPL"
    found = plain(replay.rows("dim.dim_symbol").filter(apple)).sort_by("version").to_pylist()
    wanted = [v for v in versions() if v["symbol"] == "AAPL"]
    assert [(r["sector"], r["valid_from"], r["valid_to"], r["is_current"]) for r in found] == [
        (v["sector"], _micros(v["since"]), _micros(v["until"]), v["until"] is None) for v in wanted
    ]
    assert {(r["description"], r["price_target"], r["previous_price_target"]) for r in found} == {
        ("Telephones", 250.0, 240.0)
    }


def test_alerts_are_those_of_the_rules_across_the_restart(replay: Replay) -> None:
    """Nothing forgotten at SPLIT: neither baselines and quiet times, nor the half hour before."""
    evening, night = events(EVENING, "TradeExecuted"), events(NIGHT, "TradeExecuted")
    for rule, topic in ((alerting.movements, "price-movement"), (alerting.anomalies, "anomalies")):
        wanted = {alert["alert_id"]: alert for alert in rule([*evening, *night])}
        assert wanted.keys() != {a["alert_id"] for a in [*rule(evening), *rule(night)]}, "to tell"
        kept = _of_friday(plain(replay.rows("gold.alerts")).to_pylist())
        _same_alerts(wanted, [a for a in kept if a["alert_type"] in _types(wanted)])
        alerts = _received(replay, topic, len(wanted))
        _same_alerts(wanted, list({a["alert_id"]: a for a in alerts}.values()))


def _types(wanted: dict[str, Any]) -> set[str]:
    return {alert["alert_type"] for alert in wanted.values()}


def _received(replay: Replay, topic: str, count: int) -> list[dict[str, Any]]:
    found = records(
        replay.platform,
        f"{replayed.NAME}.alerts.{topic}",
        lambda seen: len({a["alert_id"] for a in _of_friday([v for _, v in seen])}) >= count,
    )
    return _of_friday([value for _, value in found])


def _of_friday(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [alert for alert in alerts if "2019-03" in alert["alert_id"]]


def _same_alerts(wanted: dict[str, Any], found: list[dict[str, Any]]) -> None:
    assert Counter(alert["alert_id"] for alert in found) == Counter(wanted.keys())
    for alert in found:
        for name, value in wanted[alert["alert_id"]].items():
            if name != "triggered_at":
                assert same(value, alert[name]), (alert, name, value)


def test_live_windows_of_the_clean_day_are_its_candles(replay: Replay) -> None:
    candles = Recomputed(events(FRIDAY, "TradeExecuted"), versions()).rows(CANDLES)
    wanted = {key: row for key, row in candles.items() if key[1] in ("1m", "5m", "15m")}
    seen = records(
        replay.platform,
        f"{replayed.NAME}.analytics.trade-aggregates",
        lambda seen: {_window(v) for _, v in seen} >= wanted.keys(),
    )
    found = {_window(v): v for _, v in seen if v["window_start"] < "2019-03-10"}
    names = {"open": "open_price", "high": "high_price", "low": "low_price"}
    names |= {"close": "close_price", "volume": "total_volume", "trade_count": "trade_count"}
    assert {key for key in found if key[1] != "5m by 1m"} == wanted.keys()
    for key, row in wanted.items():
        assert {n: found[key][n] for n in names} == {n: row[c] for n, c in names.items()}
        assert same(row["vwap"], found[key]["vwap"])
    _slides(found)


def _window(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["symbol"], row["window_size"], alerting.millis(row["window_start"]) * 1000


def _slides(found: dict[Any, Any]) -> None:
    """Each sliding window holds what its five minutes hold."""
    minute = int(timedelta(minutes=1) / timedelta(microseconds=1))
    for (symbol, size, start), row in found.items():
        if size == "5m by 1m":
            parts = [found.get((symbol, "1m", start + n * minute)) for n in range(5)]
            assert row["volume"] == sum(part["volume"] for part in parts if part)


def test_enriched_trades_carry_the_sector_of_their_time(replay: Replay) -> None:
    wanted = {
        key[0]: (row["sector"], row["company_name"])
        for key, row in Recomputed(events([*FRIDAY, *SUMMER], "TradeExecuted"), versions())
        .rows(SILVER)
        .items()
    }
    found = records(
        replay.platform,
        f"{replayed.NAME}.enriched.trades",
        lambda seen: len({v["trade_id"] for _, v in seen}) >= len(wanted),
    )
    assert {v["trade_id"]: (v["sector"], v["company_name"]) for _, v in found} == wanted


def test_foreign_recordings_need_declarations_only(replay: Replay) -> None:
    def landed() -> bool:
        found = plain(replay.rows("silver.coins")).to_pylist()
        assert sorted(found, key=str) == sorted(replay.coins, key=str)
        return True

    eventually(landed, 60, every=1)


def test_reference_data_in_files_becomes_a_dimension_with_its_history(replay: Replay) -> None:
    def kept() -> bool:
        found = replay.rows("dim.listing").to_pylist()
        rows = [
            (r["symbol"], r["version"], r["sector"], r["valid_from"], r["valid_to"]) for r in found
        ]
        assert sorted(rows, key=str) == sorted(listings.HISTORY, key=str)
        return True

    eventually(kept, 60, every=1)


def _micros(moment_: Any) -> int | None:
    return None if moment_ is None else int(moment_.timestamp() * 1_000_000)
