"""The graph: what is in it, where it is put, how it is drawn."""

import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from tapehouse_cli.main import main
from tapehouse_cli.resources.graph import Graph, State, build_graph, tree
from tapehouse_cli.resources.layout import arrange
from tapehouse_cli.resources.pictures import draw, format_of
from tapehouse_cli.resources.snapshot import Snapshot
from tapehouse_operator.kinds import KINDS
from tapehouse_operator.kinds.contract import Key

from tests.cli.resources.test_plan import DryKube
from tests.operator.engine.virtual import run_virtual
from tests.operator.kinds.cluster import NS, cluster
from tests.operator.kinds.test_cluster import LOCAL

SVG = "{http://www.w3.org/2000/svg}"


def key(kind: str, name: str) -> Key:
    return Key(kind, NS, name)


FEED, TOPIC, JOB = (
    key("TradeFeed", "a<b"),
    key("KafkaTopic", "raw"),
    key("StreamJob", "land"),
)
SMALL = Graph(
    {
        FEED: State("Ready", "Ready"),
        TOPIC: State("Progressing", "not observed yet"),
        JOB: State("Refused", 'InvalidSql: "x" & y'),
    },
    {FEED: (TOPIC,), TOPIC: (JOB,), JOB: ()},
)


@pytest.fixture(scope="module")
def local() -> Graph:
    async def built() -> Graph:
        async with cluster(LOCAL) as c:
            await c.settle()
            snapshot = Snapshot(DryKube(c.kube), KINDS, NS)  # type: ignore[arg-type]
            return await build_graph(await snapshot.load())

    return run_virtual(built())


def test_data_flows_from_the_feed_through_topics_and_jobs_into_tables(local: Graph) -> None:
    trades, land = key("KafkaTopic", "raw.trades"), key("StreamJob", "land")
    assert trades in local.below[key("TradeFeed", "market")]
    assert {land, key("StreamJob", "refine")} == set(local.below[trades])
    assert key("LakehouseTable", "bronze-trades") in local.below[land]
    assert land not in local.below[key("TradeFeed", "market")]
    names = {k.name for k in local.nodes if k.kind == "KafkaTopic"}
    assert not names & {"market.cursor", "market.dead-letters"}
    assert {state.text for state in local.nodes.values()} == {"Ready"}


def test_declared_readers_stand_behind_their_tables() -> None:
    async def built() -> Graph:
        consumers = [{"name": "risk-desk", "columns": ["symbol"]}, {"name": "audit"}]
        changed = [
            {**body, "spec": {**body["spec"], "consumers": consumers}}
            if body["metadata"]["name"] == "bronze-trades"
            else body
            for body in LOCAL
        ]
        async with cluster(changed) as c:
            await c.settle()
            snapshot = Snapshot(DryKube(c.kube), KINDS, NS)  # type: ignore[arg-type]
            return await build_graph(await snapshot.load())

    graph = run_virtual(built())
    desk = key("Reader", "risk-desk")
    assert set(graph.below[key("LakehouseTable", "bronze-trades")]) == {
        key("Reader", "audit"),
        desk,
    }
    assert "Reader/risk-desk  Declared" in "\n".join(tree(graph))
    picture = draw(graph, "svg")
    assert "→ 2 outside Tapehouse" in picture
    ours = len(graph.nodes) - 2
    assert f"{ours} of {ours} are ready." in picture


def test_as_text_everything_is_shown_once(local: Graph) -> None:
    shown = [line for line in tree(local) if "(above)" not in line]
    assert len(shown) == len(local.nodes)
    assert shown[0] == "TradeFeed/market  Ready"


def test_nothing_overlaps_and_every_line_goes_on_to_the_right(local: Graph) -> None:
    edges = [(a, b) for a, fed in local.below.items() for b in fed]
    layout = arrange(list(local.nodes), edges)
    check(layout.layers, layout.rows, edges)
    assert sum(map(len, layout.layers)) == len(local.nodes)


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25))
def test_any_graph_has_a_layout(pairs: set[tuple[int, int]]) -> None:
    edges = [(a, b) for a, b in pairs if a < b]
    layout = arrange(range(10), edges)
    check(layout.layers, layout.rows, edges)
    column = {node: n for n, layer in enumerate(layout.layers) for node in layer}
    for (a, b), passes in layout.routes.items():
        assert len(passes) == column[b] - column[a] - 1


def check(layers, rows, edges) -> None:
    column = {node: n for n, layer in enumerate(layers) for node in layer}
    assert all(column[a] < column[b] for a, b in edges)
    for layer in layers:
        places = sorted(rows[node] for node in layer)
        assert all(b - a >= 1 - 1e-9 for a, b in pairwise(places))


def test_a_circle_is_drawn_all_the_same() -> None:
    assert arrange("ab", [("a", "b"), ("b", "a")]).rows.keys() == {"a", "b"}


def test_the_picture_can_be_read_without_colours_and_without_eyes() -> None:
    root = ElementTree.fromstring(draw(SMALL, "svg"))
    assert root.get("role") == "img"
    described = {e.get("id"): e.text for e in root if e.get("id")}
    assert root.get("aria-labelledby", "").split() == list(described)
    assert 'StreamJob/land is InvalidSql: "x" & y.' in (described["desc"] or "")
    texts = [e.text for e in root.iter(f"{SVG}text")]
    assert "✕ InvalidSql" in texts
    assert "✓ 1 ready" in texts
    assert "a<b" in texts
    assert len(list(root.iter(f"{SVG}path"))) == 2


def test_other_tools_get_the_same() -> None:
    assert '"TradeFeed/a<b" -> "KafkaTopic/raw";' in draw(SMALL, "dot")
    assert "n0 --> n1" in draw(SMALL, "mermaid")
    assert [format_of(p) for p in (None, "-", "a.svg", "a.dot", "a.mmd", "a")] == [
        "text",
        "text",
        "svg",
        "dot",
        "mermaid",
        "svg",
    ]


def test_called_by_kubectl_it_calls_itself_so() -> None:
    shown = CliRunner().invoke(main, ["plan", "--help"], prog_name="kubectl-tapehouse").output
    assert shown.startswith("Usage: kubectl tapehouse plan [OPTIONS]")
