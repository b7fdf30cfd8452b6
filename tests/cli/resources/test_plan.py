"""A plan and what the operator then does are the same."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tapehouse_cli.resources.documents import read_documents
from tapehouse_cli.resources.dry_run import Rehearsal
from tapehouse_cli.resources.plan import Plan, lines, make_plans
from tapehouse_kube.objects import Body, Ref
from tapehouse_operator.emit.core import Table, TableState
from tapehouse_operator.errors import NotReady
from tapehouse_operator.kinds import KINDS
from tapehouse_operator.names import API_VERSION, canonical
from tapehouse_operator.reasons import Reason

from tests.operator.engine.virtual import run_virtual
from tests.operator.kinds.cluster import NS, Cluster, cluster
from tests.operator.kinds.test_cluster import LOCAL
from tests.support.memory_kube import MemoryKube

Documents = list[dict[str, Any]]
Edit = Callable[[Documents], None]


class DryKube:
    """What a plan asks of an API server, of one in memory: dry runs of the resources as well."""

    def __init__(self, kube: MemoryKube) -> None:
        self.get, self.list, self.apply = kube.get, kube.list, kube.apply
        self._kube = kube

    async def create(self, body: Body, *, dry_run: bool) -> Body:
        assert dry_run
        return stored(body)

    async def replace(self, body: Body, *, dry_run: bool) -> Body:
        assert dry_run
        meta = body["metadata"]
        ref = Ref(body["apiVersion"], body["kind"], meta["namespace"], meta["name"])
        return stored({**self._kube.objects[ref], "spec": body["spec"]})


def stored(body: Body) -> Body:
    """As an API server writes it."""
    found: Body = json.loads(canonical(body))
    return found


class Silence:
    """A catalog that does not answer."""

    async def state(self, identifier: str) -> TableState:
        raise NotReady(Reason.CATALOG_UNAVAILABLE, "silence")

    async def ensure(self, table: Table) -> TableState:
        raise AssertionError("a plan writes nothing")

    async def drop(self, identifier: str, owner: str) -> None:
        raise AssertionError("a plan writes nothing")


async def plans(
    c: Cluster, documents: Sequence[Mapping[str, Any]], silent: bool = False
) -> list[Plan]:
    rehearsal = Rehearsal(DryKube(c.kube), KINDS, NS)  # type: ignore[arg-type]
    await rehearsal.load()
    return await make_plans(rehearsal, documents, Silence() if silent else c.tables)


def named(documents: Documents, name: str) -> dict[str, Any]:
    return next(d for d in documents if d["metadata"]["name"] == name)


def children(c: Cluster) -> dict[tuple[str, str], Any]:
    """What the operator has made, but for records and checks, without metadata and status."""
    return {
        (ref.kind, ref.name): {k: v for k, v in body.items() if k not in ("metadata", "status")}
        for ref, body in copy.deepcopy(c.kube.objects).items()
        if ref.api_version != API_VERSION
        and ref.kind not in ("ControllerRevision", "Pod", "Kafka")
        and "tapehouse.dev/owner" in body["metadata"].get("labels", {})
    }


def difference(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> set[tuple[str, Any]]:
    def sign(key: Any) -> str:
        return "+" if key not in before else "-" if key not in after else "~"

    keys = {*before, *after}
    return {(sign(key), key) for key in keys if before.get(key) != after.get(key)}


# -- what a user changes -----------------------------------------------------------------------


def faster(d: Documents) -> None:
    named(d, "market")["spec"]["source"]["simulator"]["tradesPerSecond"] = 77


def suspended(d: Documents) -> None:
    named(d, "land")["spec"]["suspend"] = True


def wider(d: Documents) -> None:
    column = {"name": "notional", "type": "double"}
    named(d, "bronze-trades")["spec"]["columns"].append(column)


def written(d: Documents) -> None:
    """A new column, and the job that fills it."""
    wider(d)
    land = named(d, "land")["spec"]
    land["sql"] = land["sql"].replace(
        "INSERT INTO bronze.trades (", "INSERT INTO bronze.trades (notional, ", 1
    )
    land["sql"] = land["sql"].replace("SELECT\n", "SELECT price * quantity,\n", 1)


def stateless(d: Documents) -> None:
    named(d, "land")["spec"]["upgrade"] = "stateless"
    named(d, "land")["spec"]["parallelism"] = 3


def narrower(d: Documents) -> None:
    columns = named(d, "bronze-trades")["spec"]["columns"]
    next(c for c in columns if c["name"] == "price")["type"] = "long"


def longer(d: Documents) -> None:
    settings = next(x for x in d if x["metadata"]["name"] == "tapehouse-platform")
    settings["data"]["topicRetention"] = "3d"


def another(d: Documents) -> None:
    table = copy.deepcopy(named(d, "bronze-trades"))
    table["metadata"]["name"], table["spec"]["identifier"] = "extra", "bronze.extra"
    table["spec"]["stream"] = {"job": "other"}
    d.append(table)


def nothing(d: Documents) -> None:
    pass


CASES: dict[str, tuple[Edit, dict[str, str]]] = {
    "nothing": (nothing, {}),
    "a rate": (faster, {"market": "restart"}),
    "suspend": (suspended, {"land": "savepoint"}),
    "a column": (wider, {"bronze-trades": "in place"}),
    "a column and its job": (written, {"bronze-trades": "in place", "land": "savepoint"}),
    "stateless": (stateless, {"land": "restart"}),
    "a narrower type": (narrower, {"bronze-trades": "refused"}),
    "another retention": (longer, {"market": "in place"}),
    "one more table": (another, {"extra": "create"}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_planned_is_what_happens(case: str) -> None:
    edit, expected = CASES[case]
    wanted = copy.deepcopy(LOCAL)
    edit(wanted)

    async def main() -> None:
        async with cluster(LOCAL) as c:
            await c.settle()
            before, tables = children(c), dict(c.tables.states)
            writes = len(c.kube.writes)
            planned = await plans(c, wanted)
            assert len(c.kube.writes) == writes
            assert c.tables.states == tables

            c.apply(wanted)
            await c.settle()
            foreseen = {
                (change.sign, (change.kind, change.name))
                for plan in planned
                for change in plan.children
            }
            assert foreseen == difference(before, children(c))
            moved = {n for n, s in c.tables.states.items() if s != tables.get(n)}
            assert {n for plan in planned for n in plan.tables} == moved
            for plan in planned:
                status, _, message = c.condition(plan.key.kind, plan.key.name, "Accepted")
                assert (status == "False") == (plan.change == "refused"), plan
                assert plan.reason == (message if status == "False" else "")
            said = {p.key.name: p.change for p in planned if p.change != "none"}
            assert {n: w for n, w in said.items() if n in expected} == expected
            if not case.startswith("a narrower"):
                again = await plans(c, wanted)
                assert {p.change for p in again} == {"none"}
                assert list(lines(again)) == [f"Plan: {len(again)} none"]

    run_virtual(main())


def test_a_plan_tells_fields_children_and_what_it_costs() -> None:
    wanted = copy.deepcopy(LOCAL)
    written(wanted)
    faster(wanted)

    async def main() -> list[Plan]:
        async with cluster(LOCAL) as c:
            await c.settle()
            return await plans(c, wanted)

    found = run_virtual(main())
    text = "\n".join(lines(found))
    assert "TradeFeed/market: restart (revision 1 → 2)" in text
    assert "data.feed.json: source.tradesPerSecond: " in text
    assert "about 10 s without new output" in text
    assert "+ column notional double" in text
    assert "loses state of statement 1 (lake.bronze.trades), where" in text
    (job,) = (p.document() for p in found if p.key.name == "land")
    assert job["revision"] == {"from": 1, "to": 2}
    assert {
        "action": "create",
        "kind": "ConfigMap",
        "name": "land-00002",
        "differences": [],
    } in job["children"]


def test_a_new_statement_at_the_end_loses_nothing() -> None:
    wanted = copy.deepcopy(LOCAL)
    another(wanted)
    named(wanted, "extra")["spec"]["stream"] = {"job": "land"}
    land = named(wanted, "land")["spec"]
    land["outputs"].append({"table": "extra"})
    first = land["sql"].split(";")[0].replace("bronze.trades", "bronze.extra")
    land["sql"] = f"{land['sql'].rstrip().rstrip(';')};\n{first};\n"

    async def main() -> list[Plan]:
        async with cluster(LOCAL) as c:
            await c.settle()
            return await plans(c, wanted)

    (job,) = (p for p in run_virtual(main()) if p.key.name == "land")
    assert (job.change, job.impact.loses, job.impact.notes) == (
        "savepoint",
        (),
        ("no state is lost",),
    )


def test_what_the_api_server_would_not_take_is_refused_and_changes_nothing() -> None:
    odd = [
        {"apiVersion": API_VERSION, "kind": "TradeFeed", "metadata": {"name": "market"}},
        {"apiVersion": API_VERSION, "kind": "Widget", "metadata": {"name": "w"}, "spec": {}},
    ]

    async def main() -> list[Plan]:
        async with cluster(LOCAL) as c:
            await c.settle()
            return await plans(c, odd)

    found = run_virtual(main())
    assert [(p.key.name, p.change, p.changes_something) for p in found[:2]] == [
        ("market", "refused", False),
        ("w", "refused", False),
    ]
    assert found[0].reason.startswith("spec: ")
    assert "Widget is not a kind of tapehouse.dev/v1alpha1" in found[1].reason


def test_without_its_catalog_a_plan_goes_by_what_was_accepted() -> None:
    wanted = copy.deepcopy(LOCAL)
    wider(wanted)

    async def main() -> list[Plan]:
        async with cluster(LOCAL) as c:
            await c.settle()
            return await plans(c, wanted, silent=True)

    (plan,) = (p for p in run_virtual(main()) if p.tables)
    assert plan.tables == {"bronze.trades": ("+ column notional double",)}


class TestDocuments:
    def test_a_kustomization_is_rendered_by_the_kubectl_there_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "kustomization.yaml").write_text("resources: []\n")
        kubectl = tmp_path / "kubectl"
        kubectl.write_text('#!/bin/sh\necho "{kind: A, metadata: {name: $1}}"\n')
        kubectl.chmod(0o755)
        monkeypatch.setenv("KUBECTL", str(kubectl))
        assert read_documents(tmp_path) == [{"kind": "A", "metadata": {"name": "kustomize"}}]

    def test_a_list_is_what_it_holds(self, tmp_path: Path) -> None:
        (tmp_path / "a.yml").write_text("kind: List\nitems: [{kind: A, metadata: {name: a}}]\n")
        assert read_documents(tmp_path) == [{"kind": "A", "metadata": {"name": "a"}}]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("a: [1", "a.yaml:2: "),
            ("a: 1", "it has no kind"),
            ("kind: A", "a A has no metadata.name"),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path: Path, text: str, said: str) -> None:
        (tmp_path / "a.yaml").write_text(f"{text}\n")
        with pytest.raises(ValueError, match=said):
            read_documents(tmp_path)
