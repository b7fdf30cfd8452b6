"""Rows of a test's inputs, checked and completed with what Kafka would know of them."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from tapehouse_laptop.errors import LaptopError
from tapehouse_operator.emit.ddl import Input
from tapehouse_tape import times
from tapehouse_tape.events import Codec, Event, Invalid

from tapehouse_cli.data.bounded import ENDED

GIVEN = (
    "event_type",
    "kafka_topic",
    "kafka_partition",
    "kafka_offset",
    "ingested_at",
    "trace_id",
)
"""What a row may say besides the fields of its event."""
EPOCH = times.from_micros(0)


def objects(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON Lines, with the numbers of their lines.

    Raises:
        LaptopError: a line is none; names it.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise LaptopError(f"{file}: not UTF-8: {error.reason}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise LaptopError(f"{file}:{number}: not JSON: {error}") from error
        if not isinstance(found, dict):
            raise LaptopError(f"{file}:{number}: a JSON object is expected on each line")
        yield number, found


class Records:
    """Makes the records of one input, numbered as they come."""

    def __init__(self, table: Input) -> None:
        self._table = table
        self._codecs = {
            each.name: Codec(msgspec.convert(each.document(), Event)) for each in table.events
        }
        self._offsets: dict[tuple[str, int], int] = {}
        self._last = EPOCH
        self._count = 0

    def written(self, rows: Iterator[tuple[str, dict[str, Any]]]) -> Iterator[str]:
        """The lines Flink reads: every row, and the one that ends the input.

        Args:
            rows: each with the place it comes from, for messages.

        Raises:
            LaptopError: a row is not an event of this input.
        """
        for place, row in rows:
            yield json.dumps(self._record(place, row))
        yield json.dumps(self._record_of({}, "", {}) | {ENDED: True})

    def _record(self, place: str, row: dict[str, Any]) -> dict[str, Any]:
        given = {name: row[name] for name in GIVEN if row.get(name) is not None}
        fields = {name: value for name, value in row.items() if name not in GIVEN}
        event = str(given.get("event_type") or self._only(place))
        codec = self._codecs.get(event)
        if codec is None:
            known = ", ".join(self._codecs)
            raise LaptopError(f"{place}: event_type: {event!r}: input {self._name} has {known}")
        try:
            return self._record_of(_checked(codec, fields), event, given)
        except (Invalid, ValueError) as error:
            raise LaptopError(f"{place}: {error}") from error

    @property
    def _name(self) -> str:
        return self._table.alias

    def _only(self, place: str) -> str:
        names = list(self._codecs)
        if len(names) == 1:
            return names[0]
        raise LaptopError(f"{place}: event_type is missing; it is one of {', '.join(names)}")

    def _record_of(
        self, fields: Mapping[str, Any], event: str, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        topic = str(given.get("kafka_topic", self._table.topic))
        partition = int(given.get("kafka_partition", 0))
        offset = int(given.get("kafka_offset", self._offsets.get((topic, partition), -1) + 1))
        self._offsets[topic, partition] = offset
        self._count += 1
        trace = str(given.get("trace_id", f"{self._count:032x}"))
        said = str(given.get("ingested_at") or self._said(event, fields) or self._last)
        self._last = times.normalise(said)
        headers = {"event_type": event, "trace_id": trace}
        return {
            ENDED: False,
            **fields,
            "kafka_topic": topic,
            "kafka_partition": partition,
            "kafka_offset": offset,
            "kafka_headers": {k: base64.b64encode(v.encode()).decode() for k, v in headers.items()},
            # Kafka's clock counts milliseconds.
            "ingested_at": self._last[:23] + "Z",
        }

    def _said(self, event: str, fields: Mapping[str, Any]) -> Any:
        codec = self._codecs.get(event)
        return fields.get(codec.event.event_time) if codec and codec.event.event_time else None


def _checked(codec: Codec, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with their times in canonical form; raises `Invalid` as the bridge would."""
    known = [field.name for field in codec.event.fields]
    unknown = next((name for name in fields if name not in known), None)
    if unknown is not None:
        allowed = ", ".join((*known, *GIVEN))
        raise ValueError(f"{unknown}: no field of {codec.event.name}; a row may have {allowed}")
    data = json.dumps(fields).encode()
    try:
        event = codec.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise codec.explain(data, error) from None
    codec.check_decimals(event, data)
    canonical = {
        name: times.normalise(fields[name]) for name in codec.times if fields.get(name) is not None
    }
    return fields | canonical
