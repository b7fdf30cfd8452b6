"""What is read from outside: a process's own costs, and what the API server was asked."""

import asyncio
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
from prometheus_client.parser import text_string_to_metric_families
from tapehouse_kube.access import Access

WRITES = frozenset({"APPLY", "DELETE", "PATCH", "POST", "PUT"})
OTHERS = frozenset({"leases", "customresourcedefinitions", "namespaces", ""})
"""Resources whose traffic is not the workload's: leader election, installation, discovery."""
EVENTS = "events"
"""Measured separately: they may arrive long after the change they report."""
BUSY = 0.03
"""Share of a core below which a process is at rest."""
STEP = 0.25


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process."""

    cpu: float
    """Seconds since it started, all threads."""
    rss: float
    """MiB now."""
    peak: float
    """MiB at most."""


def cost(pid: int) -> Cost:
    """What the process has cost so far."""
    times = psutil.Process(pid).cpu_times()
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    rss, peak = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return Cost(times.user + times.system, rss, peak)


async def at_rest(pid: int, *, quiet: float = 2.0, limit: float = 300.0) -> float:
    """Wait until the process has hardly used its core for `quiet` seconds; the time of that.

    Returns the loop's time at which it last was busy.
    """
    loop = asyncio.get_running_loop()
    busy = started = loop.time()
    before = cost(pid).cpu
    while (now := loop.time()) - busy < quiet:
        if now - started > limit:
            raise TimeoutError(f"process {pid} is still busy after {limit:.0f} s")
        await asyncio.sleep(STEP)
        after = cost(pid).cpu
        if after - before > BUSY * STEP:
            busy = loop.time()
        before = after
    return busy


async def requests(access: Access) -> Counter[tuple[str, str]]:
    """How many requests the API server has answered, by verb and resource, but for `OTHERS`."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{access.server}/metrics", ssl=access.tls or False) as response,
    ):
        text = await response.text()
    found: Counter[tuple[str, str]] = Counter()
    wanted = "\n".join(line for line in text.splitlines() if "apiserver_request_total" in line)
    for family in text_string_to_metric_families(wanted + "\n"):
        for sample in family.samples:
            labels = sample.labels
            verb, resource = labels.get("verb", ""), labels.get("resource", "")
            if resource not in OTHERS and verb != "WATCH":
                part = f"/{labels['subresource']}" if labels.get("subresource") else ""
                found[verb, resource + part] += int(sample.value)
    return found


def writes(counted: Counter[tuple[str, str]]) -> int:
    """The writes among requests."""
    return sum(number for (verb, _), number in counted.items() if verb in WRITES)


def take_events(counted: Counter[tuple[str, str]]) -> int:
    """Remove the Kubernetes Events posted; how many they were."""
    return sum(counted.pop(key) for key in list(counted) if key[1] == EVENTS)


def by_verb(counted: Counter[tuple[str, str]]) -> dict[str, int]:
    """Requests by verb alone."""
    verbs: Counter[str] = Counter()
    for (verb, _), number in counted.items():
        verbs[verb] += number
    return {verb: number for verb, number in sorted(verbs.items()) if number}


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of `values` do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def middle(values: Iterable[float]) -> float:
    """The median."""
    return statistics.median(values)
