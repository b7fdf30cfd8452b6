"""The books of a feed: what its simulator must have sent, and what readers of `main` see of it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyiceberg.table import Table
from tapehouse_feed.simulator import Exchange

from tests.local.platform import Platform, eventually

SETTLE_SECONDS = 300
AHEAD = 2_000
"""Trades that may be on `main` while an earlier one is not yet."""


Row = tuple[str, str, float, int]
"""Trade id, symbol, price, quantity."""


class Tape:
    """The trades of a simulated feed from the first on, made as they are asked for."""

    def __init__(self, seed: int, symbols: tuple[str, ...]) -> None:
        self._events = Exchange(seed, symbols).events()
        self._made: list[Row] = []

    def first(self, count: int) -> list[Row]:
        """The first `count` trades."""
        while len(self._made) < count:
            event = next(self._events)
            if event.event_type == "TradeExecuted":
                data = event.data
                row = (data["trade_id"], data["symbol"], data["price"], data["quantity"])
                self._made.append(row)
        return self._made[:count]


@dataclass(frozen=True)
class Ledger:
    """A feed, its job and its table, which all have one name."""

    platform: Platform
    name: str
    tape: Tape
    mark: list[int] = field(default_factory=lambda: [0])

    def landed(self) -> pa.Table:
        """What readers see now."""
        return self._table().scan().to_arrow()

    def count(self) -> int:
        """Rows on `main`, by the newest snapshot's own sum."""
        snapshot = self._table().current_snapshot()
        summary: Any = snapshot.summary if snapshot else {}
        return int(summary["total-records"]) if summary else 0

    def grows(self, more: int) -> None:
        """Wait until there are `more` rows than now."""
        wanted = eventually(self.count, SETTLE_SECONDS) + more
        eventually(lambda: self.count() >= wanted, SETTLE_SECONDS, every=1)

    def balances(self) -> None:
        """Every trade up to the last complete one is there once, as it was made; every offset is.

        The newest rows of one partition may be on `main` before older ones of another: the
        statement is of the trades before the first that is missing, and those that come later
        must be few.
        """
        landed = self.landed()
        self.offsets_have_no_holes(landed)
        found = Counter(landed["trade_id"].to_pylist())
        twice = [trade for trade, times in found.items() if times > 1]
        assert not twice, f"{len(twice)} trades twice, such as {twice[0]}"
        sent = self.tape.first(len(found) + AHEAD)
        complete = next(i for i, trade in enumerate(sent) if trade[0] not in found)
        assert complete >= self.mark[0], f"{complete} whole trades; there were {self.mark[0]}"
        columns = (landed[c].to_pylist() for c in ("trade_id", "symbol", "price", "quantity"))
        rows = {row[0]: row for row in zip(*columns, strict=True)}
        assert [rows[t[0]] for t in sent[:complete]] == sent[:complete]
        stray = set(rows) - {t[0] for t in sent}
        assert not stray, f"{len(stray)} trades that were never sent, such as {stray.pop()}"
        self.mark[0] = complete

    def settles(self) -> None:
        """Wait until the trades known to be sent by now are whole, then balance."""
        goal = eventually(self.count, SETTLE_SECONDS)

        def whole() -> bool:
            self.balances()
            return self.mark[0] >= goal

        eventually(whole, SETTLE_SECONDS, every=2)

    def _table(self) -> Table:
        return self.platform.catalog.load_table(f"test.{self.name}")

    @staticmethod
    def offsets_have_no_holes(landed: pa.Table) -> None:
        """Each partition's offsets are 0 to the last, once."""
        pairs = zip(
            landed["kafka_partition"].to_pylist(), landed["kafka_offset"].to_pylist(), strict=True
        )
        by_partition: dict[int, list[int]] = {}
        for partition, offset in pairs:
            by_partition.setdefault(partition, []).append(offset)
        for partition, offsets in by_partition.items():
            holes = set(range(max(offsets) + 1)) - set(offsets)
            assert len(offsets) == max(offsets) + 1, (partition, sorted(holes)[:5])
