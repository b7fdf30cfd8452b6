"""What stream jobs add to Flink's SQL, evaluated by Flink on values."""

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import IntegerType, NestedField, StringType, TimestamptzType
from tapehouse_laptop import jars, toolchain

from tests.streams.platform import TABLE_PROPERTIES, CatalogServer, catalog_server
from tests.support.controlplane import free_net

pytestmark = pytest.mark.local

PREFIX = "test_"
EVALUATE = Path(__file__).with_name("evaluate.py")
DIMENSION = Schema(
    NestedField(1, "symbol", StringType(), required=True),
    NestedField(2, "sector", StringType()),
    NestedField(3, "valid_from", TimestamptzType(), required=True),
    NestedField(4, "valid_to", TimestamptzType()),
    NestedField(5, "version", IntegerType()),
    identifier_field_ids=[1, 3],
)


def trades(*rows: tuple[str, float, float, int]) -> str:
    """A table of (symbol, price, seconds after a fixed moment, offset).

    Nothing but literals in VALUES: these are one source, whose order is kept.
    """
    values = ", ".join(
        f"('{symbol}', {float(price)}E0, {1_750_000_000_000 + round(seconds * 1000)}, {offset})"
        for symbol, price, seconds, offset in rows
    )
    return (
        "(SELECT symbol, price, TO_TIMESTAMP_LTZ(ms, 3) AS `timestamp`, "
        f"CAST(n AS BIGINT) AS `offset` FROM (VALUES {values}) AS t(symbol, price, ms, n))"
    )


def view(name: str, rows: str) -> str:
    return f"CREATE TEMPORARY VIEW {name} AS SELECT * FROM {rows}"


def level(price: float, quantity: int) -> str:
    return f"ROW(CAST({price} AS DOUBLE), CAST({quantity} AS BIGINT), 1)"


def book(name: str, bids: str, asks: str) -> str:
    return f"SELECT '{name}' AS name, s.* FROM (SELECT BOOK_STATS({bids}, {asks}) AS s)"


EMPTY = "CAST(NULL AS ARRAY<ROW<price DOUBLE, quantity BIGINT, order_count INT>>)"
DAY = "TIMESTAMP '2026-0{}-01 00:00:00'"
DDL = [
    # Out of order, with a tie at either end that the offset decides, and a symbol without a price.
    view(
        "ties",
        trades(
            ("A", 3, 5, 30),
            ("A", 1, 0, 11),
            ("A", 2, 0, 10),
            ("A", 4, 5, 31),
            ("A", 9, 2, 99),
            ("B", 7, 1, 1),
        ),
    ),
    view(
        "nothing",
        "(SELECT symbol, CAST(NULL AS DOUBLE) AS price, `timestamp`, `offset` FROM "
        + trades(("C", 1, 0, 1))
        + ")",
    ),
    view(
        "ticks",
        trades(
            ("M", 100, 0, 1),
            ("M", 101.99, 1, 2),  # below 2 %
            ("M", 102, 2, 3),  # MEDIUM
            ("M", 120, 61.9, 4),  # quiet
            ("M", 94.9, 62, 5),  # 60 s later: HIGH, down
            ("M", 110, 130, 6),  # CRITICAL, exactly 10 %
            ("M", 200, 300, 7),  # the baseline is new
            ("M", 203.9, 301, 8),  # below 2 % of the new one
            ("M", 204, 302, 9),  # MEDIUM of the new one
            ("M", 90, 299, 10),  # late: older than the baseline
            ("N", 10, 400, 11),  # each symbol has its own
            ("N", 10.5, 401, 12),  # HIGH
        ),
    ),
]
QUERIES = {
    "picked": "SELECT symbol, f.`value`, f.`sequence`, l.`value`, l.`sequence` FROM (SELECT symbol,"
    " FIRST_BY(price, `timestamp`, `offset`) AS f, LAST_BY(price, `timestamp`, `offset`) AS l"
    " FROM (SELECT * FROM ties UNION ALL SELECT * FROM nothing) GROUP BY symbol)",
    "books": " UNION ALL ".join(
        [
            book(
                "full",
                f"ARRAY[{level(99, 5)}, {level(100, 7)}]",
                f"ARRAY[{level(102, 3)}, {level(101, 1)}]",
            ),
            book("bids", f"ARRAY[{level(100, 7)}]", EMPTY),
            book("void", EMPTY, EMPTY),
            book("zero", f"ARRAY[{level(100, 0)}]", f"ARRAY[{level(101, 2)}]"),
        ]
    ),
    "alerts": "SELECT symbol, severity, direction, price, baseline_price"
    " FROM PRICE_ALERTS(TABLE ticks PARTITION BY symbol)",
    "as_of": "SELECT n, DIM_AS_OF('dim.symbols', k, CAST(CAST(t AS TIMESTAMP_LTZ(3)) AS "
    "TIMESTAMP_LTZ(6)))['sector'], DIM_AS_OF('dim.none', k, CAST(t AS TIMESTAMP_LTZ(6)))['sector']"
    " FROM (VALUES "
    + ", ".join(
        [
            f"('before', 'A', {DAY.format(1)})",
            f"('at the start', 'A', {DAY.format(2)})",
            f"('within', 'A', {DAY.format(3)})",
            f"('at the end', 'A', {DAY.format(4)})",
            f"('still', 'A', {DAY.format(9)})",
            f"('gone', 'B', {DAY.format(9)})",
            f"('unknown', 'Z', {DAY.format(3)})",
            f"('null', CAST(NULL AS STRING), {DAY.format(3)})",
        ]
    )
    + ") AS v(n, k, t)",
}


def month(number: int) -> datetime:
    return datetime(2026, number, 1, tzinfo=UTC)


def fill(server: CatalogServer) -> None:
    """A type 2 dimension: A changes its sector in April, B ends in May."""
    catalog = server.load()
    catalog.create_namespace(f"{PREFIX}dim")
    table = catalog.create_table(f"{PREFIX}dim.symbols", DIMENSION, properties=TABLE_PROPERTIES)
    rows = [
        ("A", "Shoes", month(2), month(4), 1),
        ("A", "Computers", month(4), None, 2),
        ("B", "Tapes", month(2), month(5), 1),
    ]
    names = DIMENSION.column_names
    found = [dict(zip(names, row, strict=True)) for row in rows]
    table.append(pa.Table.from_pylist(found, schema=DIMENSION.as_arrow()))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    """The rows of every query: one process for all, since Flink takes long to start."""
    directory = tmp_path_factory.mktemp("functions")
    (directory / "opt/flink").mkdir(parents=True)
    (directory / "opt/flink/lib").symlink_to(jars.flink())
    request = directory / "request.json"
    python = toolchain.streams_environment() / "bin/python"
    with catalog_server(directory, free_net().address(0, 10)) as server:
        fill(server)
        request.write_text(
            json.dumps({"uri": server.uri, "prefix": PREFIX, "ddl": DDL, "queries": QUERIES})
        )
        done = subprocess.run(
            [python, "-P", EVALUATE, request],
            env={**os.environ, "TAPEHOUSE_ROOT": str(directory), "TMPDIR": str(directory)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


Answers = dict[str, list[list[str]]]


def test_first_and_last_are_by_time_and_ties_by_offset(answers: Answers) -> None:
    assert sorted(answers["picked"]) == [
        ["A", "2.0", "10", "4.0", "31"],
        ["B", "7.0", "1", "7.0", "1"],
        ["C", "None", "None", "None", "None"],
    ]


def test_books_with_empty_sides_have_no_spread(answers: Answers) -> None:
    by_name = {row[0]: row[1:] for row in answers["books"]}
    none = "None"
    assert by_name == {
        "full": ["100.0", "7", "101.0", "1", "12", "4", "1.0", "100.5", "0.5"],
        "bids": ["100.0", "7", none, none, "7", "0", none, none, "1.0"],
        "void": [none, none, none, none, "0", "0", none, none, none],
        "zero": [none, none, "101.0", "2", "0", "2", none, none, "-1.0"],
    }


def test_alerts_have_a_baseline_a_severity_and_a_pause(answers: Answers) -> None:
    alerts = [[row[0], row[1], row[2], float(row[3]), float(row[4])] for row in answers["alerts"]]
    assert [row for row in alerts if row[0] == "M"] == [
        ["M", "MEDIUM", "UP", 102.0, 100.0],
        ["M", "HIGH", "DOWN", 94.9, 100.0],
        ["M", "CRITICAL", "UP", 110.0, 100.0],
        ["M", "MEDIUM", "UP", 204.0, 200.0],
    ]
    assert [row for row in alerts if row[0] == "N"] == [["N", "HIGH", "UP", 10.5, 10.0]]


def test_dimensions_are_read_as_they_were(answers: Answers) -> None:
    by_name = {row[0]: row[1] for row in answers["as_of"]}
    assert by_name == {
        "before": "None",
        "at the start": "Shoes",
        "within": "Shoes",
        "at the end": "Computers",
        "still": "Computers",
        "gone": "None",
        "unknown": "None",
        "null": "None",
    }


def test_a_dimension_that_is_not_there_knows_nothing(answers: Answers) -> None:
    assert {row[2] for row in answers["as_of"]} == {"None"}
