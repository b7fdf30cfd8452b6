"""One contender on a fresh API server: everything that is asked of it, in order."""

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from tapehouse_kube.access import load_access
from tapehouse_laptop.net import Net

from bench.operator.contenders import Contender, Setting
from bench.operator.driver import Driver, Watched
from bench.operator.measures import (
    at_rest,
    by_verb,
    cost,
    percentile,
    requests,
    take_events,
    writes,
)
from bench.operator.recording import Template
from bench.operator.server import api_server
from bench.operator.workload import Workload

CHANGES = 20
"""Resources changed one after the other."""
PACED, RATE = 100, 25.0
"""Resources changed at a steady rate, per second, with and without one that fails."""
FAILING_FOR = 3.0
"""Seconds it has been failing when the others are changed."""
MENDED_WITHIN = 40.0
"""Seconds that a mended resource is waited for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of every contender."""

    workload_name: str
    workload: Workload
    template: Template
    resources: int
    idle: float
    """Seconds at rest."""


@dataclass(slots=True)
class Trial:
    """What one contender did; times in seconds, sizes in MiB."""

    contender: str
    figures: dict[str, float] = field(default_factory=dict)
    verbs: dict[str, int] = field(default_factory=dict)
    """Requests for all new resources, by verb."""


async def run_trial(plan: Plan, contender: Contender, net: Net) -> Trial:
    """Start an API server, the contender, and measure."""
    async with api_server(net) as server, server.client() as kube:
        setting = Setting(server, plan.workload_name, plan.workload, plan.template)
        driver = Driver(kube, plan.workload)
        async with driver.watching():
            course = _Course(plan, contender, setting, driver)
            try:
                await course.run()
            finally:
                contender.stop()
            return course.trial


class _Course:
    def __init__(self, plan: Plan, contender: Contender, setting: Setting, driver: Driver) -> None:
        self._plan, self._contender, self._setting = plan, contender, setting
        self._driver = driver
        self._access = load_access(str(setting.server.kubeconfig))
        self._names = [f"r-{number:05d}" for number in range(plan.resources)]
        self._pid = 0
        self.trial = Trial(contender.name)

    async def run(self) -> None:
        self._pid = self._contender.start(self._setting)
        await at_rest(self._pid)
        phases = [self._create, self._idle, self._change, self._fail, self._restart]
        for phase in phases[:1] if self._contender.is_fed else phases:
            before = set(self.trial.figures)
            await phase()
            self._tell(before)

    def _tell(self, before: set[str]) -> None:
        """Progress on standard output."""
        new = {name: value for name, value in self.trial.figures.items() if name not in before}
        text = ", ".join(f"{name} {value:.3g}" for name, value in new.items())
        print(f"  {text}", file=sys.stderr, flush=True)

    async def _create(self) -> None:
        loop, figures = asyncio.get_running_loop(), self.trial.figures
        before, spent = await requests(self._access), cost(self._pid)
        started = loop.time()
        await self._driver.create(self._names, self._contender.tell)
        figures["created"] = loop.time() - started
        seen = await self._driver.settled(self._names)
        figures["makespan"] = max(one.settled for one in seen) - started
        await at_rest(self._pid)
        after = cost(self._pid)
        asked = await requests(self._access) - before
        asked["POST", self._plan.workload.kind.model.names.plural] -= len(self._names)
        figures["events"] = take_events(asked) / len(self._names)
        expected = len(self._plan.template.filled("a", "b")[0]) - 1
        short = [one for one in seen if len(one.children) != expected]
        if short:
            raise AssertionError(f"{len(short)} resources have not got {expected} children")
        self._latencies("new", seen)
        figures["cpu"] = after.cpu - spent.cpu
        figures["peak"], figures["rss"] = after.peak, after.rss
        figures["writes"] = writes(asked) / len(self._names)
        figures["requests"] = asked.total() / len(self._names)
        self.trial.verbs = by_verb(asked)

    async def _idle(self) -> None:
        await self._no_more_events()
        before, spent = await requests(self._access), cost(self._pid)
        await asyncio.sleep(self._plan.idle)
        asked, after = await requests(self._access) - before, cost(self._pid)
        minutes = self._plan.idle / 60
        self.trial.figures["idle calls"] = asked.total() / len(self._names) / minutes
        self.trial.figures["idle cpu"] = (after.cpu - spent.cpu) / minutes

    async def _change(self) -> None:
        """One resource at a time, among all the others."""
        before = await requests(self._access)
        seen = []
        for number, name in enumerate(self._names[:CHANGES]):
            await self._driver.change(name, self._plan.workload.change(10 + number))
            seen += await self._driver.settled([name], limit=30)
        asked = await self._after(before)
        self._latencies("change", seen)
        self.trial.figures["change writes"] = (asked - CHANGES) / CHANGES

    async def _fail(self) -> None:
        """The same changes without and with one resource that cannot be brought about."""
        self._latencies("paced", await self._paced(100))
        failing, workload = self._names[-1], self._plan.workload
        await self._driver.change(failing, {"spec": workload.broken})
        await asyncio.sleep(FAILING_FOR)
        before = await requests(self._access)
        self._latencies("beside failing", await self._paced(200))
        asked = await self._after(before)
        self.trial.figures["beside failing writes"] = (asked - PACED) / PACED
        await self._driver.change(failing, {"spec": workload.mended})
        try:
            [mended] = await self._driver.settled([failing], limit=MENDED_WITHIN)
            self.trial.figures["mended"] = mended.settled - mended.asked
        except TimeoutError:
            self.trial.figures["mended"] = inf

    async def _paced(self, number: int) -> list[Watched]:
        names = self._names[CHANGES : CHANGES + PACED]
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with asyncio.TaskGroup() as group:
            for index, name in enumerate(names):
                await asyncio.sleep(max(0.0, started + index / RATE - loop.time()))
                change = self._plan.workload.change(number + index)
                group.create_task(self._driver.change(name, change))
        return [_copy(one) for one in await self._driver.settled(names, limit=60)]

    async def _restart(self) -> None:
        loop, figures = asyncio.get_running_loop(), self.trial.figures
        self._contender.stop()
        await asyncio.sleep(1.0)
        before, started = await requests(self._access), loop.time()
        self._pid = self._contender.start(self._setting)
        figures["restart"] = await at_rest(self._pid) - started
        asked, after = await requests(self._access) - before, cost(self._pid)
        figures["restart events"] = take_events(asked)
        figures["restart writes"] = writes(asked)
        figures["restart requests"] = asked.total()
        figures["restart cpu"], figures["restart rss"] = after.cpu, after.rss
        figures["restart peak"] = after.peak

    async def _no_more_events(self) -> None:
        """They are posted at leisure: wait for the last one."""
        while True:
            before = await requests(self._access)
            await asyncio.sleep(2.0)
            if not take_events(await requests(self._access) - before):
                return

    async def _after(self, before: Counter[tuple[str, str]]) -> int:
        """The writes since `before`, once the contender is at rest."""
        await asyncio.sleep(1.0)
        asked = await requests(self._access) - before
        take_events(asked)
        return writes(asked)

    def _latencies(self, name: str, seen: Sequence[Watched]) -> None:
        for what, values in (
            ("children", [one.child - one.asked for one in seen]),
            ("status", [one.settled - one.asked for one in seen]),
        ):
            self.trial.figures[f"{name} {what} p50"] = percentile(values, 0.5)
            self.trial.figures[f"{name} {what} p99"] = percentile(values, 0.99)


def _copy(one: Watched) -> Watched:
    """As it is now: the next change starts from it."""
    return Watched(one.asked, one.generation, one.children, one.child, one.settled)
