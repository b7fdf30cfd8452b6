"""`tapehouse sample`: frames of every kind of source, and what becomes of them."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from tapehouse_cli.data.commands import sample

TRADE = {
    "event_id": "e",
    "timestamp": "2026-01-05T14:30:00.000001Z",
    "trade_id": "t",
    "symbol": "AAPL",
    "price": 100.5,
    "quantity": 10,
    "buy_order_id": "b",
    "sell_order_id": "s",
    "buyer_agent_id": "x",
    "seller_agent_id": "y",
    "is_aggressive_buy": True,
}


def declared(path: Path, source: dict[str, object]) -> str:
    feed = {
        "apiVersion": "tapehouse.dev/v1alpha1",
        "kind": "TradeFeed",
        "metadata": {"name": "market"},
        "spec": {"preset": "market/v1", "source": source},
    }
    file = path / "feed.yaml"
    file.write_text(yaml.safe_dump(feed))
    return str(file)


def said(*arguments: str) -> list[str]:
    done = CliRunner().invoke(sample, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_a_simulated_feed_needs_nothing_running(tmp_path: Path) -> None:
    file = declared(tmp_path, {"simulator": {"symbols": ["AAPL"], "seed": 7}})
    lines = said("-f", file, "-n", "5")
    assert len(lines) == 5
    event, topic, key, value = lines[0].split("  ", 3)
    assert (event, topic, key) == ("OrderPlaced", "topic=raw.orders", "key=AAPL")
    assert json.loads(value)["symbol"] == "AAPL"


def test_raw_frames_are_as_they_come(tmp_path: Path) -> None:
    file = declared(tmp_path, {"simulator": {"symbols": ["AAPL"], "seed": 7}})
    frames = [json.loads(line) for line in said("-f", file, "-n", "3", "--raw")]
    assert [frame["sequence"] for frame in frames] == [1, 2, 3]


def test_a_bad_row_is_a_dead_letter_with_its_reason(tmp_path: Path) -> None:
    bad = TRADE | {"price": "much"}
    frames = [{"event_type": "TradeExecuted", "data": each} for each in (TRADE, bad)]
    recording = tmp_path / "day.jsonl"
    recording.write_text("".join(f"{json.dumps(frame)}\n" for frame in frames))
    file = declared(tmp_path, {"files": {"path": str(recording), "format": "jsonl"}})
    good, dead = said("-f", file, "-n", "2")
    assert good.startswith("TradeExecuted  topic=raw.trades  key=AAPL  {")
    assert dead.startswith("dead letter  wrong-type: ")
    assert '"much"' in dead


def test_a_short_file_ends_the_sample(tmp_path: Path) -> None:
    recording = tmp_path / "day.jsonl"
    recording.write_text(json.dumps({"event_type": "TradeExecuted", "data": TRADE}) + "\n")
    file = declared(tmp_path, {"files": {"path": str(recording), "format": "jsonl"}})
    done = CliRunner().invoke(sample, ["-f", file, "-n", "4"])
    assert done.stdout.count("\n") == 1
    assert "1 of 4 frames came" in done.stderr


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        ({"simulator": {"symbols": []}}, "spec.source.simulator.symbols"),
        ({"simulater": {}}, "spec.source.simulater"),
    ],
)
def test_a_feed_the_operator_would_refuse_is_refused(
    tmp_path: Path, source: dict[str, object], remedy: str
) -> None:
    done = CliRunner().invoke(sample, ["-f", declared(tmp_path, source)])
    assert done.exit_code == 1
    assert remedy in done.stderr
    assert "Traceback" not in done.output


def test_nobody_at_the_address_is_one_sentence(tmp_path: Path) -> None:
    file = declared(tmp_path, {"websocket": {"url": "ws://127.0.0.1:9/"}})
    done = CliRunner().invoke(sample, ["-f", file, "--timeout", "0.5"])
    assert done.exit_code == 1
    assert "ws://127.0.0.1:9/: no connection within 0.5 s" in done.stderr


def test_a_feed_or_a_file_is_named() -> None:
    assert "give FEED" in CliRunner().invoke(sample, []).stderr
