"""A recording on its way through a platform: files are delivered, tables are compared."""

import re
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from pyiceberg.table import Table

from tests.local import replayed
from tests.local.conftest import NET
from tests.local.definitions import Definition, Recomputed
from tests.local.platform import Platform, eventually
from tests.local.recording import Frame, events, moment, write

RELOADED = 11
"""Seconds within which a running job has a dimension's new snapshot."""
CHANGES: list[dict[str, Any]] = [
    {"sector": "Consumer Electronics", "valid_from": "2019-03-09T00:30:00Z"},
    {"description": "Telephones", "price_target": 250.0},
    {"sector": "Media", "valid_from": "2019-06-14T22:00:00Z"},
]
"""What becomes of AAPL: a new version, an overwritten and a remembered value, a new version."""
LOADS = re.compile(r'tapehouse_lakehouse_task_seconds_count\{table="(.+)",task="load"\} (\S+)')


@dataclass
class Replay:
    """The recording on its way through the platform, and what was seen of it."""

    platform: Platform
    home: Path
    prefix: str = f"{replayed.NAME}_"
    """Of the namespaces of its tables."""
    dimension: dict[str, Any] = field(default_factory=dict)
    loads: list[tuple[int, int]] = field(default_factory=list)
    """Snapshots and rows of the dimension after each load."""
    corrected_before: int = 0
    coins: list[dict[str, Any]] = field(default_factory=list)

    def table(self, identifier: str) -> Table:
        return self.platform.catalog.load_table(self.prefix + identifier)

    def rows(self, identifier: str) -> pa.Table:
        return self.table(identifier).scan().to_arrow()

    def deliver(self, name: str, lines: list[bytes]) -> None:
        write(self.home / "days" / name, lines)

    def agrees(self, frames: list[Frame], definitions: tuple[Definition, ...]) -> None:
        """Wait until every table is what the definitions make of these frames, and nothing else."""
        wanted = Recomputed(
            events(frames, "TradeExecuted"), versions(), events(frames, "OrderBookSnapshot")
        )
        for definition in definitions:

            def agreed(definition: Definition = definition) -> bool:
                found = wanted.differences(definition, self.rows(definition.identifier))
                assert not found, f"{len(found)}: {found[:10]}"
                return True

            eventually(agreed, 180, every=1)

    def arrives(self, frames: list[Frame]) -> None:
        wanted = len(events(frames, "TradeExecuted"))
        eventually(lambda: self.rows("silver.trades").num_rows >= wanted, 180, every=1)

    def load(self, change: dict[str, Any]) -> None:
        """Change the declared AAPL, or only the order of the rows, and wait for the load."""
        before = self.loaded()
        rows = self.dimension["spec"]["rows"]["inline"]
        rows.insert(0, rows.pop())
        for row in rows:
            if row["symbol"] == "AAPL":
                row |= change
        self.platform.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(self.dimension))
        eventually(lambda: self.loaded() > before, 60)
        table = self.table("dim.dim_symbol")
        self.loads.append((len(table.metadata.snapshots), table.scan().to_arrow().num_rows))

    def loaded(self) -> int:
        """How often the dimension has been loaded, by the publisher's own count."""
        with urllib.request.urlopen(f"http://127.{NET}.0.12:9102/metrics", timeout=10) as answer:
            counts = dict(LOADS.findall(answer.read().decode()))
        return int(float(counts.get(f"{replayed.NAME}_dim.dim_symbol", 0)))

    def restart(self) -> None:
        """A change that takes a savepoint and goes on from it."""
        old = self.job_id()
        patch = '{"spec": {"checkpoint": {"interval": "3s"}}}'
        self.platform.kubectl("patch", "streamjob", replayed.JOB, "--type=merge", "-p", patch)
        eventually(lambda: self.job_id() not in ("", old), 120)

    def job_id(self) -> str:
        found = self.platform.get("flinkdeployment", replayed.JOB)
        return str(found["status"]["jobStatus"].get("jobId", ""))

    def corrected(self) -> int:
        """The corrected rows of candles, as their snapshots count them."""
        snapshots = self.table("gold.candles").metadata.snapshots
        return sum(int(s.summary["tapehouse.corrected-rows"] or 0) for s in snapshots if s.summary)


def versions() -> list[dict[str, Any]]:
    """AAPL's as CHANGES declare them, and the other instruments' only ones."""
    known = {
        "AAPL": ("Apple Inc.", "Technology"),
        "GOOG": ("Alphabet Inc.", "Communication Services"),
        "MSFT": ("Microsoft Corporation", "Technology"),
    }
    first, second = moment(2019, 3, 9, 0, 30), moment(2019, 6, 14, 22)
    spans = {
        "AAPL": [
            ("Technology", moment(1970, 1, 1), first),
            ("Consumer Electronics", first, second),
            ("Media", second, None),
        ]
    }
    return [
        {
            "symbol": symbol,
            "company_name": company,
            "sector": sector,
            "market_cap_category": "Mega",
            "since": since,
            "until": until,
        }
        for symbol, (company, only) in known.items()
        for sector, since, until in spans.get(symbol, [(only, moment(1970, 1, 1), None)])
    ]
