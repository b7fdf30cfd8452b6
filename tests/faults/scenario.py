"""A feed, a job and a table on a platform that has nothing else to do."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml
from tapehouse_operator.names import API_VERSION, SETTINGS

from tests.faults.ledger import Ledger, Tape
from tests.local.platform import Platform, running

SYMBOLS = ("REEL", "SPOOL", "TAPE")
RATE = 150
FIELDS = {
    "trade_id": "string",
    "timestamp": "timestamptz",
    "symbol": "string",
    "price": "double",
    "quantity": "long",
}
OFFSETS = {"kafka_partition": "int", "kafka_offset": "long"}


def bare_platform(
    home: Path, net: str, settings: dict[str, str]
) -> AbstractContextManager[Platform]:
    """`environments/local` without any resource of ours, ready."""

    def edit(body: dict[str, Any]) -> None:
        if body["metadata"]["name"] == SETTINGS:
            body["data"] |= settings

    return running(home, net, edit, keep=lambda body: body["apiVersion"] != API_VERSION)


def start(platform: Platform, name: str, seed: int, rate: float = RATE) -> Ledger:
    """Apply the three resources and wait until rows come."""
    platform.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(_resources(name, seed, rate)))
    for kind in ("tradefeed", "lakehousetable", "streamjob"):
        platform.wait(kind, name)
    ledger = Ledger(platform, name, Tape(seed, SYMBOLS))
    ledger.grows(100)
    return ledger


def _resources(name: str, seed: int, rate: float) -> list[dict[str, Any]]:
    names = ", ".join(f"`{name}`" for name in (*FIELDS, *OFFSETS))
    required = [{"name": n, "type": t, "required": True} for n, t in FIELDS.items()]
    event = {"name": "TradeExecuted", "key": "symbol", "eventTime": "timestamp", "fields": required}
    simulator = {"symbols": list(SYMBOLS), "tradesPerSecond": rate, "seed": seed}
    columns = [{"name": n, "type": t} for n, t in {**FIELDS, **OFFSETS}.items()]
    specs = {
        "TradeFeed": {
            "source": {"simulator": simulator},
            "events": [event],
            "topics": [{"event": "TradeExecuted", "name": f"raw.{name}", "partitions": 2}],
        },
        "LakehouseTable": {
            "identifier": f"test.{name}",
            "columns": columns,
            "stream": {"job": name},
        },
        "StreamJob": {
            "inputs": [{"feed": name, "event": "TradeExecuted", "as": "trades"}],
            "outputs": [{"table": name}],
            "parallelism": 1,
            "checkpoint": {"interval": "2s"},
            "sql": f"INSERT INTO test.{name} ({names})\nSELECT {names} FROM trades;\n",
        },
    }
    return [
        {
            "apiVersion": "tapehouse.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": {**spec, **({} if kind == "StreamJob" else {"deletionPolicy": "Delete"})},
        }
        for kind, spec in specs.items()
    ]
