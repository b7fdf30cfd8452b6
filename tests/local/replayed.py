"""A recorded market beside the simulated one: the shipped silver, gold and `refine` over a feed of
files, under names of their own."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.local.platform import LOCAL, run

NAME = "replay"
FOREIGN = Path(__file__).with_name("foreign.yaml")
COIN = 100_000_000
"""Quantities of coins are in hundred-millionths."""
COINS = """
INSERT INTO replay_silver.coins (
  venue, trade_id, symbol, price, quantity, is_aggressive_buy, `timestamp`)
SELECT venue, trade_id, symbol, price, quantity, is_aggressive_buy, `timestamp` FROM binance
UNION ALL
SELECT venue, trade_id, symbol, price, quantity, is_aggressive_buy, `timestamp` FROM coinbase;
"""
VERSIONED = ("sector", "company_name", "market_cap_category")

Body = dict[str, Any]


def resources(home: Path) -> list[Body]:
    """Feeds that read below `home`, tables, and one job for all of them."""
    shipped = [body for body in yaml.safe_load_all(run("kubectl", "kustomize", str(LOCAL))) if body]
    names = {b["metadata"]["name"] for b in shipped if b["kind"] in ("LakehouseTable", "StreamJob")}
    wanted = [body for body in shipped if _wanted(body)]
    found = [json.loads(_renamed(json.dumps(body), names)) for body in wanted]
    for body in found:
        body["metadata"] = {"name": body["metadata"]["name"]}
        body["spec"]["deletionPolicy"] = "Delete"
        if body["kind"] == "StreamJob":
            _extend(body["spec"])
        elif "transform" in body["spec"]:
            body["spec"]["transform"] |= {"schedule": None, "onSnapshot": True}
    foreign = yaml.safe_load_all(FOREIGN.read_text().replace("{home}", str(home)))
    return [_feed(home), *foreign, *found]


def _wanted(body: Body) -> bool:
    if body["kind"] == "StreamJob":
        return body["metadata"]["name"] == "refine"
    layer = body["metadata"]["name"].partition("-")[0]
    return body["kind"] == "LakehouseTable" and (
        layer in ("silver", "gold") or body["metadata"]["name"] == "dim-symbol"
    )


def _renamed(text: str, names: set[str]) -> str:
    """Tables, jobs and topics under names of their own."""
    for name in names:
        text = re.sub(rf'"{name}"', f'"{NAME}-{name}"', text)
    text = re.sub(r"\b(silver|gold|dim)\.(?=[a-z])", rf"{NAME}_\1.", text)
    text = re.sub(r"\b(enriched|analytics|alerts)\.(?=[a-z])", rf"{NAME}.\1.", text)
    return text.replace('"feed": "market"', f'"feed": "{NAME}"')


def _extend(spec: Body) -> None:
    """The foreign feeds into the same job; one task each, so that trades stay in their order."""
    spec["parallelism"] = 1
    spec["checkpoint"] = {"interval": "2s"}
    spec["inputs"] += [
        {"feed": f"{NAME}-{venue}", "event": "CoinTraded", "as": venue}
        for venue in ("binance", "coinbase")
    ]
    spec["outputs"].append({"table": f"{NAME}-silver-coins"})
    spec["sql"] += COINS


def _feed(home: Path) -> Body:
    preset = json.loads(
        (LOCAL.parents[1] / "workloads/tape/src/tapehouse_tape/presets/market-v1.json").read_text()
    )
    topics = [
        {"event": e["name"], "name": f"{NAME}.{e['topic']}", "partitions": 1}
        for e in preset["events"]
    ]
    spec = {
        "deletionPolicy": "Delete",
        "preset": "market/v1",
        "source": {"files": {"path": str(home / "days"), "format": "jsonl", "follow": True}},
        "topics": topics,
    }
    return {
        "apiVersion": "tapehouse.dev/v1alpha1",
        "kind": "TradeFeed",
        "metadata": {"name": NAME},
        "spec": spec,
    }


def coins(home: Path) -> list[Body]:
    """Record what Binance and Coinbase send; what silver should hold of it."""
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
