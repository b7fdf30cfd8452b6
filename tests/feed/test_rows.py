"""Rows of files: every format says the same, and what is bad is kept as it lay there."""

import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs
from tapehouse_feed.sources.listing import digests
from tapehouse_feed.sources.listing import listed as listed_by
from tapehouse_feed.sources.pace import Pace
from tapehouse_feed.sources.rows import Framer, limited, rows, take_from
from tapehouse_tape.events import Event, Field, Invalid, Reason, load_preset

MARKET = load_preset("market/v1").events
TRADES = tuple(event for event in MARKET if event.name == "TradeExecuted")
TRADE: dict[str, Any] = {
    "event_id": "e",
    "timestamp": "2021-01-04T23:59:59.999999Z",
    "trade_id": "t",
    "symbol": "AAPL",
    "price": 1.5,
    "quantity": 5,
    "buy_order_id": "b",
    "sell_order_id": "s",
    "buyer_agent_id": "x",
    "seller_agent_id": "y",
    "is_aggressive_buy": True,
}


def frames(content: bytes, format_: str, events: tuple[Event, ...] = TRADES) -> list[Any]:
    framer = Framer(events, mapped=False)
    found = [framer.frame(row) for row in rows(io.BytesIO(content), format_)]
    return [f if isinstance(f, Invalid) else json.loads(f) for f in found]


def csv_of(*records: dict[str, Any]) -> bytes:
    names = list(records[0])
    lines = [",".join(names), *(",".join(str(r.get(n, "")) for n in names) for r in records)]
    return "\r\n".join(lines).encode() + b"\r\n"


def parquet_of(records: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), sink)
    return sink.getvalue()


def test_every_format_says_the_same() -> None:
    expected = [{"event_type": "TradeExecuted", "data": TRADE}]
    moment = dt.datetime(2021, 1, 4, 23, 59, 59, 999_999, tzinfo=dt.UTC)
    assert frames(csv_of(TRADE), "csv") == expected
    assert frames(json.dumps(TRADE).encode(), "jsonl") == expected
    assert frames(json.dumps(expected[0]).encode() + b"\n\n", "jsonl") == expected
    assert frames(parquet_of([TRADE | {"timestamp": moment}]), "parquet") == expected


def test_a_column_tells_the_kind() -> None:
    row = {"event_type": "QuoteUpdate", "symbol": "A", "best_bid": "", "best_bid_size": 3}
    assert frames(csv_of(row), "csv", MARKET) == [
        {"event_type": "QuoteUpdate", "data": {"symbol": "A", "best_bid_size": 3}}
    ]


def test_nested_cells_are_json() -> None:
    event = Event("E", "t", "id", (Field("id", "string"), Field("xs", "list<int>")))
    assert frames(b'id,xs\n1,"[1, 2]"\n', "csv", (event,)) == [
        {"event_type": "E", "data": {"id": "1", "xs": [1, 2]}}
    ]
    framer = Framer((event,), mapped=False)
    [bad] = list(rows(io.BytesIO(b"id,xs\n1,[1\n"), "csv"))
    refused = framer.frame(bad)
    assert isinstance(refused, Invalid)
    assert "is not JSON" in refused.detail


def test_original_bytes_of_quoted_rows() -> None:
    content = b'symbol,price\n"A,\n""B""",1\nC,2\n'
    found = list(rows(io.BytesIO(content), "csv"))
    assert [row.original for row in found] == [b'"A,\n""B""",1', b"C,2"]
    assert found[0].members == {"symbol": 'A,\n"B"', "price": "1"}


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ({"price": "much"}, Reason.WRONG_TYPE),
        ({"price": "NaN"}, Reason.RULE),
        ({"timestamp": "2021-02-30"}, Reason.BAD_TIMESTAMP),
        ({"is_aggressive_buy": "perhaps"}, Reason.WRONG_TYPE),
    ],
)
def test_bad_cells(cell: dict[str, str], reason: Reason) -> None:
    (row,) = rows(io.BytesIO(csv_of(TRADE | cell)), "csv")
    refused = Framer(TRADES, mapped=False).frame(row)
    assert isinstance(refused, Invalid)
    assert refused.reason == reason


def test_a_row_that_is_not_utf8() -> None:
    (row,) = rows(io.BytesIO(b"symbol,buyer_agent_id\nA,\xff\xfe\n"), "csv")
    assert row.original == b"A,\xff\xfe"
    refused = Framer(TRADES, mapped=False).frame(row)
    assert isinstance(refused, Invalid)
    assert refused.reason == Reason.NOT_UTF8


def test_what_is_no_parquet_is_refused_whole() -> None:
    with pytest.raises(ValueError, match="not a Parquet file"):
        list(rows(io.BytesIO(b"hello"), "parquet"))


def test_going_on_in_the_middle() -> None:
    content = b"".join(b'{"n":%d}\n' % n for n in range(1, 6))
    numbered = take_from(rows(limited(io.BytesIO(content), 4 * 8), "jsonl"), 3)
    assert [(n, row.original) for n, row in numbered] == [(3, b'{"n":3}'), (4, b'{"n":4}')]


@pytest.mark.parametrize("chunked", [b"a\nbb\nccc", b"a\nbb\n", b"abc", b""])
def test_digests_tell_grown_from_changed(chunked: bytes) -> None:
    size, digest, *_ = digests(io.BytesIO(chunked), 0, whole_lines=False)
    assert size == len(chunked)
    assert digests(io.BytesIO(chunked + b"\nmore"), size, False)[2] == digest
    if chunked:
        assert digests(io.BytesIO(b"x" + chunked[1:] + b"more"), size, False)[2] != digest
    assert digests(io.BytesIO(chunked), 0, True)[0] == chunked.rfind(b"\n") + 1


def test_files_a_directory_and_a_pattern(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "deep/c.csv", "d.txt", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    local = fs.LocalFileSystem()

    def listed(path: Path | str) -> list[str]:
        return [Path(i.path).relative_to(tmp_path).as_posix() for i in listed_by(local, str(path))]

    assert listed(tmp_path) == ["a.csv", "b.csv", "d.txt", "deep/c.csv"]
    assert listed(tmp_path / "*.csv") == ["a.csv", "b.csv", "deep/c.csv"]
    assert listed(tmp_path / "a.csv") == ["a.csv"]
    with pytest.raises(FileNotFoundError, match="no such file or directory"):
        listed(tmp_path / "none")


def test_the_pace_follows_the_events() -> None:
    now = [100.0]
    pace = Pace(10.0, lambda: now[0])
    assert pace.ahead("2021-01-01T00:00:00Z") == 0.0
    assert pace.ahead("2021-01-01T00:00:20Z") == pytest.approx(2.0)
    now[0] = 105.0
    assert pace.ahead("2021-01-01T00:00:20Z") == pytest.approx(-3.0)
    assert Pace(0.0).ahead("2021-01-01T00:00:00Z") == 0.0
