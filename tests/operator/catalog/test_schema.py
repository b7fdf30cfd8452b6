"""Evolving a live table, without a server: maps, and partition fields kept as void."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table as LiveTable
from tapehouse_operator.backends.iceberg_schema import (
    evolve,
    new_schema,
    new_spec,
    observed_columns,
    observed_partition,
)
from tapehouse_operator.emit.core import Column, Table

ID = "bronze.quotes"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = SqlCatalog("test", uri="sqlite:///:memory:", warehouse=f"file://{tmp_path}")
    made.create_namespace("bronze")
    yield made
    made.close()


def live(
    catalog: Catalog, type_: str, partition: tuple[str, ...] = (), version: int = 2
) -> LiveTable:
    schema = new_schema((Column("a", type_), Column("at", "timestamptz"), Column("s", "string")))
    properties = {"format-version": str(version)}
    return catalog.create_table(
        ID, schema, partition_spec=new_spec(schema, partition), properties=properties
    )


def wanted(type_: str, partition: tuple[str, ...] = ()) -> Table:
    columns = (Column("a", type_), Column("at", "timestamptz"), Column("s", "string"))
    return Table(ID, columns, partition=partition)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("map<string, int>", "map<string, long>"),
        ("map<string, float>", "map<string, double>"),
        ("map<string, struct<x: int>>", "map<string, struct<x: long, y: string>>"),
        ("map<string, list<int>>", "map<string, list<long>>"),
        ("map<string, map<string, int>>", "map<string, map<string, long>>"),
    ],
)
def test_the_values_of_a_map_evolve_and_its_keys_stay(
    catalog: Catalog, before: str, after: str
) -> None:
    table = live(catalog, before)
    key = table.schema().find_field("a.key")

    assert evolve(table, wanted(after))

    assert observed_columns(table.schema())[0].type == after
    assert table.schema().find_field("a.key") == key
    assert not evolve(table, wanted(after)), "nothing is left to commit"


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("map<int, string>", "map<long, string>", "a is map<int, string> and cannot become"),
        ("map<int, string>", "map<string, string>", "a is map<int, string> and cannot become"),
        ("map<string, int>", "map<string, string>", "int -> string|Cannot change column type"),
        ("map<string, struct<x: int, y: int>>", "map<string, struct<x: int>>", "would lose y"),
        ("map<string, int>", "list<int>", "cannot become list<int>"),
        ("list<int>", "map<string, int>", "cannot become map<string, int>"),
    ],
)
def test_a_map_that_cannot_evolve_is_refused_and_unchanged(
    catalog: Catalog, before: str, after: str, sentence: str
) -> None:
    table = live(catalog, before)
    with pytest.raises(Exception, match=sentence):
        evolve(table, wanted(after))
    assert observed_columns(catalog.load_table(ID).schema())[0].type == before


def test_a_removed_partition_field_is_void_in_version_1_and_no_longer_observed(
    catalog: Catalog,
) -> None:
    table = live(catalog, "int", ("day(at)", "s"), version=1)

    assert evolve(table, wanted("int", ("s",)))

    transforms = [str(field.transform) for field in table.spec().fields]
    assert transforms == ["void", "identity"], "Iceberg keeps the position of the field"
    assert observed_partition(table.spec(), table.schema()) == ("s",)
    assert not evolve(table, wanted("int", ("s",))), "nothing is left to commit"


def test_a_table_with_a_void_field_is_partitioned_again(catalog: Catalog) -> None:
    table = live(catalog, "int", ("day(at)", "s"), version=1)
    evolve(table, wanted("int", ("s",)))

    assert evolve(table, wanted("int", ("s", "month(at)")))

    assert set(observed_partition(table.spec(), table.schema())) == {"s", "month(at)"}
    assert not evolve(table, wanted("int", observed_partition(table.spec(), table.schema())))
