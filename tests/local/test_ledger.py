"""The path holds its books: what was sent is on `main`, once."""

from collections import Counter
from typing import Any

import pytest
from tapehouse_feed.simulator import expected

from tests.local.conftest import SEED, SYMBOLS, TRADES
from tests.local.platform import Platform, eventually

pytestmark = pytest.mark.local


def rows(platform: Platform, identifier: str, *columns: str) -> list[dict[str, Any]]:
    table = platform.catalog.load_table(identifier)
    return table.scan(selected_fields=columns or ("*",)).to_arrow().to_pylist()


def all_landed(platform: Platform, identifier: str, count: int) -> list[dict[str, Any]]:
    """The rows of a table, when there are as many as there should be and for a while no more."""

    def there() -> list[dict[str, Any]]:
        found = rows(platform, identifier)
        return found if len(found) >= count else []

    return eventually(there, 180, every=2)


def test_each_simulated_trade_is_in_bronze_exactly_once(platform: Platform) -> None:
    sent = expected(SEED, SYMBOLS, TRADES)
    landed = all_landed(platform, "bronze.trades", TRADES)
    assert Counter(r["trade_id"] for r in landed) == Counter(t.trade_id for t in sent)
    by_id = {r["trade_id"]: r for r in landed}
    assert [
        t
        for t in sent
        if (t.symbol, t.price, t.quantity)
        != tuple(by_id[t.trade_id][c] for c in ("symbol", "price", "quantity"))
    ] == []


def test_offsets_have_no_holes(platform: Platform) -> None:
    landed = all_landed(platform, "bronze.trades", TRADES)
    for partition in {r["kafka_partition"] for r in landed}:
        offsets = sorted(r["kafka_offset"] for r in landed if r["kafka_partition"] == partition)
        assert offsets == list(range(len(offsets)))
