"""`python -m bench.operator`: see README.md beside this file."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from tapehouse_laptop.net import Net

from bench.operator.contenders import (
    CONCURRENCY,
    Ceiling,
    Contender,
    ControllerRuntime,
    Kopf,
    Subject,
    build_peer,
)
from bench.operator.recording import record
from bench.operator.report import table
from bench.operator.trial import Plan, Trial, run_trial
from bench.operator.workload import WORKLOADS

CONTENDERS = (
    "tapehouse",
    "tapehouse-admission",
    "ceiling",
    "kopf-stock",
    "kopf-async",
    "controller-runtime",
)


def main() -> None:
    """Parse the command line, measure, print the table."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is stopped
    options = _options()
    net = Net.parse(options.net)
    trials = asyncio.run(_measure(options, net))
    if options.json:
        rows = [{"contender": t.contender, **t.figures, "verbs": t.verbs} for t in trials]
        options.json.write_text(json.dumps(rows, indent=1))
    print(table(trials, options.resources, options.workload))


async def _measure(options: argparse.Namespace, net: Net) -> list[Trial]:
    workload = WORKLOADS[options.workload]
    template = await record(workload)
    plan = Plan(options.workload, workload, template, options.resources, options.idle)
    if "controller-runtime" in options.only:
        build_peer()
    trials = []
    for number in range(options.rounds):
        for contender in _contenders(options, number):
            print(f"round {number + 1}: {contender.name}", file=sys.stderr, flush=True)
            trials.append(await run_trial(plan, contender, net))
    return trials


def _contenders(options: argparse.Namespace, number: int) -> list[Contender]:
    """Interleaved."""
    ceilings = CONCURRENCY if number == 0 else CONCURRENCY[-1:]
    every: dict[str, list[Contender]] = {
        "ceiling": [Ceiling(workers) for workers in ceilings],
        "tapehouse": [Subject()],
        "tapehouse-admission": [Subject(admission=True)],
        "kopf-stock": [Kopf("stock")],
        "kopf-async": [Kopf("async")],
        "controller-runtime": [ControllerRuntime()],
    }
    return [one for name, some in every.items() if name in options.only for one in some]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.operator", description=__doc__)
    parser.add_argument("--resources", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="trio")
    parser.add_argument("--rounds", type=int, default=1, help="repetitions, interleaved")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds at rest (default 20)")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=CONTENDERS)
    parser.add_argument("--net", default="127.81.0.0/16", help="loopback range of its own")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
