"""`tapehouse sql`: which tables are looked at, what is refused, and how rows are written."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import DoubleType, NestedField, StringType, TimestamptzType
from tapehouse_cli.data.lake import Lake, named, statements
from tapehouse_cli.data.output import FORMATS
from tapehouse_cli.data.sql import complete, run
from tapehouse_laptop.errors import LaptopError

from tests.query.catalog import MemoryCatalog

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SCHEMA = Schema(
    NestedField(1, "symbol", StringType()),
    NestedField(2, "price", DoubleType()),
    NestedField(3, "at", TimestamptzType()),
)
TRADES = pa.Table.from_pylist(
    [
        {"symbol": "A", "price": 1.5, "at": NOON},
        {"symbol": "A", "price": 2.5, "at": NOON},
        {"symbol": "B", "price": None, "at": NOON},
    ],
    schema=SCHEMA.as_arrow(),
)


class ListedCatalog(MemoryCatalog):
    """One that can be asked what it holds, and remembers which tables were loaded."""

    loaded: tuple[str, ...] = ()

    def list_namespaces(self, namespace: Any = ()) -> list[Any]:
        return sorted({tuple(name.split(".")[:1]) for name in self.locations})

    def list_tables(self, namespace: Any) -> list[Any]:
        found = (tuple(name.split(".")) for name in self.locations)
        return [each for each in found if each[:1] == namespace]

    def load_table(self, identifier: Any) -> Table:
        self.loaded = (*self.loaded, identifier)
        return super().load_table(identifier)


@pytest.fixture
def catalog(tmp_path: Path) -> ListedCatalog:
    found = ListedCatalog(tmp_path)
    for name in ("dev_bronze.trades", "dev_gold.candles", "bronze.other"):
        found.create_table(name, SCHEMA)
    found.load_table("dev_bronze.trades").append(TRADES)
    found.loaded = ()
    return found


def answer(catalog: ListedCatalog, query: str, capsys: pytest.CaptureFixture[str]) -> list[object]:
    run(Lake(catalog, "dev_"), query, FORMATS["json"])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_query_reads_the_tables_it_names_and_no_other(
    catalog: ListedCatalog, capsys: pytest.CaptureFixture[str]
) -> None:
    query = 'SELECT symbol, count(price) AS n FROM Bronze."trades" GROUP BY ALL ORDER BY ALL'
    assert answer(catalog, query, capsys) == [{"symbol": "A", "n": 2}, {"symbol": "B", "n": 0}]
    assert catalog.loaded == ("dev_bronze.trades",)


def test_values_are_those_of_json(
    catalog: ListedCatalog, capsys: pytest.CaptureFixture[str]
) -> None:
    query = """SELECT max("at") AS newest, sum(length(symbol)) AS n, INTERVAL 1 DAY AS span,
               [NULL, 1] AS some, map {'a': 1.5} AS named, NULL AS nothing
               FROM bronze.trades"""
    assert answer(catalog, query, capsys) == [
        {
            "newest": "2026-01-05T12:00:00Z",
            "n": 3,
            "span": 86400.0,
            "some": [None, 1],
            "named": {"a": "1.5"},
            "nothing": None,
        }
    ]


def refuse(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def test_numbers_that_json_lacks_are_texts(
    catalog: ListedCatalog, capsys: pytest.CaptureFixture[str]
) -> None:
    query = """SELECT 'NaN'::double AS n, ['inf'::double, 1.5] AS some, {'x': '-inf'::float} AS s,
               map {DATE '2026-01-05': 'NaN'::double} AS m, 0.5::double AS finite"""
    wanted = {
        "n": "NaN",
        "some": ["Infinity", 1.5],
        "s": {"x": "-Infinity"},
        "m": {"2026-01-05": "NaN"},
        "finite": 0.5,
    }
    run(Lake(catalog, "dev_"), query, FORMATS["json"])
    assert json.loads(capsys.readouterr().out, parse_constant=refuse) == wanted
    run(Lake(catalog, "dev_"), "SELECT ['inf'::double] AS some", FORMATS["csv"])
    assert capsys.readouterr().out == 'some\n"[""Infinity""]"\n'


def test_renamed_columns_read_by_field_id(
    catalog: ListedCatalog, capsys: pytest.CaptureFixture[str]
) -> None:
    with catalog.load_table("dev_bronze.trades").update_schema() as update:
        update.rename_column("price", "paid")
    assert answer(catalog, "SELECT max(paid) AS m FROM bronze.trades", capsys) == [{"m": 2.5}]


def test_a_table_without_a_snapshot_is_empty(
    catalog: ListedCatalog, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(catalog, "SELECT * FROM gold.candles", capsys) == []


def test_show_tables_lists_those_of_the_environment(
    catalog: ListedCatalog, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(catalog, "show tables", capsys) == [
        {"table": "bronze.trades"},
        {"table": "gold.candles"},
    ]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM bronze.trade", "tables: bronze.trades, gold.candles"),
        ("SELECT nothing FROM bronze.trades", "nothing"),
        ("SELECT * FROM read_csv('/etc/passwd')", "disabled"),
        ("SELECT 1/0 + 'x'::int", "Could not convert"),
    ],
)
def test_errors_are_one_line(catalog: ListedCatalog, query: str, said: str) -> None:
    with pytest.raises(LaptopError, match=said) as caught:
        run(Lake(catalog, "dev_"), query, FORMATS["json"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "query", ["DROP TABLE x", "COPY x TO 'y'", "CREATE TABLE x (a int)", "ATTACH 'x'", "SET a = 1"]
)
def test_what_would_change_something_is_refused(query: str) -> None:
    with pytest.raises(LaptopError, match="only queries are run here"):
        statements(query)


def test_statements_end_where_they_end() -> None:
    typed = io.StringIO("SELECT 1,\n  ';';\n\nSELECT 2; SELECT 3;\nSELECT 4")
    assert list(complete(typed)) == ["SELECT 1,\n  ';'", "SELECT 2", "SELECT 3", "SELECT 4"]


def test_what_does_not_parse_says_where() -> None:
    with pytest.raises(LaptopError, match=r"^line 1: syntax error.*selec 1"):
        statements("selec 1")


@pytest.mark.parametrize("query", ["FROM a.bc", "FROM xa.b", "FROM a_b", "SELECT 'c.a.b2'"])
def test_a_longer_name_is_another(query: str) -> None:
    assert list(named(query, ["a.b"])) == []


def test_csv_keeps_times_nulls_and_commas(capsys: pytest.CaptureFixture[str]) -> None:
    FORMATS["csv"](["at", "none", "text", "list"], [(NOON, None, 'a,"b"', [1, {"x": NOON}])])
    assert capsys.readouterr().out == (
        "at,none,text,list\n"
        '2026-01-05T12:00:00Z,,"a,""b""","[1, {""x"": ""2026-01-05T12:00:00Z""}]"\n'
    )


def test_a_table_shows_every_row_and_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    FORMATS["table"](["symbol", "price"], [("A", 1.5), ("[red]B", None)])
    shown = capsys.readouterr()
    assert [line.split() for line in shown.out.splitlines() if line.strip()][2:] == [
        ["A", "1.5"],
        ["[red]B", "-"],
    ]
    assert shown.err == "2 rows\n"
