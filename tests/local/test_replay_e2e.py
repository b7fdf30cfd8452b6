"""A day of all nine kinds of events, recorded years ago, through the platform as it is shipped:
only where events come from is declared otherwise."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.local.definitions import BOOKS, GOLD, SILVER, plain
from tests.local.platform import eventually, running
from tests.local.recording import Frame, events, moment, session
from tests.local.replay import Replay

pytestmark = pytest.mark.e2e

NET = "84"
TAPE = session(37, moment(2012, 2, 28, 18), moment(2012, 2, 29, 6), 20_000)
"""Into a day that three years in four do not have."""
BRONZE = {
    "bronze.trades": ("TradeExecuted",),
    "bronze.orders": ("OrderPlaced", "OrderCancelled"),
    "bronze.quotes": ("QuoteUpdate",),
    "bronze.orderbook": ("OrderBookSnapshot",),
    "bronze.market_stats": ("MarketStats",),
    "bronze.agent_actions": ("AgentAction",),
    "bronze.halts": ("TradingHalt", "TradingResume"),
}


def write_parquet(path: Path, frames: list[Frame]) -> None:
    """A row per event, a column per field of any of them."""
    rows = [{"event_type": frame["event_type"], **frame["data"]} for frame in frames]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    pq.write_table(pa.table(columns), path)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    home = tmp_path_factory.mktemp("shipped")
    tape = home / "tape.parquet"
    write_parquet(tape, TAPE)

    def recorded(body: dict[str, Any]) -> None:
        if body["kind"] == "TradeFeed":
            body["spec"]["source"] = {"files": {"path": str(tape), "format": "parquet"}}
        if body["kind"] == "LakehouseTable" and "transform" in body["spec"]:
            body["spec"]["transform"].pop("schedule", None)
            body["spec"]["transform"]["onSnapshot"] = True

    with running(home, NET, recorded) as platform:
        yield Replay(platform, home, prefix="")


def test_bronze_has_every_event_of_every_kind(shipped: Replay) -> None:
    for identifier, kinds in BRONZE.items():
        wanted = Counter(
            (row["symbol"], moment_of(row)) for kind in kinds for row in events(TAPE, kind)
        )

        def landed(identifier: str = identifier, wanted: Counter[Any] = wanted) -> bool:
            found = plain(shipped.rows(identifier).select(["symbol", "timestamp"])).to_pylist()
            assert Counter((row["symbol"], row["timestamp"]) for row in found) == wanted
            return True

        eventually(landed, 240, every=2)


def moment_of(row: dict[str, Any]) -> int:
    return int(pa.scalar(row["timestamp"]).cast(pa.timestamp("us", "UTC")).value)


def test_silver_and_gold_are_what_the_tape_says(shipped: Replay) -> None:
    shipped.agrees(TAPE, (SILVER, BOOKS, *GOLD))
