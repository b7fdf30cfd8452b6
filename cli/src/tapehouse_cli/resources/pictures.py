"""The graph as a picture: SVG drawn here, Graphviz' DOT and Mermaid for other tools. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import NamedTuple
from xml.sax.saxutils import escape

from tapehouse_operator.api.base import Phase
from tapehouse_operator.kinds.contract import Key

from tapehouse_cli.resources.graph import DECLARED, Graph, State, label
from tapehouse_cli.resources.layout import Layout, arrange


class Look(NamedTuple):
    """How a state is shown: never by colour alone."""

    css: str
    colour: str
    sign: str
    word: str


GOOD = Look("good", "#1a7f37", "✓", "ready")
MOVING = Look("moving", "#9a6700", "…", "on its way")
BAD = Look("bad", "#cf222e", "✕", "needs attention")
QUIET = Look("quiet", "#656d76", "‖", "stopped, or not seen yet")
OUTSIDE = Look("quiet", "#656d76", "→", "outside Tapehouse")
LOOKS: Mapping[str, Look] = {
    Phase.READY: GOOD,
    Phase.PENDING: MOVING,
    Phase.CHECKING: MOVING,
    Phase.PROGRESSING: MOVING,
    Phase.REFUSED: BAD,
    Phase.DEGRADED: BAD,
    Phase.STALLED: BAD,
    DECLARED: OUTSIDE,
}

WIDTH, HEIGHT = 220, 50
"""Of a box."""
ACROSS, DOWN = 300, 66
"""From one box to the next."""
MARGIN, FOOT, BEND = 32, 48, 46
CHARACTERS = 27
"""That fit into a box."""


def format_of(path: str | None) -> str:
    """The format that a file's name asks for; text without a file."""
    if path in (None, "-"):
        return "text"
    return {".dot": "dot", ".gv": "dot", ".mmd": "mermaid", ".txt": "text"}.get(
        PurePath(path or "").suffix, "svg"
    )


def draw(graph: Graph, form: str) -> str:
    """The graph in one of the formats `dot`, `mermaid`, `svg`."""
    makers: Mapping[str, Callable[[Graph], Iterator[str]]] = {
        "dot": dot,
        "mermaid": mermaid,
        "svg": svg,
    }
    return "\n".join(makers[form](graph))


def dot(graph: Graph) -> Iterator[str]:
    """For Graphviz."""
    yield "digraph tapehouse { rankdir=LR; node [shape=box, style=rounded];"
    for key, how in graph.nodes.items():
        look = _look(how)
        text = f"{label(key)}\\n{look.sign} {_word(how)}"
        yield f'  "{label(key)}" [color="{look.colour}", label="{text}"];'
    for a, b in _edges(graph):
        yield f'  "{label(a)}" -> "{label(b)}";'
    yield "}"


def mermaid(graph: Graph) -> Iterator[str]:
    """For Markdown pages that render Mermaid."""
    names = {key: f"n{number}" for number, key in enumerate(graph.nodes)}
    yield "flowchart LR"
    for key, how in graph.nodes.items():
        look = _look(how)
        yield f'  {names[key]}["{label(key)}<br/>{look.sign} {_word(how)}"]:::{look.css}'
    for a, b in _edges(graph):
        yield f"  {names[a]} --> {names[b]}"
    for look in (GOOD, MOVING, BAD, QUIET):
        yield f"  classDef {look.css} stroke:{look.colour}"


def svg(graph: Graph) -> Iterator[str]:
    """A picture for browsers and pages, readable without colour and by screen readers."""
    layout = arrange(list(graph.nodes), _edges(graph))
    width = max(len(layout.layers) - 1, 0) * ACROSS + WIDTH + 2 * MARGIN
    height = int(max(layout.height - 1, 0) * DOWN + HEIGHT + 2 * MARGIN + FOOT)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-labelledby="title desc">'
    )
    yield f'<title id="title">{escape(_title(graph))}</title>'
    yield f'<desc id="desc">{escape(" ".join(_sentences(graph)))}</desc>'
    yield _STYLE
    yield f'<rect class="paper" width="{width}" height="{height}"/>'
    middles = _middles(layout)
    for a, b in _edges(graph):
        yield _line(middles[a], middles[b], layout.routes[a, b])
    for key, how in graph.nodes.items():
        yield from _box(key, how, *middles[key])
    yield from _legend(graph, height)
    yield "</svg>"


_STYLE = """<style>
  svg { --paper: #fff; --plain: #f6f8fa; --edge: #d0d7de; --line: #8c959f; --ink: #1f2328;
    --soft: #57606a; --good: #1a7f37; --moving: #9a6700; --bad: #cf222e; --quiet: #656d76;
    --pale-moving: #fff8e5; --pale-bad: #ffebe9; }
  @media (prefers-color-scheme: dark) { svg { --paper: #0d1117; --plain: #161b22;
    --edge: #3d444d; --line: #656c76; --ink: #f0f6fc; --soft: #9198a1; --good: #3fb950;
    --moving: #d29922; --bad: #f85149; --quiet: #9198a1; --pale-moving: #272115;
    --pale-bad: #301a1f; } }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
  .good { fill: var(--good); } .moving { fill: var(--moving); } .bad { fill: var(--bad); }
  .quiet { fill: var(--quiet); } .paper { fill: var(--paper); }
  .line { fill: none; stroke: var(--line); stroke-width: 1.3; }
  .kind { font-size: 10px; letter-spacing: .06em; fill: var(--soft); } .note { font-size: 11px; }
  .name { font-weight: 600; fill: var(--ink); }
  .box { fill: var(--plain); stroke: var(--edge); } .box.quiet { stroke-dasharray: 4 3; }
  .box.moving { fill: var(--pale-moving); stroke: var(--moving); }
  .box.bad { fill: var(--pale-bad); stroke: var(--bad); }
</style>"""


def _box(key: Key, how: State, x: float, y: float) -> Iterator[str]:
    look, left, top = _look(how), x - WIDTH / 2, y - HEIGHT / 2
    yield f"<g><title>{escape(f'{label(key)}: {how.text}')}</title>"
    yield (
        f'<rect class="box {look.css}" x="{left:g}" y="{top:g}" width="{WIDTH}" '
        f'height="{HEIGHT}" rx="8"/>'
    )
    bar = f'x="{left:g}" y="{top + 8:g}" width="4" height="{HEIGHT - 16}"'
    yield f'<rect class="{look.css}" {bar}/>'
    for css, down, text in (
        ("kind", 15, _kind(key)),
        ("name", 30, _cut(key.name, CHARACTERS)),
        (f"note {look.css}", 44, _cut(f"{look.sign} {_word(how)}", CHARACTERS)),
    ):
        yield f'<text class="{css}" x="{left + 14:g}" y="{top + down:g}">{text}</text>'
    yield "</g>"


def _line(start: tuple[float, float], end: tuple[float, float], passes: tuple[float, ...]) -> str:
    """From the right side of one box to the left side of the other, between those in the way."""
    x, y = start[0] + WIDTH / 2, start[1]
    path = [f"M{x:g},{y:g}"]
    for number, row in enumerate(passes, 1):
        middle, down = start[0] + number * ACROSS, _down(row)
        path.append(_curve(x, y, middle - WIDTH / 2, down))
        x, y = middle + WIDTH / 2, down
        path.append(f"H{x:g}")
    path.append(_curve(x, y, end[0] - WIDTH / 2, end[1]))
    return f'<path class="line" d="{" ".join(path)}"/>'


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    return f"C{x + BEND:g},{y:g} {to_x - BEND:g},{to_y:g} {to_x:g},{to_y:g}"


def _middles(layout: Layout[Key]) -> dict[Key, tuple[float, float]]:
    return {
        key: (MARGIN + WIDTH / 2 + column * ACROSS, _down(layout.rows[key]))
        for column, layer in enumerate(layout.layers)
        for key in layer
    }


def _down(row: float) -> float:
    return round(MARGIN + HEIGHT / 2 + row * DOWN, 1)


def _legend(graph: Graph, height: int) -> Iterator[str]:
    """What the signs mean, and how many have each."""
    x, y = MARGIN, height - MARGIN + 8
    for look in (GOOD, MOVING, BAD, QUIET, OUTSIDE):
        count = sum(_look(how) is look for how in graph.nodes.values())
        if count:
            text = f"{look.sign} {count} {look.word}"
            yield f'<text class="{look.css}" x="{x}" y="{y}">{escape(text)}</text>'
            x += 8 * len(text) + 24


def _title(graph: Graph) -> str:
    spaces = ", ".join(sorted({key.namespace for key in graph.nodes})) or "nowhere"
    return f"Tapehouse in namespace {spaces}"


def _sentences(graph: Graph) -> Iterator[str]:
    ready = sum(_look(how) is GOOD for how in graph.nodes.values())
    ours = sum(_look(how) is not OUTSIDE for how in graph.nodes.values())
    yield f"{ready} of {ours} are ready."
    for key, how in graph.nodes.items():
        fed = ", ".join(label(other) for other in graph.below[key])
        yield f"{label(key)} is {how.text}" + (f" and feeds {fed}." if fed else ".")


def _edges(graph: Graph) -> Iterator[tuple[Key, Key]]:
    yield from ((a, b) for a, fed in graph.below.items() for b in fed)


def _look(how: State) -> Look:
    return LOOKS.get(how.phase, QUIET)


def _word(how: State) -> str:
    return how.text.split(":", 1)[0]


def _kind(key: Key) -> str:
    """The last word of the kind: `TABLE` of LakehouseTable."""
    return str(re.findall("[A-Z][a-z]*", key.kind)[-1]).upper()


def _cut(text: str, length: int) -> str:
    return escape(text if len(text) <= length else f"{text[: length - 1]}…")
