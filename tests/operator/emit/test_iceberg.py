"""Partition and sort terms: read, spelt one way, refused."""

import pytest
from tapehouse_contracts.types import parse_type
from tapehouse_operator.emit.core import Column
from tapehouse_operator.emit.iceberg import (
    PROPERTIES,
    SortTerm,
    Transform,
    property_changes,
    sort_term,
    table,
    transform,
)


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("symbol", "symbol"),
        (" day( at ) ", "day(at)"),
        ("bucket(16,symbol)", "bucket(16, symbol)"),
        ("truncate(8, symbol)", "truncate(8, symbol)"),
        ("day(nested.at)", "day(nested.at)"),
    ],
)
def test_transforms_have_one_spelling(text: str, spelt: str) -> None:
    assert str(transform(text)) == spelt
    assert transform(spelt) == transform(text)


@pytest.mark.parametrize(
    "text", ["", "week(at)", "day(3, at)", "bucket(symbol)", "bucket(0, symbol)", "day(at", "a b"]
)
def test_other_transforms_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="use a column, year"):
        transform(text)


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("symbol", "symbol"),
        ("symbol asc", "symbol"),
        ("symbol asc nulls first", "symbol"),
        ("symbol nulls last", "symbol nulls last"),
        ("at desc", "at desc"),
        ("at desc nulls last", "at desc"),
        ("day(at) desc nulls first", "day(at) desc nulls first"),
    ],
)
def test_sort_terms_have_one_spelling(text: str, spelt: str) -> None:
    assert str(sort_term(text)) == spelt
    assert sort_term(spelt) == sort_term(text)


def test_a_column_may_be_called_asc() -> None:
    assert sort_term("asc") == SortTerm(Transform("asc"))


@pytest.mark.parametrize(
    ("term", "type_", "takes"),
    [
        ("day(x)", "timestamptz", True),
        ("day(x)", "date", True),
        ("day(x)", "string", False),
        ("hour(x)", "date", False),
        ("bucket(4, x)", "decimal(9,2)", True),
        ("bucket(4, x)", "double", False),
        ("truncate(4, x)", "string", True),
        ("truncate(4, x)", "boolean", False),
        ("x", "double", True),
        ("x", "list<double>", False),
    ],
)
def test_transforms_take_what_iceberg_says(term: str, type_: str, takes: bool) -> None:
    assert transform(term).takes(parse_type(type_)) is takes


def test_every_table_has_its_properties_and_owner() -> None:
    made = table("a.b", [Column("x", "int")], owner="ns/b", key=("x",))
    assert made.properties["format-version"] == "2"
    assert made.properties["tapehouse.owner"] == made.owner == "ns/b"
    assert made.properties["tapehouse.key"] == "x"


def test_a_property_that_a_catalog_takes_only_at_creation_is_no_change() -> None:
    live = {name: value for name, value in PROPERTIES.items() if name != "format-version"}
    assert property_changes(live, PROPERTIES) == {}
    assert property_changes({**live, "commit.retry.num-retries": "4"}, PROPERTIES) == {
        "commit.retry.num-retries": "20"
    }
