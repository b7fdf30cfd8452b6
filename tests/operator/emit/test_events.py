"""Versions of events: what breaks a promise, what stays readable, what is only a spelling."""

from dataclasses import replace

import pytest
from tapehouse_operator.emit.events import (
    PRESETS,
    REGISTRY_KEY,
    Event,
    Field,
    Registry,
    event,
    union,
    unreadable,
)
from tapehouse_operator.emit.feedspec import lost
from tapehouse_operator.emit.manifests import document


def tick(*fields: Field, **changes: object) -> Event:
    made = Event("Tick", "raw.ticks", "symbol", None, fields or (Field("symbol", "string", True),))
    return replace(made, **changes)


SYMBOL = Field("symbol", "string", required=True)


def test_the_shipped_preset_has_the_nine_events_on_seven_topics() -> None:
    events = PRESETS["market/v1"]
    assert len(events) == 9
    assert len({e.topic for e in events}) == 7
    assert all(any(f.name == e.key for f in e.fields) for e in events)


def test_the_schema_id_is_about_shape_only() -> None:
    plain = tick(SYMBOL, Field("price", "double"))
    documented = tick(replace(SYMBOL, doc="who"), Field("price", "double"), topic="elsewhere")
    ruled = replace(plain, rules=({"field": "price", "positive": True},))

    assert plain.schema_id == documented.schema_id == ruled.schema_id
    assert plain.schema_id != tick(SYMBOL, Field("price", "float")).schema_id
    assert plain.schema_id != tick(SYMBOL, Field("price", "double", True)).schema_id
    assert plain.schema_id != replace(plain, name="Tock").schema_id


def test_types_are_spelt_one_way() -> None:
    fields = [{"name": "x", "type": "list< struct<a:int,b : long>>"}]
    read = event({"name": "E", "topic": "t", "key": "x", "fields": fields})
    assert read.fields[0].type == "list<struct<a: int, b: long>>"


@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        ([SYMBOL], [SYMBOL, Field("x", "int")], None),
        ([SYMBOL], [SYMBOL, Field("x", "int", True)], "x"),
        ([SYMBOL, Field("x", "int")], [SYMBOL], None),
        ([SYMBOL, Field("x", "int")], [SYMBOL, Field("x", "long")], None),
        ([SYMBOL, Field("x", "long")], [SYMBOL, Field("x", "int")], "x"),
        ([SYMBOL, Field("x", "int")], [SYMBOL, Field("x", "int", True)], "x"),
        ([SYMBOL, Field("x", "int", True)], [SYMBOL, Field("x", "int")], None),
    ],
)
def test_backward(old: list[Field], new: list[Field], broken: str | None) -> None:
    found = unreadable(tick(*old), tick(*new))
    assert (found.field if found else None) == broken


@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        ([SYMBOL], [SYMBOL, Field("x", "int", True)], None),
        ([SYMBOL, Field("x", "int")], [SYMBOL], None),
        ([SYMBOL, Field("x", "int", True)], [SYMBOL], "x"),
        ([SYMBOL, Field("x", "int")], [SYMBOL, Field("x", "long")], "x"),
        ([SYMBOL, Field("x", "int", True)], [SYMBOL, Field("x", "int")], "x"),
    ],
)
def test_forward(old: list[Field], new: list[Field], broken: str | None) -> None:
    found = lost(tick(*old), tick(*new))
    assert (found.field if found else None) == broken


def test_accepting_the_same_again_changes_nothing() -> None:
    registry = Registry().accept([tick()])
    assert registry.accept([tick()]) == registry


def test_a_version_that_comes_back_is_the_newest_again() -> None:
    first, second = tick(SYMBOL), tick(SYMBOL, Field("x", "int"))
    registry = Registry().accept([first]).accept([second]).accept([first])
    assert registry.latest("Tick") == first
    assert registry.versions == (second, first)


def test_the_config_map_gives_back_what_was_put_in() -> None:
    registry = Registry().accept([tick()]).accept(PRESETS["market/v1"])
    data = {REGISTRY_KEY: document(registry.document("market"))}
    read = Registry.read(data)
    assert [e.schema_id for e in read.versions] == [e.schema_id for e in registry.versions]
    assert read.accept(PRESETS["market/v1"]).document("market") == read.document("market")


def test_fields_that_went_stay_readable_and_optional() -> None:
    old = tick(SYMBOL, Field("price", "float", True), Field("venue", "string"))
    new = tick(SYMBOL, Field("price", "double"))
    readable = Registry().accept([old]).accept([new]).readable("Tick")

    assert readable is not None
    assert readable.fields == (SYMBOL, Field("price", "double"), Field("venue", "string"))
    assert Registry().accept([new]).readable("Tock") is None


def test_a_union_requires_what_all_require_and_refuses_two_types() -> None:
    a = tick(SYMBOL, Field("x", "int", True))
    b = tick(SYMBOL, Field("y", "int", True), name="Tock")
    assert union([a, b]) == (SYMBOL, Field("x", "int"), Field("y", "int"))

    clash = tick(SYMBOL, Field("x", "string"), name="Tock")
    with pytest.raises(ValueError, match="field x is int in one event and string in Tock"):
        union([a, clash])
