"""A platform to measure: trades of `bench.pipeline.exchange`, some of the jobs, nothing else."""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.local.platform import Platform, running

TABLE, TOPIC = "bronze.trades", "raw.trades"
REST = "the rest"
_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
_PARTS = {
    "bench.pipeline.exchange": "exchange",
    "tapehouse-feed bridge": "bridge",
    "broker.args": "broker",
    "tapehouse-lakehouse publish": "publisher",
    "dev.tapehouse.catalog": "catalog",
    "flink/tapehouse/land": "land",
    "flink/tapehouse/refine": "refine",
}
"""What a command line holds, and which part of the path that is."""


@dataclass(frozen=True)
class Load:
    """The platform, and the exchange that waits for its word."""

    platform: Platform
    exchange: subprocess.Popen[str]

    def go(self) -> None:
        """Let trades come."""
        assert self.exchange.stdin
        self.exchange.stdin.write("go\n")
        self.exchange.stdin.flush()

    def sent(self) -> str:
        """What the exchange says once it has sent everything."""
        assert self.exchange.stdout
        return self.exchange.stdout.readline().strip()

    def cpu(self) -> dict[str, float]:
        """Seconds of the processor that each part has used so far."""
        used: Counter[str] = Counter()
        for part, fields in self._processes():
            used[part] += int(fields[11]) + int(fields[12])
        return {part: ticks / _TICKS for part, ticks in used.items()}

    def memory(self) -> dict[str, float]:
        """MiB that each part has in memory."""
        pages: Counter[str] = Counter()
        for part, fields in self._processes():
            pages[part] += int(fields[21])
        return {part: count * _PAGE / 2**20 for part, count in pages.items()}

    def _processes(self) -> Iterator[tuple[str, list[str]]]:
        """The part each process is of, and its line in `/proc` from the state on."""
        home, own = str(self.platform.home), str(self.exchange.pid)
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                ours = home in command or home.encode() in (process / "environ").read_bytes()
                fields = (process / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            if ours or process.name == own:
                yield next((p for mark, p in _PARTS.items() if mark in command), REST), fields


@contextmanager
def path(net: str, checkpoint: str, jobs: Sequence[str], rate: float, count: int) -> Iterator[Load]:
    """A platform of the benchmark's own, ready, that hears of `count` trades, `rate` a second."""
    host, port = f"127.{net}.0.90", 8765

    def edit(body: dict[str, Any]) -> None:
        if body["metadata"]["name"] == "tapehouse-platform":
            body["data"]["checkpointInterval"] = checkpoint
        if body["kind"] == "TradeFeed":
            body["spec"]["source"] = {"websocket": {"url": f"ws://{host}:{port}/"}}

    command = [sys.executable, "-m", "bench.pipeline.exchange", host, port, rate, count]
    with (
        tempfile.TemporaryDirectory(prefix="bench-path-") as home,
        _exchange(list(map(str, command))) as exchange,
        running(Path(home), net, edit, keep=partial(_needed, jobs)) as platform,
    ):
        yield Load(platform, exchange)


@contextmanager
def _exchange(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def _needed(jobs: Sequence[str], body: dict[str, Any]) -> bool:
    """Not transforms, other jobs and what they write, the page."""
    spec, name = body.get("spec") or {}, body["metadata"]["name"]
    if body["kind"] == "LakehouseTable":
        stream = spec.get("stream")
        return bool(stream and stream["job"] in jobs) or "rows" in spec
    if body["kind"] == "StreamJob":
        return name in jobs
    return body["kind"] in ("Kafka", "KafkaNodePool") or name != "query"
