"""Whether the path needs more memory the longer it runs.

    .venv/bin/python -m bench.pipeline.memory [--rate 5000] [--minutes 10] [--jobs land]

A platform of its own takes RATE trades a second for so long, after two minutes that do not count.
The memory of each part (resident, MiB) is sampled twice a second. The report is its growth: the
slope of a line through the medians of twenty time ranges, with its 95 % interval. A JVM's memory
grows until its heap has been used once, so that of the first minutes says little about it.
"""

import argparse
import signal
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence

from bench.pipeline.path import REST, path

WARM = 120.0
EVERY = 0.5
STRETCHES = 20
T = 2.101
"""Student's t at 97.5 % with as many degrees of freedom as stretches, less two."""


def slope(values: Sequence[float], hours: float) -> tuple[float, float]:
    """Growth per hour of what was seen evenly over `hours`, and half its 95 % interval."""
    size = len(values) / STRETCHES
    medians = [
        statistics.median(values[int(n * size) : int((n + 1) * size)]) for n in range(STRETCHES)
    ]
    at = [(n + 0.5) * hours / STRETCHES for n in range(STRETCHES)]
    growth, start = statistics.linear_regression(at, medians)
    left = sum((m - start - growth * t) ** 2 for t, m in zip(at, medians, strict=True))
    spread = sum((t - hours / 2) ** 2 for t in at)
    return growth, T * (left / (STRETCHES - 2) / spread) ** 0.5


def measure(net: str, rate: int, minutes: float, jobs: Sequence[str]) -> dict[str, list[float]]:
    seen: dict[str, list[float]] = defaultdict(list)
    with path(net, "5s", jobs, rate, 10**9) as load:
        load.go()
        time.sleep(WARM)
        end, said = time.monotonic() + 60 * minutes, 0.0
        while (now := time.monotonic()) < end:
            memory = load.memory()
            for part, size in memory.items():
                seen[part].append(size)
            if now - said > 30:
                said = now
                sizes = ", ".join(f"{part} {size:.0f}" for part, size in sorted(memory.items()))
                print(f"{(end - now) / 60:5.1f} min left: {sizes} MiB", flush=True)
            time.sleep(EVERY)
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--jobs", nargs="+", default=["land"], help="land, refine")
    parser.add_argument("--net", default="87", help="second number of the loopback addresses")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seen = measure(options.net, options.rate, options.minutes, options.jobs)
    print(f"\n{options.rate:,} trades/s, {options.minutes:.0f} minutes\n")
    print("| part | at first, MiB | at last | most | growth, MiB per hour |\n|---|---|---|---|---|")
    for part, values in sorted(seen.items()):
        if part == REST or len(values) < STRETCHES:
            continue
        growth, sure = slope(values, options.minutes / 60)
        ends = f"{values[0]:.0f} | {values[-1]:.0f} | {max(values):.0f}"
        print(f"| {part} | {ends} | {growth:+.1f} ± {sure:.1f} |")


if __name__ == "__main__":
    main()
