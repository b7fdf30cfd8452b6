"""A files feed on a real broker: every version of every file once, dated as in the file."""

import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tapehouse_feed.simulator import expected

from tests.feed.broker import eventually
from tests.feed.feeds import SYMBOLS, Feed

HEADER = (
    "event_type,event_id,timestamp,trade_id,symbol,price,quantity,buy_order_id,sell_order_id,"
    "buyer_agent_id,seller_agent_id,is_aggressive_buy\n"
)


def lines(first: int, last: int) -> str:
    """Trades `first` to `last` as CSV, a second apart, across a midnight years ago."""
    trades = expected(5, SYMBOLS, last)[first - 1 :]
    return "".join(
        f"TradeExecuted,{t.event_id},2021-03-0{3 + n // 43_200}T{n // 1800 % 24:02}:"
        f"{n // 30 % 60:02}:{n * 2 % 60:02}Z,{t.trade_id},{t.symbol},{t.price},{t.quantity},"
        f"{t.buy_order_id},{t.sell_order_id},{t.buyer_agent_id},{t.seller_agent_id},"
        f"{str(t.is_aggressive_buy).lower()}\n"
        for n, t in enumerate(trades, 43_200 - 1_000 + first)
    )


def make(feed: Callable[..., Feed], tmp_path: Path, **more: object) -> tuple[Feed, Path]:
    folder = tmp_path / "tapes"
    folder.mkdir()
    return feed({"type": "files", "path": str(folder), "format": "csv", **more}), folder


def trade_ids(one: Feed) -> list[str]:
    return sorted(json.loads(message.value())["trade_id"] for message in one.records())


def wanted(last: int) -> list[str]:
    return sorted(trade.trade_id for trade in expected(5, SYMBOLS, last))


def wait_for(one: Feed, rows: int) -> None:
    eventually(lambda: one.metric("acked_total") >= rows, 60)


def test_files_are_read_once_and_their_growth_too(
    feed: Callable[..., Feed], tmp_path: Path
) -> None:
    one, folder = make(feed, tmp_path, follow=True)
    (folder / "a.csv").write_text(HEADER + lines(1, 300))
    (folder / "b.csv").write_text(HEADER + lines(301, 500) + "TradeExecuted,broken\n")
    one.start("bridge")
    wait_for(one, 501)
    one.stop("bridge")
    assert trade_ids(one) == wanted(500)
    assert [m.value() for m in one.dead_letters()] == [b"TradeExecuted,broken"]
    first, *_ = sorted(json.loads(m.value())["timestamp"] for m in one.records())
    assert first == "2021-03-03T23:26:42.000000Z"

    (folder / "a.csv").touch()
    with (folder / "b.csv").open("a") as more:
        more.write(lines(501, 550) + "TradeExecuted,half a li")
    one.start("bridge")
    wait_for(one, 50)
    with (folder / "b.csv").open("a") as more:
        more.write("ne\n")
    wait_for(one, 51)
    assert one.stop("bridge") == 0
    assert trade_ids(one) == wanted(550)
    assert len(one.dead_letters()) == 2

    one.start("bridge")
    one.wait_ready()
    time.sleep(2)
    one.stop("bridge")
    assert trade_ids(one) == wanted(550), "nothing is read again"

    (folder / "b.csv").write_text(HEADER + lines(551, 560))
    one.start("bridge")
    wait_for(one, 10)
    one.stop("bridge")
    assert trade_ids(one) == wanted(560), "a new version is read whole"


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_in_the_middle_of_files(
    feed: Callable[..., Feed], tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    one, folder = make(feed, tmp_path, speed=600)
    (folder / "a.csv").write_text(HEADER + lines(1, 700))
    (folder / "b.csv").write_text(HEADER + lines(701, 1_500))
    for _ in range(3):
        one.start("bridge")
        one.wait_ready()
        time.sleep(dice.uniform(0.1, 1.2))
        one.stop("bridge", signal.SIGKILL)
    one.config["source"]["speed"] = 0
    one.start("bridge")
    eventually(lambda: trade_ids(one) == wanted(1_500), 60, 1)
    assert one.stop("bridge") == 0


def test_no_such_directory_is_said_and_waited_for(
    feed: Callable[..., Feed], tmp_path: Path
) -> None:
    one, folder = make(feed, tmp_path)
    folder.rmdir()
    one.start("bridge")
    eventually(lambda: "no such file or directory" in one.log("bridge").read_text(), 30)
    assert one.get("/readyz")[0] == 503
    folder.mkdir()
    (folder / "a.csv").write_text(HEADER + lines(1, 5))
    wait_for(one, 5)
    assert one.ready()
