"""What the operator accepts, the workloads load: its documents run through their loading code."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from tapehouse_feed import config
from tapehouse_feed.mapping import Mapper
from tapehouse_feed.market import Market
from tapehouse_lakehouse.dimensions.history import reload, shape
from tapehouse_lakehouse.dimensions.load import declared_rows
from tapehouse_lakehouse.model import Scd, TableSpec, parse
from tapehouse_operator.backends.iceberg_schema import new_schema
from tapehouse_operator.emit.core import Table
from tapehouse_operator.errors import SpecError
from tapehouse_tape.events import Codec

from tests.contracts.test_types import every_type
from tests.operator.kinds.worlds import compiled, refusal, world

NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEY = {"name": "symbol", "type": "string", "required": True}


def feed(fields: list[dict[str, Any]], rules: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    declared = {"name": "Tick", "key": "symbol", "fields": [KEY, *fields], "rules": rules}
    source = {"simulator": {"symbols": ["A"]}}
    return {
        "apiVersion": "tapehouse.dev/v1alpha1",
        "kind": "TradeFeed",
        "metadata": {"name": "ticks"},
        "spec": {"source": source, "events": [declared], **spec},
    }


def table(columns: dict[str, str], rows: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "tapehouse.dev/v1alpha1",
        "kind": "LakehouseTable",
        "metadata": {"name": "dim"},
        "spec": {
            "identifier": "dim.it",
            "columns": [{"name": name, "type": type_} for name, type_ in columns.items()],
            "rows": {"inline": rows},
            **spec,
        },
    }


def is_refused(body: dict[str, Any]) -> bool:
    """Whether the operator refuses it, by path and remedy."""
    try:
        compiled(body, world())
    except SpecError as error:
        event("refused")
        if error.path and error.remedy:
            return True
        raise
    event("accepted")
    return False


def load_feed(body: dict[str, Any]) -> None:
    """As the bridge does before it connects."""
    text = document(body, "feed.json")
    found = config.parse(text.encode(), Path("feed.json"))
    for declared in found.events:
        Codec(declared)
    Mapper(found.mapping or (), found.events, found.continuity.sequence_field)
    Market(found.session, found.events)


def load_table(body: dict[str, Any]) -> None:
    """As the publisher does with the rows of a table that is empty."""
    spec: TableSpec = parse(document(body, "table.json"), TableSpec)
    wanted: Table = compiled(body, world()).tables[0]
    schema = new_schema(wanted.columns).as_arrow()
    form = shape(spec.table, spec.key, schema.names, spec.scd or Scd(type=1))
    reload([], declared_rows(None, spec, schema, form), form, NOW)  # type: ignore[arg-type]


def document(body: dict[str, Any], key: str) -> str:
    return next(
        data[key]
        for child in compiled(body, world()).children
        if key in (data := child.manifest.get("data") or {})
    )


TYPES = st.sampled_from(
    (
        *("boolean", "int", "long", "float", "double", "decimal(9,2)", "string", "date", "uuid"),
        *("timestamptz", "list<long>", "list<struct<a: int, b: string>>", "map<double, int>"),
        *("struct<a: decimal(3,1)>", "struct<__dict__: int>", "struct<class: string>"),
    )
) | every_type.map(str)
NAMES = st.sampled_from(["x", "y", "from", "_x", "__x", "__init__", "__dict__", "self"])
BOUNDS = st.sampled_from([0, 0.0, 0.5, -1, 3, 1e30, -1e300])
TEXTS = st.sampled_from(["", "a", "b", "A|B", "(", "a)(b", "(?i)a", "(?P<n>a)", r"(a)\1"])
RULES = st.fixed_dictionaries(
    {"field": st.sampled_from(["symbol", "x", "y", "x.a", "x.b", "from"])},
    optional={
        "min": BOUNDS,
        "max": BOUNDS,
        "finite": st.booleans(),
        "positive": st.booleans(),
        "oneOf": st.lists(TEXTS, max_size=2),
        "pattern": TEXTS,
    },
)
FIELDS = st.lists(st.fixed_dictionaries({"name": NAMES, "type": TYPES}), max_size=2)


@settings(max_examples=300, deadline=None)
@given(FIELDS, st.lists(RULES, max_size=3))
def test_the_bridge_loads_the_events_that_the_operator_accepts(
    fields: list[dict[str, Any]], rules: list[dict[str, Any]]
) -> None:
    body = feed(fields, rules)
    if is_refused(body):
        return
    load_feed(body)


SESSIONS = st.fixed_dictionaries(
    {},
    optional={
        "calendar": st.sampled_from(["always", "XNYS", "XMOON"]),
        "timezone": st.sampled_from(["UTC", "Mars/Base", "America/New_York", "America"]),
        "silence": st.sampled_from(["0s", "1ms", "1w", "1m30s", "9999999w"]),
        "holidays": st.lists(st.sampled_from(["2026-12-25", "2026-02-30", "0000-01-01"])),
        "hours": st.lists(
            st.fixed_dictionaries({"open": st.just("22:00"), "close": st.just("00:00")}),
            max_size=2,
        ),
    },
)


@settings(max_examples=200, deadline=None)
@given(SESSIONS)
def test_the_bridge_loads_the_sessions_that_the_operator_accepts(session: dict[str, Any]) -> None:
    body = feed([], [], session=session)
    if is_refused(body):
        return
    load_feed(body)


@pytest.mark.parametrize(
    ("fields", "rules", "path"),
    [
        ([{"name": "x", "type": "map<double, int>"}], [], "spec.events[0].fields[1].type"),
        ([{"name": "__init__", "type": "int"}], [], "spec.events[0].fields[1].name"),
        ([{"name": "x", "type": "struct<__dict__: int>"}], [], "spec.events[0].fields[1].type"),
        ([], [{"field": "symbol"}], "spec.events[0].rules[0]"),
        ([], [{"field": "symbol", "min": 0}], "spec.events[0].rules[0].min"),
        ([], [{"field": "symbol", "pattern": "(?i)a"}], "spec.events[0].rules[0].pattern"),
        (
            [],
            [{"field": "symbol", "pattern": "b"}, {"field": "symbol", "oneOf": ["a"]}],
            "spec.events[0].rules[1].oneOf",
        ),
        (
            [{"name": "x", "type": "decimal(9,2)"}],
            [{"field": "x", "pattern": "1"}],
            "spec.events[0].rules[0].pattern",
        ),
        (
            [{"name": "x", "type": "int"}],
            [{"field": "x", "min": 0.5}],
            "spec.events[0].rules[0].min",
        ),
    ],
)
def test_events_that_no_bridge_could_load_are_refused(
    fields: list[dict[str, Any]], rules: list[dict[str, Any]], path: str
) -> None:
    error = refusal(feed(fields, rules), world())
    assert error.path == path
    assert error.remedy


def test_silence_of_weeks_is_accepted_and_loaded() -> None:
    load_feed(feed([], [], session={"silence": "1w"}))


VALIDITY = {
    "valid_from": "timestamptz",
    "valid_to": "timestamptz",
    "is_current": "boolean",
    "version": "int",
}
COLUMNS = st.fixed_dictionaries(
    {"id": st.just("string"), "x": st.just("string")},
    optional={"previous_x": st.just("string"), "previous_id": st.just("string")},
).flatmap(lambda given: st.sampled_from([given, given | VALIDITY]))
ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from(["a", "b", "c", "d", "e", None])},
        optional={
            "x": st.sampled_from(["a", None]),
            "previous_x": st.just("a"),
            "valid_from": st.just("2026-01-01T00:00:00Z"),
        },
    ),
    min_size=1,
    max_size=3,
)
SCDS = st.none() | st.fixed_dictionaries(
    {"type": st.integers(1, 3)},
    optional={"attributes": st.integers(1, 3).map(lambda kind: [{"columns": ["x"], "type": kind}])},
)
KEYS = st.sampled_from([["id"], ["id"], ["id", "x"], []])


@settings(max_examples=300, deadline=None)
@given(COLUMNS, ROWS, SCDS, KEYS)
def test_the_lakehouse_loads_the_rows_that_the_operator_accepts(
    columns: dict[str, str], rows: list[dict[str, Any]], scd: dict[str, Any] | None, key: list[str]
) -> None:
    body = table(columns, rows, key=key, **({"scd": scd} if scd else {}))
    if is_refused(body):
        return
    load_table(body)


@pytest.mark.parametrize(
    ("columns", "row", "spec", "path"),
    [
        ({}, {"id": "a"}, {"key": []}, "spec.key"),
        ({}, {"x": "a"}, {}, "spec.rows.inline[1].id"),
        ({}, {"id": "first"}, {}, "spec.rows.inline[1]"),
        ({"version": "int"}, {"id": "a", "version": 1}, {}, "spec.rows.inline[1]"),
        ({}, {"id": "a"}, {"scd": {"type": 3}}, "spec.columns"),
    ],
)
def test_rows_that_no_publisher_could_load_are_refused(
    columns: dict[str, str], row: dict[str, Any], spec: dict[str, Any], path: str
) -> None:
    declared = {"id": "string", "x": "string", **columns}
    body = table(declared, [{"id": "first"}, row], **{"key": ["id"], **spec})
    error = refusal(body, world())
    assert error.path == path
    assert error.remedy


@pytest.mark.parametrize("schedule", ["61 99 * * x", "0 0 30 2 *"])
def test_schedules_that_are_never_due_are_refused(schedule: str) -> None:
    body = table({"id": "string"}, [])
    del body["spec"]["rows"]
    body["spec"]["transform"] = {"sql": "SELECT 1 AS id", "schedule": schedule}
    error = refusal(body, world())
    assert (error.path, error.value) == ("spec.transform.schedule", schedule)
    assert json.dumps(error.remedy)
