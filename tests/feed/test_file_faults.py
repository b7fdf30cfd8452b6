"""Files as the field has them: what cannot be read is named, and keeps nothing else waiting."""

import asyncio
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tapehouse_feed.actions import Action, Deliver
from tapehouse_feed.config import FilesSource
from tapehouse_feed.continuity import Ledger
from tapehouse_feed.cursor import Version
from tapehouse_feed.session import Session
from tapehouse_feed.sources import files as module
from tapehouse_feed.sources.files import Files
from tapehouse_feed.sources.listing import is_data
from tapehouse_feed.sources.rows import Framer, rows
from tapehouse_tape.events import Event, Field, Invalid, Reason

TRADE = Event(
    "Trade",
    "t",
    "symbol",
    (
        Field("symbol", "string", required=True),
        Field("timestamp", "timestamptz", required=True),
        Field("price", "double", required=True),
        Field("quantity", "long"),
    ),
    "timestamp",
)
HEADER = "symbol,timestamp,price,quantity\n"


def row(symbol: str) -> str:
    return f"{symbol},2026-01-05T14:30:00Z,190.5,100\n"


def verdicts(content: bytes, format_: str = "csv") -> list[str]:
    """The symbol of each row that is taken, the reason of each that is refused."""
    framer = Framer((TRADE,), mapped=False)
    found = [framer.frame(each) for each in rows(io.BytesIO(content), format_)]
    return [
        each.reason.value if isinstance(each, Invalid) else json.loads(each)["data"]["symbol"]
        for each in found
    ]


GOOD = (HEADER + row("AAPL")).encode()


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        b"\xfe\xff" + GOOD.decode().encode("utf-16-be"),
        b"\xff\xfe\0\0" + GOOD.decode().encode("utf-32-le"),
        b'"sep=,"\n' + GOOD,
        b"sep=;\n" + GOOD.replace(b",", b";"),
        GOOD.replace(b",", b";"),
        GOOD.replace(b",", b"\t"),
        GOOD.replace(b",", b"|"),
        GOOD.replace(b",", b", "),
        GOOD.replace(b"\n", b"\r\n"),
    ],
)
def test_encodings_and_separators_give_the_same_row(content: bytes) -> None:
    framer = Framer((TRADE,), mapped=False)
    [frame] = [framer.frame(each) for each in rows(io.BytesIO(content), "csv")]
    assert isinstance(frame, bytes), frame
    assert json.loads(frame)["data"] == {
        "symbol": "AAPL",
        "timestamp": "2026-01-05T14:30:00.000000Z",
        "price": 190.5,
        "quantity": 100,
    }


@pytest.mark.parametrize("header", [b"", b"symbol,timestamp,price,quantity\n"])
def test_declared_columns_name_the_cells_of_a_file_without_a_header(header: bytes) -> None:
    lines = b"AAPL,2026-01-05T14:30:00Z,190.5,100\nMSFT,2026-01-05T14:30:01Z,400,1\n"
    names = ("symbol", "timestamp", "price", "quantity")
    found = list(rows(io.BytesIO(header + lines), "csv", names))
    assert [row.members and row.members["symbol"] for row in found] == ["AAPL", "MSFT"]
    assert [row.original for row in found] == lines.split()
    [short] = rows(io.BytesIO(b"AAPL,1\n"), "csv", names)
    assert short.refusal is not None


def test_a_file_without_a_header_and_without_columns_names_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"declare source\.files\.columns"):
        list(rows(io.BytesIO(b"1,True,True\n"), "csv"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a,b,a\n1,2,3\n", "two columns are named 'a'"),
        (gzip.compress(GOOD, mtime=0), "gzip"),
        (b"PK\x03\x04...", "zip"),
        (GOOD.decode().encode("utf-16-le"), "without a byte order mark"),
        (b"a;b|c\n1;2|3\n", "several separators"),
        (b"\xff\xfe\xff\xdf\xff\xdf", "byte order mark says"),
    ],
)
def test_a_file_that_cannot_be_read_safely_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        list(rows(io.BytesIO(content), "csv"))


def test_bad_rows_are_refused_alone() -> None:
    bad = ["A,2026-01-05T14:30:00Z,17,513.2,100\n", "A,2026-01-05T14:30:00Z,1\n", '"A"x,"\n']
    content = (HEADER + row("A") + "".join(bad[:2]) + row("B")).encode()
    assert verdicts(content) == ["A", "wrong-type", "wrong-type", "B"]
    latin = (HEADER + row("MÜV") + row("C")).encode("latin-1")
    assert verdicts(latin) == ["not-utf8", "C"]


def test_a_cell_beyond_every_limit_refuses_its_row_alone() -> None:
    content = (HEADER + row("x" * (5 << 20)) + row("B")).encode()
    assert verdicts(content) == ["wrong-type", "B"]


def test_a_byte_order_mark_before_json_lines() -> None:
    line = b'{"symbol":"A","timestamp":"2026-01-05T14:30:00Z","price":1}\n'
    assert verdicts(b"\xef\xbb\xbf" + line * 2, "jsonl") == ["A", "A"]


def parquet(path: Path, times: pa.Array, price: list[float]) -> None:
    table = pa.table({"symbol": ["N"] * len(times), "timestamp": times, "price": price})
    pq.write_table(table, path, version="2.6")


def test_parquet_cuts_nanoseconds_and_refuses_by_row(tmp_path: Path) -> None:
    moments = pa.array([1767623400123456789, 1767623401000000001], pa.timestamp("ns", "UTC"))
    parquet(tmp_path / "a", moments, [1.0, float("nan")])
    framer = Framer((TRADE,), mapped=False)
    first, second = map(framer.frame, rows(io.BytesIO((tmp_path / "a").read_bytes()), "parquet"))
    assert isinstance(first, bytes)
    assert json.loads(first)["data"]["timestamp"] == "2026-01-05T14:30:00.123456Z"
    assert isinstance(second, Invalid)
    assert second.reason == Reason.RULE

    parquet(tmp_path / "b", pa.array([2**62, 1767623401000000], pa.timestamp("us", "UTC")), [1, 2])
    assert verdicts((tmp_path / "b").read_bytes(), "parquet") == ["wrong-type", "N"]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/a.csv", True),
        ("/day=1/part-0.parquet", True),
        ("/_SUCCESS", False),
        ("/_temporary/0/part-0.parquet", False),
        ("/.part-0.parquet.crc", False),
        ("/a.parquet.crc", False),
        ("/a.csv.tmp", False),
        ("/a.csv~", False),
    ],
)
def test_what_is_no_data_is_left_out(path: str, meant: bool) -> None:
    assert is_data(path) is meant


class Receiver:
    """The bridge without Kafka: rows are written as soon as they are taken."""

    def __init__(self) -> None:
        self.session = Session("f", (TRADE,), stream="0" * 16, run="1" * 16)
        self.versions: dict[str, Version] = {}
        self.ledgers: dict[str, Ledger] = {}
        self.path = ""
        self.keys: list[str] = []
        self.frames: list[bytes] = []

    def version(self, path: str) -> Version | None:
        return self.versions.get(path)

    async def begin(self, path: str, version: Version) -> Ledger:
        self.path, self.versions[path] = path, version
        ledger = self.ledgers.setdefault(version.stream, Ledger())
        self.session.follow(version.stream, ledger)
        return ledger

    async def end(self) -> None:
        self.versions[self.path].complete = True

    def receive_row(self, frame: bytes | Invalid, number: int, original: bytes, now: int) -> Any:
        found = self.session.receive_row(frame, number, original, now)
        actions: list[Action] = found if isinstance(found, list) else [found]
        self.keys += [each.key.decode() for each in actions if isinstance(each, Deliver)]
        return found


async def reading(
    path: Path, receiver: Receiver, work: Callable[[Files], Any], format_: str = "csv"
) -> None:
    files = Files(FilesSource(str(path), format_, follow=True), (TRADE,), False, receiver)
    task = asyncio.create_task(files.run())
    try:
        async with asyncio.timeout(20):
            await work(files)
    finally:
        files.stop()
        await task


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK", 0.02)
    monkeypatch.setattr(module, "REST", 0.2)


def test_one_unreadable_file_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,x\n1,2\n")
    (tmp_path / "b.csv").write_text(HEADER + row("B"))
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress((HEADER + row("C")).encode(), mtime=0))
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress((HEADER + row("D")).encode(), mtime=0)[:-12])
    (tmp_path / "_SUCCESS").write_text("")
    receiver = Receiver()

    async def work(files: Files) -> None:
        await until(lambda: {"B", "C"} <= set(receiver.keys))
        await until(lambda: "a.csv (and 1 more): two columns are named 'x'" in files.problem)
        assert files.connected
        (tmp_path / "a.csv").write_text(HEADER + row("A"))
        (tmp_path / "d.csv.gz").unlink()
        await until(lambda: not files.problem)
        assert "A" in receiver.keys

    asyncio.run(reading(tmp_path, receiver, work))


def test_a_last_line_without_an_end_is_read_once_after_a_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + row("A") + row("B").rstrip("\n"))
    receiver = Receiver()

    async def first(files: Files) -> None:
        await until(lambda: receiver.keys == ["A"])
        await until(lambda: receiver.keys == ["A", "B"])
        with path.open("a") as more:
            more.write("\n" + row("C"))
        await until(lambda: receiver.keys == ["A", "B", "C"])

    asyncio.run(reading(tmp_path, receiver, first))

    async def again(files: Files) -> None:
        with path.open("a") as more:
            more.write(row("D"))
        await until(lambda: "D" in receiver.keys)

    asyncio.run(reading(tmp_path, receiver, again))
    assert receiver.keys == ["A", "B", "C", "D"]


def test_a_last_line_that_was_taken_is_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + row("A").rstrip("\n"))
    receiver = Receiver()

    async def first(files: Files) -> None:
        await until(lambda: receiver.keys == ["A"] and not files._reading)

    asyncio.run(reading(tmp_path, receiver, first))
    taken = receiver.versions[str(path)]
    assert taken.complete

    async def again(files: Files) -> None:
        await until(lambda: str(path) in files._seen)

    asyncio.run(reading(tmp_path, receiver, again))
    assert receiver.versions[str(path)] is taken
    assert receiver.keys == ["A"]


def test_a_last_line_that_grows_after_it_was_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + row("A").rstrip("\n"))
    receiver = Receiver()

    async def work(files: Files) -> None:
        await until(lambda: receiver.keys == ["A"])
        with path.open("a") as more:
            more.write("00\n" + row("B"))
        await until(lambda: receiver.keys == ["A", "B"])
        assert "its last line grew after it was read" in files.problem

    asyncio.run(reading(tmp_path, receiver, work))


def test_a_file_cut_while_it_is_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + row("A") * 50_000)
    receiver = Receiver()
    begin = receiver.begin

    async def cut_first(path_: str, version: Version) -> Ledger:
        if version.size > 100:
            path.write_text(HEADER + row("A"))
        return await begin(path_, version)

    receiver.begin = cut_first  # type: ignore[method-assign]

    async def work(files: Files) -> None:
        await until(lambda: "its unread rows are lost" in files.problem)
        await until(lambda: bool(receiver.keys))

    asyncio.run(reading(tmp_path, receiver, work))


def test_a_file_removed_before_its_end_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + row("A"))
    receiver = Receiver()
    begin = receiver.begin

    async def remove_first(path_: str, version: Version) -> Ledger:
        path.unlink()
        return await begin(path_, version)

    receiver.begin = remove_first  # type: ignore[method-assign]

    async def work(files: Files) -> None:
        await until(lambda: "it was removed" in files.problem)

    asyncio.run(reading(tmp_path, receiver, work))


def test_a_file_replaced_before_its_end_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + row("A"))
    receiver = Receiver()
    receiver.versions[str(path)] = Version(900, "of the file before", "stream")

    async def work(files: Files) -> None:
        await until(lambda: "was replaced or cut before it was read" in files.problem)
        await until(lambda: receiver.keys == ["A"])

    asyncio.run(reading(tmp_path, receiver, work))
