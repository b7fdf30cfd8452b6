"""A recorded market beside the simulated one: the shipped silver, gold and `refine` over a feed of
files, under names of their own."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.local.platform import LOCAL, kubectl, run

NAME = "replay"
JOB = f"{NAME}-refine"
FOREIGN = Path(__file__).with_name("foreign.yaml")
COINS = """
INSERT INTO replay_silver.coins (
  venue, trade_id, symbol, price, quantity, is_aggressive_buy, `timestamp`)
SELECT venue, trade_id, symbol, price, quantity, is_aggressive_buy, `timestamp` FROM binance
UNION ALL
SELECT venue, trade_id, symbol, price, quantity, is_aggressive_buy, `timestamp` FROM coinbase;
"""
LISTINGS = """
INSERT INTO replay_silver.listings (symbol, sector, since)
SELECT symbol, sector, since FROM listings;
"""

Body = dict[str, Any]


def resources(home: Path) -> list[Body]:
    """Feeds that read below `home`, tables, and one job for all of them."""
    shipped = [body for body in yaml.safe_load_all(run(kubectl(), "kustomize", str(LOCAL))) if body]
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
    spec["inputs"].append({"feed": f"{NAME}-listings", "event": "Listed", "as": "listings"})
    spec["outputs"] += [{"table": f"{NAME}-silver-{name}"} for name in ("coins", "listings")]
    spec["sql"] += COINS + LISTINGS


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
