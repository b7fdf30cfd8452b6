"""Places for the nodes of a layered graph, left to right, with few crossings. Pure."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

N = TypeVar("N", bound=Hashable)
SWEEPS = 9
"""Times the order within layers is improved, from the left and from the right in turn; odd, so
that what comes from one node ends up together."""
Slot = tuple[str, int]
"""A place in the row of a layer: of a node by its number, or of an edge that passes through."""


@dataclass(frozen=True, slots=True)
class Layout(Generic[N]):
    """Where everything is, in units of one row and one column."""

    layers: tuple[tuple[N, ...], ...]
    rows: Mapping[N, float]
    """The row of each node's middle."""
    routes: Mapping[tuple[N, N], tuple[float, ...]]
    """For an edge, the rows at which it passes the layers between its ends."""
    height: float
    """How many rows the tallest layer has."""


def arrange(nodes: Sequence[N], edges: Iterable[tuple[N, N]]) -> Layout[N]:
    """Lay out an acyclic graph; nodes keep the order given where nothing speaks against it."""
    edges = sorted({*edges}, key=lambda e: (nodes.index(e[0]), nodes.index(e[1])))
    depth = _depths(nodes, edges)
    columns: list[list[Slot]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for number, node in enumerate(nodes):
        columns[depth[node]].append(("node", number))
    links: defaultdict[Slot, list[Slot]] = defaultdict(list)
    back: defaultdict[Slot, list[Slot]] = defaultdict(list)
    paths: dict[tuple[N, N], list[tuple[int, Slot]]] = {}
    for index, (a, b) in enumerate(edges):
        before: Slot = ("node", nodes.index(a))
        paths[a, b] = []
        for column in range(depth[a] + 1, depth[b] + 1):
            here: Slot = (
                ("node", nodes.index(b)) if column == depth[b] else (f"edge{column}", index)
            )
            if column < depth[b]:
                columns[column].append(here)
                paths[a, b].append((column, here))
            links[before].append(here)
            back[here].append(before)
            before = here
    _untangle(columns, links, back)
    rows = _rows(columns, links, back)
    places = [dict(zip(c, r, strict=True)) for c, r in zip(columns, rows, strict=True)]
    return Layout(
        layers=tuple(
            tuple(nodes[number] for kind, number in column if kind == "node") for column in columns
        ),
        rows={node: places[depth[node]]["node", n] for n, node in enumerate(nodes)},
        routes={edge: tuple(places[c][slot] for c, slot in path) for edge, path in paths.items()},
        height=max((row + 1 for column in rows for row in column), default=0.0),
    )


def _depths(nodes: Sequence[N], edges: Sequence[tuple[N, N]]) -> dict[N, int]:
    """The longest way to each node, sources next to what they feed; circles are broken."""
    above: defaultdict[N, list[N]] = defaultdict(list)
    for a, b in edges:
        above[b].append(a)
    depth: dict[N, int] = {}

    def visit(node: N, trail: frozenset[N]) -> int:
        if node not in depth:
            trail = trail | {node}
            ways = [visit(other, trail) + 1 for other in above[node] if other not in trail]
            depth[node] = max(ways, default=0)
        return depth[node]

    for node in nodes:
        visit(node, frozenset())
    for node in nodes:
        below = [depth[b] for a, b in edges if a == node]
        if below and not above[node]:
            depth[node] = min(below) - 1  # no longer a line than needed
    return depth


def _untangle(
    columns: list[list[Slot]],
    links: Mapping[Slot, list[Slot]],
    back: Mapping[Slot, list[Slot]],
) -> None:
    """Sort each layer by the middle of its neighbours' places, again and again.

    What hangs together with nothing goes last.
    """
    alone = {s: inf for column in columns for s in column if not (links.get(s) or back.get(s))}
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        order = range(1, len(columns)) if forth else range(len(columns) - 2, -1, -1)
        for index in order:
            beside = columns[index - 1 if forth else index + 1]
            place = {slot: n for n, slot in enumerate(beside)}
            near = back if forth else links
            own = {slot: n for n, slot in enumerate(columns[index])}
            wish = {s: _mean([place[x] for x in near.get(s, ())], n) for s, n in own.items()}
            columns[index].sort(key=(wish | alone).__getitem__)


def _rows(
    columns: Sequence[Sequence[Slot]],
    links: Mapping[Slot, list[Slot]],
    back: Mapping[Slot, list[Slot]],
) -> list[list[float]]:
    """Rows at least one apart, each as near to its neighbours as its layer allows."""
    tallest = max((len(column) for column in columns), default=0)
    at: dict[Slot, float] = {}
    for column in columns:
        top = (tallest - len(column)) / 2
        at |= {slot: top + n for n, slot in enumerate(column)}
    for _ in range(SWEEPS):
        for column in columns:
            wishes = [
                _mean([at[x] for x in (*links.get(s, ()), *back.get(s, ()))], at[s]) for s in column
            ]
            at |= dict(zip(column, _spread(wishes), strict=True))
    lowest = min(at.values(), default=0.0)
    return [[at[slot] - lowest for slot in column] for column in columns]


def _spread(wishes: Sequence[float]) -> list[float]:
    """The places next to `wishes`, in their order and at least one apart.

    Neighbours that wish for one place form a block, whose middle is where they wish on average.
    """
    blocks: list[tuple[float, int]] = []
    for wish in wishes:
        blocks.append((wish, 1))
        while len(blocks) > 1 and _overlap(blocks[-2], blocks[-1]):
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [((a * n + b * m) / (n + m), n + m)]
    return [middle - (n - 1) / 2 + i for middle, n in blocks for i in range(n)]


def _overlap(upper: tuple[float, int], lower: tuple[float, int]) -> bool:
    return lower[0] - upper[0] < (upper[1] + lower[1]) / 2


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
