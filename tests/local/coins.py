"""What Binance and Coinbase send of their trades, and what silver should hold of it."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

COIN = 100_000_000
"""Quantities are in hundred-millionths of a coin."""

Body = dict[str, Any]


def record(home: Path) -> list[Body]:
    """Twenty trades of each below `home`; the rows they are to become."""
    binance = [
        {
            "e": "trade",
            "E": 1_672_515_782_200 + n,
            "s": "BTCUSDT",
            "t": 12_345 + n,
            "p": f"{16_578 + n}.10000000",
            "q": f"0.0020{n:04}",
            "T": 1_672_515_782_136 + 60_000 * n,
            "m": n % 2 == 0,
        }
        for n in range(20)
    ]
    coinbase = [
        {
            "type": "match",
            "trade_id": 10 + n,
            "sequence": 50 + n,
            "maker_order_id": "ac928c66-ca53-498f-9c13-a110027a60e8",
            "taker_order_id": "132fb6ae-456b-4654-b4e0-d681ac05cea1",
            "time": f"2014-11-07T23:59:{40 + n}.028459Z",
            "product_id": "BTC-USD",
            "size": f"{5 + n}.23512",
            "price": f"{400 + n}.23",
            "side": ("sell", "buy")[n % 2],
        }
        for n in range(20)
    ]
    (home / "binance").mkdir()
    (home / "coinbase").mkdir()
    lines = [{"result": None, "id": 1}, *binance]
    (home / "binance/tape.jsonl").write_text("".join(f"{json.dumps(f)}\n" for f in lines))
    pq.write_table(pa.Table.from_pylist(coinbase), home / "coinbase/tape.parquet")
    return [*_of_binance(binance), *_of_coinbase(coinbase)]


def _of_binance(frames: list[Body]) -> Iterator[Body]:
    for frame in frames:
        yield {
            "venue": "binance",
            "trade_id": str(frame["t"]),
            "symbol": frame["s"],
            "price": float(frame["p"]),
            "quantity": int(Decimal(frame["q"]) * COIN),
            "is_aggressive_buy": not frame["m"],
            "timestamp": frame["T"] * 1000,
        }


def _of_coinbase(frames: list[Body]) -> Iterator[Body]:
    for second, frame in enumerate(frames, 40):
        yield {
            "venue": "coinbase",
            "trade_id": str(frame["trade_id"]),
            "symbol": frame["product_id"],
            "price": float(frame["price"]),
            "quantity": int(Decimal(frame["size"]) * COIN),
            "is_aggressive_buy": frame["side"] == "sell",
            "timestamp": (1_415_404_740 + second) * 1_000_000 + 28_459,
        }
