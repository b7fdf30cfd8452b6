"""Rows of recorded files - CSV, JSON Lines, Parquet - and the frames they stand for."""

import io
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec
from tapehouse_contracts.types import ListOf, MapOf, StructOf, parse_event_type
from tapehouse_tape.events import Event, Invalid, Reason

from tapehouse_feed.sources.csvrows import csv_rows
from tapehouse_feed.sources.encodings import byte_lines
from tapehouse_feed.sources.parquetrows import parquet_rows
from tapehouse_feed.sources.row import Row
from tapehouse_feed.values import Converter, converter

FORMATS = ("csv", "jsonl", "parquet")
log = logging.getLogger("tapehouse.bridge")


def rows(stream: BinaryIO, format_: str, columns: Sequence[str] = ()) -> Iterator[Row]:
    """Every row of an open file; `columns` are those of CSV without a header line.

    Raises `ValueError` when the file as a whole cannot be read.
    """
    if format_ == "jsonl":
        return _lines(stream)
    return csv_rows(stream, columns) if format_ == "csv" else parquet_rows(stream)


def _lines(stream: BinaryIO) -> Iterator[Row]:
    for line in byte_lines(stream):
        text = line.strip()
        if text:
            yield Row(text)


class Framer:
    """Makes the frame a row stands for; with a mapping, rows are foreign frames as they are."""

    def __init__(self, events: Sequence[Event], mapped: bool) -> None:
        self._mapped = mapped
        self._only = events[0].name if len(events) == 1 else None
        self._converters = {event.name: _converters(event) for event in events}

    def frame(self, row: Row) -> bytes | Invalid:
        """The frame, or why there is none; never raises."""
        try:
            return self._frame(row)
        except Invalid as invalid:
            return invalid
        except Exception as error:
            # A value of a kind not thought of: its row is refused, the file goes on.
            log.exception("a row cannot be read")
            detail = f"{type(error).__name__}: {error}"
            return Invalid(Reason.WRONG_TYPE, detail[:500])

    def _frame(self, row: Row) -> bytes:
        if row.refusal is not None:
            raise row.refusal
        if row.members is None:
            return self._bare(row.original)
        if self._mapped:
            return _encoded({name: _text(name, value) for name, value in row.members.items()})
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


def _text(name: str, value: Any) -> Any:
    """Bytes of Parquet as the text they are; JSON would have them in base64."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Invalid(Reason.NOT_UTF8, f"{name}: not text in UTF-8: {error.reason}") from None


def _encoded(members: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(members, enc_hook=str)
    except UnicodeEncodeError as error:
        raise Invalid(Reason.NOT_UTF8, f"{error.object[:64]!r}: {error.reason}") from None


def _converters(event: Event) -> dict[str, Converter]:
    return {field.name: _converter(field.name, field.type) for field in event.fields}


def _converter(name: str, text: str) -> Converter:
    type_ = parse_event_type(text)
    if isinstance(type_, ListOf | MapOf | StructOf):
        return lambda value: _nested(name, value)
    return converter(name, type_, scale=Decimal(1), unit="iso")


def _nested(name: str, value: Any) -> Any:
    """A list, map or struct: of Parquet as it is, of CSV as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        msgspec.json.decode(value, type=msgspec.Raw)
        return msgspec.Raw(value.encode())
    except (ValueError, RecursionError) as error:
        raise Invalid(Reason.WRONG_TYPE, f"{name}: {value[:64]!r} is not JSON: {error}") from None


def limited(stream: BinaryIO, size: int) -> BinaryIO:
    """The first `size` bytes of a stream, line by line or whole."""
    return io.BufferedReader(_Limited(stream, size), 1 << 18)


class CutError(OSError):
    """A file ended before the size it had."""


class _Limited(io.RawIOBase):
    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(min(len(buffer), self._left))
        if self._left and not piece:
            raise CutError(f"the file ended {self._left} bytes early")
        buffer[: len(piece)] = piece
        self._left -= len(piece)
        return len(piece)


def take_from(rows_: Iterable[Row], first: int) -> Iterator[tuple[int, Row]]:
    """Rows with their numbers, from 1, beginning with number `first`."""
    return ((number, row) for number, row in enumerate(rows_, 1) if number >= first)
