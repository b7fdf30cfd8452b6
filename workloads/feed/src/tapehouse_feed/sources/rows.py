"""Rows of recorded files - CSV, JSON Lines, Parquet - and the frames they stand for."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec
import pyarrow.parquet
from tapehouse_tape.events import Event, Invalid, Reason
from tapehouse_tape.types import ListOf, MapOf, StructOf, parse

from tapehouse_feed.values import Converter, converter

FORMATS = ("csv", "jsonl", "parquet")


class Row(msgspec.Struct, gc=False):
    """One row: its bytes as they lie in the file, and its members if they are known already."""

    original: bytes
    members: Mapping[str, Any] | None = None


def rows(stream: BinaryIO, format_: str) -> Iterator[Row]:
    """Every row of an open file.

    Raises `ValueError` when the file as a whole cannot be read.
    """
    if format_ == "jsonl":
        return _lines(stream)
    return _csv(stream) if format_ == "csv" else _parquet(stream)


def _lines(stream: BinaryIO) -> Iterator[Row]:
    for line in stream:
        text = line.strip()
        if text:
            yield Row(text)


def _csv(stream: BinaryIO) -> Iterator[Row]:
    taken: list[bytes] = []

    def lines() -> Iterator[str]:
        for line in stream:
            taken.append(line)
            # What is not UTF-8 stays recognisable, so that the row can be refused whole.
            yield line.decode("utf-8", "surrogateescape")

    reader = csv.reader(lines())
    header = [name.strip().removeprefix("\ufeff") for name in next(reader, [])]
    taken.clear()
    for cells in reader:
        original = b"".join(taken).rstrip(b"\r\n")
        taken.clear()
        if cells:
            members = dict(zip(header, cells, strict=False))
            yield Row(original, {k: v for k, v in members.items() if v != ""})


def _parquet(stream: BinaryIO) -> Iterator[Row]:
    try:
        for batch in pyarrow.parquet.ParquetFile(stream).iter_batches(batch_size=1_000):
            for members in batch.to_pylist():
                yield Row(msgspec.json.encode(members, enc_hook=str), members)
    except pyarrow.ArrowException as error:
        raise ValueError(f"not a Parquet file: {error}") from None


class Framer:
    """Makes the frame a row stands for; with a mapping, rows are foreign frames as they are."""

    def __init__(self, events: Sequence[Event], mapped: bool) -> None:
        self._mapped = mapped
        self._only = events[0].name if len(events) == 1 else None
        self._converters = {event.name: _converters(event) for event in events}

    def frame(self, row: Row) -> bytes:
        """The frame.

        Raises `Invalid` when a cell cannot become its field's type.
        """
        if row.members is None:
            return self._bare(row.original)
        if self._mapped:
            return _encoded(row.members)
        members = dict(row.members)
        kind = members.pop("event_type", self._only)
        if kind is None:
            raise Invalid(Reason.UNKNOWN_EVENT, "the row has no event_type")
        convert = self._converters.get(kind, {})
        data = {
            name: convert[name](value) if name in convert else value
            for name, value in members.items()
            if value is not None
        }
        return b'{"event_type":%s,"data":%s}' % (msgspec.json.encode(kind), _encoded(data))

    def _bare(self, line: bytes) -> bytes:
        """A line of JSON: a frame, or the data of the only event there is."""
        if self._mapped or self._only is None:
            return line
        try:
            members = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        except (ValueError, RecursionError):
            return line
        if "event_type" in members:
            return line
        return b'{"event_type":%s,"data":%s}' % (msgspec.json.encode(self._only), line)


def _encoded(members: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(members, enc_hook=str)
    except UnicodeEncodeError as error:
        raise Invalid(Reason.NOT_UTF8, f"{error.object[:64]!r}: {error.reason}") from None


def _converters(event: Event) -> dict[str, Converter]:
    return {field.name: _converter(field.name, field.type) for field in event.fields}


def _converter(name: str, text: str) -> Converter:
    type_ = parse(text)
    if isinstance(type_, ListOf | MapOf | StructOf):
        return lambda value: _nested(name, value)
    return converter(name, type_, scale=Decimal(1), unit="iso")


def _nested(name: str, value: Any) -> Any:
    """A list, map or struct: of Parquet as it is, of CSV as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (ValueError, RecursionError) as error:
        raise Invalid(Reason.WRONG_TYPE, f"{name}: {value[:64]!r} is not JSON: {error}") from None


def limited(stream: BinaryIO, size: int) -> BinaryIO:
    """The first `size` bytes of a stream, line by line or whole."""
    return io.BufferedReader(_Limited(stream, size), 1 << 18)


class _Limited(io.RawIOBase):
    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(min(len(buffer), self._left))
        buffer[: len(piece)] = piece
        self._left -= len(piece)
        return len(piece)


def take_from(rows_: Iterable[Row], first: int) -> Iterator[tuple[int, Row]]:
    """Rows with their numbers, from 1, beginning with number `first`."""
    return ((number, row) for number, row in enumerate(rows_, 1) if number >= first)
