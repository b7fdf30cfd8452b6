"""A kind costs one line: a sixth one gets everything the five have, and no other code changes."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import yaml
from tapehouse_cli.resources.dry_run import Rehearsal
from tapehouse_cli.resources.graph import build_graph, tree
from tapehouse_cli.resources.pictures import draw
from tapehouse_cli.resources.plan import make_plans
from tapehouse_cli.resources.snapshot import Snapshot
from tapehouse_cli.resources.verbs import find_key
from tapehouse_cli.resources.why import causes
from tapehouse_operator.kinds import KINDS
from tapehouse_operator.kinds.contract import Applied, Key, Output, Verdict
from tapehouse_operator.names import API_VERSION
from tapehouse_operator.shell.generate import outputs

from tests.cli.resources.test_plan import DryKube
from tests.operator.engine.virtual import run_virtual
from tests.operator.kinds.cluster import NS, Cluster, cluster
from tests.operator.kinds.test_cluster import LOCAL
from tests.operator.kinds.watchlist import Watchlist, WatchlistKind
from tests.operator.kinds.worlds import ROOT, revision, world

SIX = (*KINDS, WatchlistKind())
EXAMPLE = {
    "apiVersion": API_VERSION,
    "kind": "Watchlist",
    "metadata": {"name": "mine"},
    "spec": {"table": "bronze-trades", "symbol": "ABC"},
}
MINE = Key("Watchlist", NS, "mine")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("generated")
    copytree(ROOT / "crds/examples", root / "crds/examples")
    (root / "crds/examples/watchlist.yaml").write_text(yaml.safe_dump(EXAMPLE))
    return {path.as_posix(): text for path, text in outputs(root, SIX).items()}


def rules(text: str) -> Iterator[tuple[str, str, str]]:
    """(group, resource, verb) of every role in `text`."""
    for document in yaml.safe_load_all(text):
        for rule in document.get("rules", ()):
            for resource in rule["resources"]:
                yield from ((rule["apiGroups"][0], resource, verb) for verb in rule["verbs"])


def test_it_has_a_crd_an_editor_schema_and_a_page(generated: dict[str, str]) -> None:
    crd = yaml.safe_load(generated["crds/watchlists.yaml"])
    version = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    assert version["spec"]["properties"]["symbol"]["maxLength"] == 40
    assert "symbol" in generated["crds/schemas/watchlist.json"]
    assert "short name `wl`" in generated["docs/reference/resources/watchlist.md"]
    assert "watchlist.md" in generated["docs/reference/resources/README.md"]


def test_operator_and_query_server_may_use_it(generated: dict[str, str]) -> None:
    operator = set(rules(generated["charts/tapehouse/files/rbac.yaml"]))
    group = "tapehouse.dev"
    assert {(group, "watchlists", v) for v in ("get", "list", "watch", "patch")} <= operator
    assert (group, "watchlists/status", "patch") in operator
    assert (group, "watchlists/finalizers", "update") in operator
    assert ("batch", "cronjobs", "create") in operator, "what it owns"
    query = set(rules(generated["environments/base/platform/query-role.yaml"]))
    assert (group, "watchlists", "list") in query


def test_the_console_lists_it(generated: dict[str, str]) -> None:
    kinds = json.loads(generated["workloads/query/src/tapehouse_query/kinds.json"])
    assert list(kinds.items())[-1] == ("Watchlist", "watchlists")


def test_it_is_reconciled_and_shown_by_every_command() -> None:
    waiting: dict[str, Any] = copy.deepcopy(EXAMPLE)
    waiting["metadata"]["name"], waiting["spec"]["table"] = "waiting", "missing"

    async def main() -> None:
        async with cluster([*LOCAL, EXAMPLE, waiting], SIX) as c:
            await c.settle()
            assert c.get("v1", "ConfigMap", "mine-watchlist")["data"] == {"symbol": "ABC"}
            snapshot = await Snapshot(DryKube(c.kube), SIX, NS).load()  # type: ignore[arg-type]
            graph = await build_graph(snapshot)
            assert MINE in graph.below[Key("LakehouseTable", NS, "bronze-trades")]
            assert any("Watchlist/mine  Ready" in line for line in tree(graph))
            for form in ("dot", "mermaid", "svg"):
                assert "mine" in draw(graph, form)
            assert "WATCHLIST" in draw(graph, "svg")
            why = await causes(snapshot, graph, MINE._replace(name="waiting"))
            assert why == ["Watchlist/waiting: TableNotFound: no LakehouseTable missing"]
            await planned(c)

    run_virtual(main())


async def planned(c: Cluster) -> None:
    edited: dict[str, Any] = copy.deepcopy(EXAMPLE)
    edited["spec"]["symbol"] = "XYZ"
    dry = Rehearsal(DryKube(c.kube), SIX, NS)  # type: ignore[arg-type]
    await dry.load()
    plans = [p for p in await make_plans(dry, [edited], c.tables) if p.change != "none"]
    assert [(p.key, p.change) for p in plans if p.applied] == [(MINE, "in place")]
    assert [child.name for child in plans[0].children] == ["mine-watchlist"]


@pytest.mark.parametrize("text", ["watchlist/mine", "watchlists/mine", "wl/mine"])
def test_commands_find_it_by_its_names(text: str) -> None:
    assert find_key(SIX, text, NS) == MINE


def test_defaults_of_a_kind_are_those_of_one_without_data() -> None:
    kind = WatchlistKind()
    resource = Watchlist.model_validate(EXAMPLE)
    assert kind.resolve(resource, world()) is resource
    assert kind.preflight(resource) is None
    assert [kind.reserved_revision(resource, first=first) for first in (True, False)] == [0, 0]
    assert kind.judge(resource, Applied({}, {}, 1)) == Verdict()
    assert super(WatchlistKind, kind).compile(resource, revision(resource, 1)) == Output()


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name != "StreamJob"])
def test_kinds_whose_data_carries_no_revision_reserve_none(kind: Any) -> None:
    """A plan is not even looked at."""
    assert [kind.reserved_revision(None, first=first) for first in (True, False)] == [0, 0]


def test_the_examples_are_one_for_each_kind() -> None:
    names = {path.stem for path in Path(ROOT / "crds/examples").glob("*.yaml")}
    assert names == {kind.name.lower() for kind in KINDS}
