"""Laws of revisions and of what a change means, over random variants of the examples."""

import random
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from tapehouse_operator.api.base import Change, Resource, change_class, parse, revisioned
from tapehouse_operator.api.schema import schema_of
from tapehouse_operator.errors import SpecError
from tapehouse_operator.names import digest
from tapehouse_operator.shell.generate import MODELS

from tests.operator.api.cases import BY_KIND, changed, example

VALUES = [
    0,
    1,
    7,
    0.5,
    True,
    False,
    "10m",
    "symbol",
    "x1",
    "Delete",
    "Warn",
    "compact",
    "FULL",
    None,
]

SEEDED = settings(derandomize=True, max_examples=30, deadline=None)


def variants(model: type[Resource]) -> st.SearchStrategy[Resource]:
    """Resources a few random edits away from the example."""
    return st.integers(0, 2**32).map(lambda seed: _variant(model, random.Random(seed)))


def _variant(model: type[Resource], chance: random.Random) -> Resource:
    body = example(model.__name__)
    for _ in range(chance.randrange(6)):
        candidate = _edited(body, chance)
        try:
            parse(model, candidate)
        except SpecError:
            continue
        body = candidate
    return parse(model, body)


def _edited(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    out = deepcopy(body)
    holder, key = chance.choice(list(_places(out["spec"])))
    if chance.random() < 0.4:
        del holder[key]
    elif chance.random() < 0.2:
        out["spec"][chance.choice(["suspend", "revisionHistoryLimit", "deletionPolicy"])] = (
            chance.choice(VALUES)
        )
    else:
        holder[key] = chance.choice(VALUES)
    return out


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


@pytest.fixture(params=MODELS, ids=lambda model: model.__name__, scope="module")
def model(request: pytest.FixtureRequest) -> type[Resource]:
    kind: type[Resource] = request.param
    return kind


@SEEDED
@given(data=st.data())
def test_a_revision_parses_back_into_itself(model: type[Resource], data: st.DataObject) -> None:
    spec = data.draw(variants(model)).spec
    again = type(spec).model_validate(revisioned(spec), by_alias=True, by_name=False)
    assert revisioned(again) == revisioned(spec)
    assert change_class(again, spec) is Change.NONE


@SEEDED
@given(data=st.data())
def test_a_change_means_something_exactly_if_the_revisions_differ(
    model: type[Resource], data: st.DataObject
) -> None:
    old, new = (data.draw(variants(model)).spec for _ in range(2))
    differ = digest(revisioned(old)) != digest(revisioned(new))
    assert (change_class(old, new) > Change.NONE) is differ
    assert change_class(old, new) is change_class(new, old)


@SEEDED
@given(data=st.data())
def test_defaults_written_out_make_no_revision(model: type[Resource], data: st.DataObject) -> None:
    """What the API server fills in, or an operator that learns a new default, changes nothing."""
    spec = data.draw(variants(model)).spec
    full = spec.model_dump(by_alias=True, mode="json")
    _fill(full, _schema(type(spec)))
    again = type(spec).model_validate(_without_empty(full), by_alias=True, by_name=False)
    assert revisioned(again) == revisioned(spec)


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return schema_of(model)


def _fill(value: Any, node: dict[str, Any]) -> None:
    for name, child in node.get("properties", {}).items():
        if isinstance(value, dict):
            if value.get(name) is None and "default" in child:
                value[name] = deepcopy(child["default"])
            _fill(value.get(name), child)
    for item in value if isinstance(value, list) else ():
        _fill(item, node.get("items", {}))


def _without_empty(value: Any) -> Any:
    """A body as one would write it: no nulls, no empty lists that a rule counts as set."""
    if isinstance(value, dict):
        return {k: _without_empty(v) for k, v in value.items() if v is not None and v != []}
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return value


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("TradeFeed", {"spec.suspend": True}, Change.NONE),
        ("TradeFeed", {"spec.revisionHistoryLimit": 3}, Change.NONE),
        ("TradeFeed", {"spec.driftPolicy": "Warn"}, Change.NONE),
        ("TradeFeed", {"spec.replicas": 2}, Change.IN_PLACE),
        ("TradeFeed", {"spec.topics.0.partitions": 12}, Change.IN_PLACE),
        ("TradeFeed", {"spec.deadLetter.retention": "1d"}, Change.IN_PLACE),
        ("TradeFeed", {"spec.events.0.fields.3.doc": "Dollars"}, Change.IN_PLACE),
        ("TradeFeed", {"spec.events.0.fields.3.type": "decimal(18,4)"}, Change.RESTART),
        ("TradeFeed", {"spec.source.websocket.heartbeat": "5s"}, Change.RESTART),
        ("TradeFeed", {"spec.replicas": 2, "spec.continuity.maxGap": 5}, Change.RESTART),
        ("StreamJob", {"spec.strategy.type": "InPlace"}, Change.NONE),
        ("StreamJob", {"spec.upgrade": "lastState"}, Change.IN_PLACE),
        ("StreamJob", {"spec.parallelism": 4}, Change.RESTART),
        ("StreamJob", {"spec.sql": "INSERT INTO a SELECT 1;"}, Change.REVISION),
        ("LakehouseTable", {"spec.columns.0.doc": "Its number"}, Change.IN_PLACE),
        ("LakehouseTable", {"spec.columns.7": {"name": "fee", "type": "int"}}, Change.IN_PLACE),
        ("Dashboard", {"spec.title": "Another"}, Change.IN_PLACE),
        ("Dashboard", {"spec.charts.0.title": "Another"}, Change.REVISION),
    ],
)
def test_what_a_change_means(kind: str, changes: dict[str, Any], expected: Change) -> None:
    old = parse(BY_KIND[kind], example(kind)).spec
    new = parse(BY_KIND[kind], changed(example(kind), changes)).spec
    assert change_class(old, new) is expected


def test_order_of_keys_makes_no_revision() -> None:
    body = example("TradeFeed")
    backwards = {**body, "spec": dict(reversed(list(body["spec"].items())))}
    model = BY_KIND["TradeFeed"]
    assert digest(revisioned(parse(model, body).spec)) == digest(
        revisioned(parse(model, backwards).spec)
    )
