"""Branches, checks and restarts of jobs: what changes when, and what stays."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tapehouse_operator.api.base import Reason
from tapehouse_operator.emit.core import ObjectKey
from tapehouse_operator.errors import SpecError
from tapehouse_operator.kinds.contract import Output, World

from tests.operator.kinds.worlds import (
    SETTINGS,
    compiled,
    kind_of,
    neighbours,
    observed,
    obstacle,
    refusal,
    resource,
    validate,
    world,
)

GIVEN = Path(__file__).resolve().parents[2] / "golden/given/ticks.yaml"
TICKS = list(yaml.safe_load_all(GIVEN.read_text()))
SQL = "INSERT INTO bronze.ticks (symbol, price) SELECT symbol, price FROM ticks"
JOB: dict[str, Any] = {
    "apiVersion": "tapehouse.dev/v1alpha1",
    "kind": "StreamJob",
    "metadata": {"name": "land"},
    "spec": {
        "inputs": [{"as": "ticks", "feed": "ticks", "event": "Tick"}],
        "outputs": [{"table": "bronze-ticks"}],
        "sql": SQL,
    },
}


def job(**spec: Any) -> dict[str, Any]:
    return {**JOB, "spec": {**JOB["spec"], **spec}}


def here(output: Output | None = None, **changes: Any) -> World:
    """The feeds and tables given, and what an apply has left."""
    children = {
        child.key: observed(
            data=child.manifest.get("data"),
            labels=child.manifest["metadata"].get("labels"),
            annotations=child.manifest["metadata"].get("annotations"),
        )
        for child in (output.children if output else ())
    }
    return world(objects=neighbours(TICKS, world()), children=children, **changes)


def config(output: Output) -> dict[str, Any]:
    (found,) = [c for c in output.children if "job.json" in c.manifest.get("data", {})]
    document: dict[str, Any] = json.loads(found.manifest["data"]["job.json"])
    return document


def deployment(output: Output) -> Any:
    return output.children[-1].manifest["spec"]


def test_the_first_revision_forks_from_nothing_and_the_second_from_the_first() -> None:
    first = compiled(JOB, here(), 1)
    assert (config(first)["branch"], config(first)["forkFrom"]) == ("rev-00001", None)

    second = compiled(job(sql=SQL + " WHERE price > 0"), here(first), 2)
    assert (config(second)["branch"], config(second)["forkFrom"]) == ("rev-00002", "rev-00001")
    assert "'branch'='rev-00002'" in config(second)["inserts"][0]


SEEN = {"topic": "derived.seen", "columns": [{"name": "symbol", "type": "string"}]}
BOTH = SQL + ";\nINSERT INTO `derived.seen` (symbol) SELECT symbol FROM ticks"


@pytest.mark.parametrize(
    ("changes", "apart"),
    [
        ({"sql": BOTH, "outputs": [*JOB["spec"]["outputs"], SEEN], "parallelism": 1}, True),
        ({"sql": BOTH, "outputs": [*JOB["spec"]["outputs"], SEEN], "parallelism": 2}, False),
        ({"parallelism": 1}, False),
    ],
)
def test_a_closing_file_holds_no_record_up_that_somebody_waits_for(
    changes: dict[str, Any], apart: bool
) -> None:
    insert = config(compiled(job(**changes), here(), 1))["inserts"][0]
    assert ("'distribution-mode'='hash'" in insert) is apart


@pytest.mark.parametrize(
    ("sql", "declared"),
    [
        (SQL, False),
        (SQL.replace("symbol, price FROM", "CAST(kafka_headers AS STRING), price FROM"), True),
        (SQL + " WHERE `kafka_headers` IS NOT NULL", True),
        (SQL + " -- kafka_headers", False),
    ],
)
def test_headers_are_declared_where_a_statement_names_them(sql: str, declared: bool) -> None:
    plan = validate(job(sql=sql), here())
    assert any("kafka_headers" in text for text in plan.program.ddl) is declared


def test_compiling_again_changes_nothing_although_the_world_has_moved_on() -> None:
    second = compiled(job(parallelism=4), here(compiled(JOB, here(), 1)), 2)
    assert compiled(job(parallelism=4), here(second), 2) == second


def test_sql_that_runs_already_is_not_checked_again() -> None:
    kind = kind_of("StreamJob")
    first = compiled(JOB, here(), 1)

    assert kind.preflight(validate(JOB, here())) is not None
    assert kind.preflight(validate(job(parallelism=4), here(first))) is None
    assert kind.preflight(validate(job(sql=SQL + " WHERE price > 0"), here(first))) is not None


def test_the_check_mounts_its_own_configuration_and_names_no_branch() -> None:
    preflight = kind_of("StreamJob").preflight(validate(JOB, here()))
    assert preflight is not None
    (mounted,) = preflight.needs
    pod = preflight.child.manifest["spec"]
    document = json.loads(mounted.manifest["data"]["job.json"])

    assert pod["volumes"] == [{"name": "job", "configMap": {"name": mounted.key.name}}]
    assert pod["restartPolicy"] == "Never"
    assert (document["revision"], document["branch"], document["forkFrom"]) == (0, "", None)
    assert "OPTIONS" not in document["inserts"][0]
    for child in (mounted, preflight.child):
        assert child.manifest["metadata"]["labels"]["tapehouse.dev/role"] == "check"


def test_a_new_field_of_the_feed_restarts_the_job_under_the_same_revision() -> None:
    first = compiled(JOB, here(), 1)
    feed = json.loads(json.dumps(TICKS[0]))
    feed["spec"]["events"][0]["fields"].append({"name": "venue", "type": "string"})
    wider = world(objects=neighbours([feed, *TICKS[1:]], world()), children=here(first).children)
    after = compiled(JOB, wider, 1)

    template = ("podTemplate", "metadata", "annotations", "tapehouse.dev/config-hash")
    hashes = []
    for output in (first, after):
        value: Any = deployment(output)
        for key in template:
            value = value[key]
        hashes.append(value)
    assert hashes[0] != hashes[1]
    assert config(after)["branch"] == "rev-00001"
    assert "`venue` STRING" in "".join(config(after)["ddl"])


def test_another_partition_of_a_table_restarts_the_job_under_the_same_revision() -> None:
    """A sink writes by the partition it found when it started."""
    table = json.loads(json.dumps(TICKS[1]))
    assert table["kind"] == "LakehouseTable"
    table["spec"]["partition"] = ["bucket(4, symbol)"]
    objects = neighbours([TICKS[0], table, *TICKS[2:]], world())
    first = compiled(JOB, here(), 1)
    after = compiled(JOB, world(objects=objects, children=here(first).children), 1)
    before = deployment(first)["podTemplate"]["metadata"]["annotations"]
    assert deployment(after)["podTemplate"]["metadata"]["annotations"] != before
    assert config(after)["partitions"] == {"bronze.ticks": ["bucket(4, symbol)"]}
    assert (config(after)["branch"], config(after)["inserts"]) == (
        "rev-00001",
        config(first)["inserts"],
    )


def test_suspending_stops_the_job_and_nothing_else() -> None:
    running, suspended = compiled(JOB, here()), compiled(job(suspend=True), here())
    assert deployment(suspended)["job"]["state"] == "suspended"
    assert running.children[:-1] == suspended.children[:-1]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"inputs": [{"as": "d", "table": "dim-x"}]}, "spec.inputs[0].table"),
        ({"strategy": {"type": "BlueGreen"}}, "spec.strategy.type"),
        ({"analysis": [{"suite": "s"}]}, "spec.analysis"),
    ],
)
def test_what_this_version_cannot_do_is_refused_not_ignored(
    spec: dict[str, Any], path: str
) -> None:
    error = refusal(job(**spec), here())
    assert (error.reason, error.path) == ("Unsupported", path)


def test_event_time_must_be_a_time_of_every_input() -> None:
    error = refusal(job(eventTime={"column": "price"}), here())
    assert (error.path, error.value) == ("spec.eventTime.column", "price")
    assert "event Tick has the times at" in error.remedy


def test_a_feed_that_appears_is_found() -> None:
    tables = neighbours(TICKS[1:], world())
    assert refusal(JOB, world(objects=tables)).reason == "FeedNotFound"
    assert validate(JOB, here())


def test_jobs_wait_for_their_tables() -> None:
    objects = neighbours(TICKS, world())
    key = next(k for k in objects if k.kind == "LakehouseTable" and k.name == "bronze-ticks")
    false = {"observedGeneration": 1, "conditions": [{"type": "SchemaInSync", "status": "False"}]}
    for status in ({}, false):
        waiting = world(objects={**objects, key: observed(status=status)})
        assert obstacle(JOB, waiting).reason == "TableNotReady"


def test_refs_name_everything_that_may_change_the_plan() -> None:
    refs = kind_of("StreamJob").refs(resource(JOB), SETTINGS)
    assert {(k.kind, k.name) for k in refs.objects} == {
        ("Kafka", "tape"),
        ("TradeFeed", "ticks"),
        ("ConfigMap", "ticks-schema"),
        ("LakehouseTable", "bronze-ticks"),
        ("ConfigMap", "bronze-ticks-table"),
        ("ConfigMap", "bronze-ticks-published"),
        ("Secret", "land-job"),
    }


def test_settings_that_are_missing_or_wrong_are_named() -> None:
    broken = here(settings={**world().settings, "parallelism": "many"})
    assert "key parallelism: 'many' is not a whole number" in obstacle(JOB, broken).message
    assert obstacle(JOB, here(settings={})).reason == "SettingsMissing"


def published(report: dict[str, Any] | None) -> World:
    """The table's feed and table, and what the publisher reported of the table."""
    data = {"published.json": json.dumps(report)} if report else {}
    key = ObjectKey("v1", "ConfigMap", "bronze-ticks-published")
    given = here()
    return replace(given, objects={**given.objects, key: observed(data=data)})


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("report", [None, {"ok": False, "reason": "AwaitingCheckpoint"}])
def test_a_job_whose_tables_hold_no_revision_reserves_none(
    first: bool, report: dict[str, Any] | None
) -> None:
    plan = validate(JOB, published(report))
    assert kind_of("StreamJob").reserved_revision(plan, first=first) == 0


@pytest.mark.parametrize("first", [True, False])
def test_a_job_that_writes_topics_only_reserves_no_revision(first: bool) -> None:
    sql = "INSERT INTO `derived.seen` (symbol) SELECT symbol FROM ticks"
    plan = validate(job(outputs=[SEEN], sql=sql), here())
    assert kind_of("StreamJob").reserved_revision(plan, first=first) == 0


def test_revisions_are_numbered_after_those_that_tables_hold() -> None:
    kind, held = kind_of("StreamJob"), published({"ok": True, "revision": 3})
    plan = validate(JOB, held)
    assert kind.reserved_revision(plan, first=False) == 3
    with pytest.raises(SpecError, match=r"spec\.restoreFrom") as refused:
        kind.reserved_revision(plan, first=True)
    assert refused.value.reason == Reason.ACKNOWLEDGEMENT_REQUIRED
    for agreed in ({"acknowledge": ["StateLoss"]}, {"restoreFrom": "file:///savepoint-1"}):
        assert kind.reserved_revision(validate(job(**agreed), held), first=True) == 3
