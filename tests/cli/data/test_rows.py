"""What a test of a job makes of input rows, and how it compares what comes out."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tapehouse_cli.data.bounded import ENDED
from tapehouse_cli.data.compare import compare, read_expected
from tapehouse_cli.data.records import Records, objects
from tapehouse_laptop.errors import LaptopError
from tapehouse_operator.emit.ddl import Input
from tapehouse_operator.emit.events import Event, Field

TICK = Event(
    "Tick",
    "raw.ticks",
    "symbol",
    "at",
    (Field("symbol", "string", True), Field("at", "timestamptz")),
)
HALT = Event("Halt", "raw.ticks", "symbol", None, (Field("symbol", "string", True),))


def records(*rows: dict[str, Any], events: tuple[Event, ...] = (TICK,)) -> list[dict[str, Any]]:
    numbered = ((f"f:{number}", row) for number, row in enumerate(rows, 1))
    table = Input("ticks", "raw.ticks", events, filtered=False)
    return [json.loads(line) for line in Records(table).written(numbered)]


def test_rows_are_numbered_as_they_come_and_an_end_follows() -> None:
    first, second, third, end = records(
        {"symbol": "A", "at": "2026-01-05T15:00:00.1234567+01:00"},
        {"symbol": "A", "kafka_offset": 10},
        {"symbol": "B", "ingested_at": "2026-01-05T14:00:05Z"},
    )
    assert first["at"] == "2026-01-05T14:00:00.123456Z"
    assert first["ingested_at"] == "2026-01-05T14:00:00.123Z"
    assert [row["kafka_offset"] for row in (first, second, third)] == [0, 10, 11]
    assert second["ingested_at"] == "2026-01-05T14:00:00.123Z"
    assert third["ingested_at"] == "2026-01-05T14:00:05.000Z"
    assert [row[ENDED] for row in (first, second, third, end)] == [False, False, False, True]
    assert end["ingested_at"] == third["ingested_at"]


def test_headers_are_what_the_bridge_writes() -> None:
    row = records({"symbol": "A", "trace_id": "0f"})[0]
    headers = {name: base64.b64decode(text) for name, text in row["kafka_headers"].items()}
    assert headers == {"event_type": b"Tick", "trace_id": b"0f"}
    assert row["kafka_topic"] == "raw.ticks"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"symbol": "A", "sybmol": 1},
            r"^f:1: sybmol: no field of Tick; a row may have symbol, at",
        ),
        ({"at": "2026-01-05T14:00:00Z"}, r"^f:1: missing-field"),
        ({"symbol": 3}, r"^f:1: wrong-type"),
        ({"symbol": "A", "at": "yesterday"}, r"^f:1: .*yesterday"),
        ({"symbol": "A", "event_type": "Tock"}, r"^f:1: event_type: 'Tock': input ticks has Tick$"),
    ],
)
def test_a_row_that_is_no_event_is_named(row: dict[str, Any], said: str) -> None:
    with pytest.raises(LaptopError, match=said):
        records(row)


def test_where_events_share_a_topic_a_row_says_which_it_is() -> None:
    assert records({"symbol": "A", "event_type": "Halt"}, events=(TICK, HALT))
    with pytest.raises(LaptopError, match="event_type is missing; it is one of Tick, Halt"):
        records({"symbol": "A"}, events=(TICK, HALT))


def test_a_line_that_is_no_object_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    for line, said in (("[1]", "object is expected"), ("{", "not JSON")):
        file.write_text(f'{{"a": 1}}\n\n{line}\n')
        with pytest.raises(LaptopError, match=rf"rows\.jsonl:3: .*{said}"):
            list(objects(file))


COLUMNS = (
    Field("at", "timestamptz"),
    Field("price", "double"),
    Field("count", "long"),
    Field("open", "boolean"),
    Field("money", "decimal(9,2)"),
    Field("levels", "list<struct<price: double>>"),
    Field("note", "string"),
)
CAME = {
    "at": "2026-01-05 14:00:00.5Z",
    "price": 0.30000000000000004,
    "count": 3,
    "open": True,
    "money": 1.50,
    "levels": [{"price": 1.0}],
    "note": "x",
}


def test_csv_json_and_flink_say_the_same_in_their_own_ways(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(
        "at,price,count,open,money,levels,note\n"
        '2026-01-05T14:00:00.500000Z,0.3,3,true,1.5,"[{""price"": 1}]",x\n'
    )
    expected, columns = read_expected(file, COLUMNS)
    assert columns == tuple(field.name for field in COLUMNS)
    assert not compare(expected, columns, [CAME], COLUMNS)


def test_rows_are_counted_in_any_order() -> None:
    one, two = {"count": 1}, {"count": 2}
    same = compare([one, two, two], ["count"], [two, one, two], COLUMNS)
    assert (bool(same), same.agreed) == (False, 3)
    other = compare([one, two, two], ["count"], [two, one, one], COLUMNS)
    assert (other.missing, other.unexpected) == ((("2",),), (("1",),))
    assert list(other.lines("t")) == [
        "FAILED  t: 2 as expected, 1 missing, 1 unexpected",
        "  - count=2",
        "  + count=1",
    ]


def test_a_null_is_no_empty_text() -> None:
    assert compare([{"note": None}], ["note"], [{"note": ""}], COLUMNS)


def test_nothing_expected_means_no_rows(tmp_path: Path) -> None:
    file = tmp_path / "none.jsonl"
    file.write_text("")
    expected, columns = read_expected(file, COLUMNS)
    assert not compare(expected, columns, [], COLUMNS)
    assert compare(expected, columns, [CAME], COLUMNS).unexpected


def test_a_value_of_another_type_is_named() -> None:
    with pytest.raises(ValueError, match="count: 'three' is no long"):
        compare([{"count": "three"}], ["count"], [], COLUMNS)


def test_an_expected_column_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"nte": 1}\n')
    with pytest.raises(LaptopError, match=r"rows\.jsonl:1: nte: the columns are at, price"):
        read_expected(file, COLUMNS)


def test_a_byte_order_mark_and_separators_within_text_are_no_lines(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"symbol":"A\xe2\x80\xa8B"}\r\n{"symbol":"C"}\n')
    assert list(objects(file)) == [(1, {"symbol": "A\u2028B"}), (2, {"symbol": "C"})]
    expected = tmp_path / "rows.csv"
    expected.write_bytes(b"\xef\xbb\xbfsymbol\nA\n")
    assert read_expected(expected, TICK.fields) == ([{"symbol": "A"}], ("symbol",))
