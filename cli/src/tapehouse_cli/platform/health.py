"""Behind `tapehouse health`: whether everything runs, and how far behind it is, at one glance."""

import asyncio
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from tapehouse_laptop.errors import LaptopError
from tapehouse_laptop.kubeapi import Kube
from tapehouse_laptop.net import Net
from tapehouse_laptop.state import State
from tapehouse_laptop.supervisor import Installation

from tapehouse_cli.platform import endpoints, up
from tapehouse_cli.platform.status_view import Row, StatusView, component_rows, unready

SCRAPE_SECONDS = 3.0
MOMENTS = {
    "tapehouse_feed_last_frame_timestamp_seconds": "since the last frame",
    "tapehouse_table_snapshot_timestamp_seconds": "age of what readers see",
}
"""Metrics that are times, and what has passed since them."""
SPANS = {"tapehouse_publish_lag_seconds": "from commit to readers"}
"""Metrics that are seconds already."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far behind one thing is."""

    what: str
    of: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Health:
    """An installation at one moment."""

    rows: tuple[Row, ...]
    lags: tuple[Lag, ...] = ()
    silent: tuple[str, ...] = ()
    """Whose metrics did not answer."""

    @property
    def good(self) -> bool:
        """Whether there is something and all of it is ready."""
        return bool(self.rows) and not unready(self.rows) and not self.silent

    def lines(self) -> Iterator[str]:
        """What to print: trouble first."""
        waiting = unready(self.rows)
        word = "healthy" if self.good else "NOT healthy"
        yield f"{word}: {len(self.rows) - len(waiting)} of {len(self.rows)} ready"
        for row in waiting:
            yield f"  {row.kind.lower()}/{row.name}: {row.message or 'not ready'}"
        for name in self.silent:
            yield f"  metrics of {name} do not answer"
        for what in dict.fromkeys(lag.what for lag in self.lags):
            found = sorted((x for x in self.lags if x.what == what), key=lambda x: -x.seconds)
            shown = ", ".join(f"{x.of} {x.seconds:.1f} s" for x in found[:3])
            more = f" and {len(found) - 3} more below" if len(found) > 3 else ""
            yield f"  {what}: {shown}{more}"


def look() -> Health:
    """The installation that runs here.

    Raises:
        LaptopError: none does.
    """
    state = State.find()
    installation = Installation.read(state)
    if installation is None or not installation.alive:
        raise LaptopError(f"nothing runs in {state.root}; start it with `tapehouse up`")
    if installation.phase != "Running":
        return Health(tuple(component_rows(state)))
    return asyncio.run(_look(state))


async def _look(state: State) -> Health:
    installation = up.check_alive(state)
    async with Kube.connect(state.kubeconfig) as kube:
        view = StatusView(kube, state, installation.namespaces)
        net = Net.parse(installation.net)
        async with view.following():
            rows = tuple(view.everything())
        found = await endpoints.gather(kube, state, net, installation.namespaces)
    texts = await asyncio.to_thread(scrape, found["metrics"])
    silent = tuple(name for name, text in texts.items() if not text)
    return Health(rows, tuple(lags(texts, time.time())), silent)


def scrape(urls: Mapping[str, str]) -> dict[str, str]:
    """Metrics by name, all asked at once; empty where nobody answers."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return dict(zip(urls, pool.map(_scraped, urls.values()), strict=True))


def _scraped(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=SCRAPE_SECONDS) as answer:  # noqa: S310
            return str(answer.read().decode())
    except (OSError, ValueError):
        return ""


def lags(texts: Mapping[str, str], now: float) -> Iterator[Lag]:
    """What the metrics say of lags; `now` is seconds since 1970."""
    for text in texts.values():
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                of = sample.labels.get("table") or sample.labels.get("feed") or ""
                if sample.value and (what := MOMENTS.get(sample.name)):
                    yield Lag(what, of, max(now - sample.value, 0.0))
                elif what := SPANS.get(sample.name):
                    yield Lag(what, of, sample.value)
