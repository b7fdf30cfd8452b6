"""Figures as a table: medians, and ratios to the ceiling of the same run."""

from collections.abc import Callable, Sequence

from bench.operator.measures import middle
from bench.operator.trial import Trial

ROWS: tuple[tuple[str, str, str], ...] = (
    ("makespan", "makespan of all, s", "{:.2f}"),
    ("new children p50", "apply → children p50, s", "{:.2f}"),
    ("new children p99", "apply → children p99, s", "{:.2f}"),
    ("new status p50", "apply → status p50, s", "{:.2f}"),
    ("new status p99", "apply → status p99, s", "{:.2f}"),
    ("writes", "writes per new resource", "{:.2f}"),
    ("requests", "requests per new resource", "{:.2f}"),
    ("events", "Kubernetes Events posted meanwhile, per resource", "{:.2f}"),
    ("cpu", "CPU for all, s", "{:.2f}"),
    ("peak", "RSS at most, MiB", "{:.0f}"),
    ("rss", "RSS at rest, MiB", "{:.0f}"),
    ("idle calls", "calls at rest per resource and minute", "{:.4f}"),
    ("idle cpu", "CPU at rest, s per minute", "{:.2f}"),
    ("change status p50", "one change → status p50, s", "{:.3f}"),
    ("change status p99", "one change → status p99, s", "{:.3f}"),
    ("change writes", "writes per change", "{:.2f}"),
    ("paced status p99", "25 changes/s → status p99, s", "{:.3f}"),
    ("beside failing status p99", "the same beside one that fails, s", "{:.3f}"),
    ("mended", "that one, mended → status, s", "{:.2f}"),
    ("restart", "restart until quiet, s", "{:.2f}"),
    ("restart writes", "writes of a restart", "{:.0f}"),
    ("restart requests", "requests of a restart", "{:.0f}"),
    ("restart cpu", "CPU of a restart, s", "{:.2f}"),
    ("restart rss", "RSS after a restart, MiB", "{:.0f}"),
)
RATIOS = ("makespan", "cpu", "new status p99")


def table(trials: Sequence[Trial], resources: int, workload: str) -> str:
    """Markdown: a column for each contender, the best ceiling only."""
    ceilings = [t for t in trials if t.contender.startswith("ceiling")]
    best = min(ceilings, key=lambda t: t.figures["makespan"]).contender if ceilings else ""
    kept = [t for t in trials if not t.contender.startswith("ceiling") or t.contender == best]
    names = list(dict.fromkeys(t.contender for t in kept))
    columns = {name: [t.figures for t in kept if t.contender == name] for name in names}
    lines = [
        f"{resources} resources of {workload}; medians"
        + (f" (least) of {len(kept) // len(names)} rounds" if len(kept) > len(names) else ""),
        "",
        "| | " + " | ".join(names) + " |",
        "|---|" + "---:|" * len(names),
    ]
    for key, title, style in ROWS:
        cells = [_cell(columns[name], key, style.format) for name in names]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    for key in RATIOS if best else ():
        cells = [_ratio(columns[name], columns[best], key) for name in names]
        lines.append(f"| **{key} ÷ ceiling** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(figures: Sequence[dict[str, float]], key: str, style: Callable[[float], str]) -> str:
    values = [f[key] for f in figures if key in f]
    if not values:
        return ""
    least = f" ({style(min(values))})" if len(values) > 1 else ""
    return style(middle(values)) + least


def _ratio(
    figures: Sequence[dict[str, float]], ceiling: Sequence[dict[str, float]], key: str
) -> str:
    base = middle([f[key] for f in ceiling])
    return f"{middle([f[key] for f in figures]) / base:.2f}"
