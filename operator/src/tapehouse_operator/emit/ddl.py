"""Flink SQL DDL: what the user never writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tapehouse_contracts.types import IceType, ListOf, MapOf, Primitive, StructOf, parse_type

from tapehouse_operator.emit.events import HEADERS, RESERVED, Event, Field, union
from tapehouse_operator.emit.sql import literal, quote

_TYPES = {
    "boolean": "BOOLEAN",
    "int": "INT",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP(6)",
    "timestamptz": "TIMESTAMP_LTZ(6)",
    "string": "STRING",
    "uuid": "STRING",
    "binary": "BYTES",
}
_METADATA = {
    "kafka_topic": "STRING NOT NULL METADATA FROM 'topic' VIRTUAL",
    "kafka_partition": "INT NOT NULL METADATA FROM 'partition' VIRTUAL",
    "kafka_offset": "BIGINT NOT NULL METADATA FROM 'offset' VIRTUAL",
    HEADERS: "MAP<STRING NOT NULL, BYTES NOT NULL> METADATA FROM 'headers' VIRTUAL",
    "ingested_at": "TIMESTAMP_LTZ(3) NOT NULL METADATA FROM 'timestamp' VIRTUAL",
    "event_type": "STRING METADATA FROM 'header.event_type' VIRTUAL",
    "trace_id": "STRING METADATA FROM 'header.trace_id' VIRTUAL",
}
REASON, DETAIL = "`$reason`", "`$detail`"
"""Columns of a topic's table: why the record cannot be read; null when it can."""
WHOLE = "`$whole`"
"""Column of a topic's table: whether the record can be read and has all that its event requires."""
VALUE, TRUNCATED = "`$value`", "`$truncated`"
"""Columns of a topic's table: the record's bytes, and how many there were if some are left out."""
_RECORD = {
    VALUE: "BYTES METADATA FROM 'value.raw' VIRTUAL",
    TRUNCATED: "STRING METADATA FROM 'value.truncated' VIRTUAL",
    REASON: "STRING METADATA FROM 'value.reason' VIRTUAL",
    DETAIL: "STRING METADATA FROM 'value.detail' VIRTUAL",
}
# Reads what no event is, too: a stranger's record must not stop a job.
_READ = {"format": "tapehouse-json"}
_FULL_FETCH = str(64 * 1024)
_LONGEST_FETCH = timedelta(milliseconds=500)
_TIMES = {"json.timestamp-format.standard": "ISO-8601"}
_WRITTEN = {"format": "json", **_TIMES}


@dataclass(frozen=True, slots=True)
class Input:
    """A topic as the user's SQL sees it."""

    alias: str
    topic: str
    events: tuple[Event, ...]
    """Whose fields it offers: one event, or all of the topic's."""
    filtered: bool
    """Whether other events share the topic and are to be left out."""
    unique: tuple[str, ...] = ()
    """Fields by which a second event of the same values is left out."""
    feed: str = ""
    known: tuple[str, ...] = ()
    """The names of all events on the topic, those of older versions included."""
    headers: bool = False
    """Whether it offers all headers, which the SQL must name."""

    @property
    def table(self) -> str:
        """The table over the whole topic, below what the SQL sees."""
        return f"{self.alias}__topic"

    @property
    def told_apart(self) -> bool:
        """Whether the header `event_type` decides what a record must have."""
        return self.filtered or len(self.events) > 1

    @property
    def offered(self) -> tuple[str, ...]:
        """The columns besides the event's own fields.

        Rows that are shuffled by their key should be small, so those have no headers either.
        """
        headers = self.headers and not self.unique
        return tuple(name for name in RESERVED if name != HEADERS or headers)


@dataclass(frozen=True, slots=True)
class Clock:
    """How event time is made of what the event says."""

    lateness: timedelta
    """How far behind the newest event the watermark stays."""
    idle_after: timedelta | None
    """When a silent partition stops holding the watermark back."""
    max_future_skew: timedelta
    """How far an event may be dated ahead of its arrival."""


def flink_type(type_: IceType) -> str:
    """The Flink SQL type that holds the same values."""
    match type_:
        case Primitive("decimal", precision, scale):
            return f"DECIMAL({precision}, {scale})"
        case Primitive(name):
            return _TYPES[name]
        case ListOf(element):
            return f"ARRAY<{flink_type(element)}>"
        case MapOf(key, value):
            return f"MAP<{flink_type(key)}, {flink_type(value)}>"
        case StructOf(fields):
            parts = ", ".join(f"{quote(name)} {flink_type(part)}" for name, part in fields)
            return f"ROW<{parts}>"


def input_ddl(table: Input, clock: Clock, kafka: Mapping[str, str], group: str) -> tuple[str, ...]:
    """The table over a topic, and the view that keeps its whole events, one of several.

    Args:
        table: what is read.
        clock: how event time is made.
        kafka: client configuration, without the password.
        group: the consumer group, where offsets are shown (state is what counts).
    """
    fields = union(table.events)
    names = [quote(name) for name in (*(f.name for f in fields), *table.offered)]
    return (
        _table(table, fields, clock, kafka, group),
        f"CREATE TEMPORARY VIEW {quote(table.alias)} AS {_chosen(names, table)}",
    )


def claims(names: Sequence[str]) -> str:
    """The condition that a record claims to be one of these events; NULL when it claims nothing."""
    return f"`event_type` IN ({', '.join(map(literal, names))})"


def _chosen(names: Sequence[str], table: Input) -> str:
    """The query that leaves out what is no event, other events and repeated ones."""
    columns = ",\n  ".join(names)
    where = WHOLE
    if table.filtered:
        where += f" AND {claims([e.name for e in table.events])}"
    if not table.unique:
        return f"SELECT\n  {columns}\nFROM {quote(table.table)}\nWHERE {where}"
    key = ", ".join(map(quote, table.unique))
    number = f"ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY PROCTIME()) AS `arrival`"
    return (
        f"SELECT\n  {columns}\nFROM (\n"  # noqa: S608  (names are quoted)
        f"  SELECT *, {number}\n  FROM {quote(table.table)}\n  WHERE {where}\n)\n"
        "WHERE `arrival` = 1"
    )


def _whole(table: Input) -> str:
    """Whether every required field has a value; of other events on the topic others say that."""
    if not table.told_apart:
        return f"{REASON} IS NULL{_has_all(table.events[0])}"
    own = [f"WHEN {literal(e.name)} THEN {REASON} IS NULL{_has_all(e)}" for e in table.events]
    names = [e.name for e in table.events]
    other = [f"WHEN {literal(n)} THEN {REASON} IS NULL" for n in table.known if n not in names]
    return f"CASE `event_type` {' '.join(own + other)} ELSE FALSE END"


def _has_all(event: Event) -> str:
    return "".join(f" AND {quote(f.name)} IS NOT NULL" for f in event.fields if f.required)


def missing(table: Input) -> str:
    """The first required field without a value; `event_type` when it is no event of the topic.

    Asked of the few records that are not whole: to build a text for each would cost all of them.
    """
    if not table.told_apart:
        return _first_null(table.events[0])
    own = [f"WHEN {literal(e.name)} THEN {_first_null(e)}" for e in table.events]
    return f"CASE `event_type` {' '.join(own)} ELSE 'event_type' END"


def _first_null(event: Event) -> str:
    required = [f.name for f in event.fields if f.required]
    cases = " ".join(f"WHEN {quote(name)} IS NULL THEN {literal(name)}" for name in required)
    return f"CASE {cases} END" if cases else "CAST(NULL AS STRING)"


@dataclass(frozen=True, slots=True)
class Sink:
    """A topic that a job writes."""

    topic: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    """The fields that make the record's key; none: records have no key."""


def sink_ddl(sink: Sink, kafka: Mapping[str, str]) -> str:
    """The table over an output topic, called like the topic.

    Records are written at least once: they are there when a checkpoint is complete, and some again
    after a restart.
    """
    columns = [f"{quote(f.name)} {flink_type(parse_type(f.type))}" for f in sink.fields]
    options = {
        "connector": "kafka",
        "topic": sink.topic,
        **{f"properties.{name}": value for name, value in kafka.items()},
        "sink.delivery-guarantee": "at-least-once",
        **_key(sink),
        **_WRITTEN,
    }
    return create_table(sink.topic, columns, options)


def _key(sink: Sink) -> dict[str, str]:
    """One text is the key as it is, which is how the topics of feeds are keyed."""
    if not sink.key:
        return {}
    fields = {"key.fields": ";".join(sink.key)}
    types = {f.name: f.type for f in sink.fields}
    if [types[name] for name in sink.key] == ["string"]:
        return {"key.format": "raw", **fields}
    return {"key.format": "json", **fields, **{f"key.{k}": v for k, v in _TIMES.items()}}


def interval(length: timedelta) -> str:
    """A Flink interval literal, exact to the millisecond."""
    millis = length // timedelta(milliseconds=1)
    seconds, millis = divmod(millis, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"INTERVAL '{days} {hours:02}:{minutes:02}:{seconds:02}.{millis:03}' DAY(3) TO SECOND(3)"


def _table(
    table: Input,
    fields: Sequence[Field],
    clock: Clock,
    kafka: Mapping[str, str],
    group: str,
) -> str:
    columns = [f"{quote(f.name)} {flink_type(parse_type(f.type))}" for f in fields]
    offered = {name: what for name, what in _METADATA.items() if name in table.offered}
    columns += [f"{quote(name)} {what}" for name, what in offered.items()]
    columns += [f"{column} {what}" for column, what in _RECORD.items()]
    columns += [
        f"{WHOLE} AS {_whole(table)}",
        f"`event_time` AS {_event_time(table.events, clock)}",
        f"WATERMARK FOR `event_time` AS {_watermark(table.events, clock)}",
    ]
    return create_table(table.table, columns, _source_options(table.topic, clock, kafka, group))


def gathering(interval: timedelta) -> dict[str, str]:
    """Consumer settings of a job that shows what it has read only with its next checkpoint.

    A fetch waits for more records, for a twentieth of the interval at most: on a quiet topic a
    fetch for every few of them is most of the work, and of the broker's too.
    """
    wait = min(interval / 20, _LONGEST_FETCH) // timedelta(milliseconds=1)
    return {"fetch.min.bytes": _FULL_FETCH, "fetch.max.wait.ms": str(wait)}


def _watermark(events: Sequence[Event], clock: Clock) -> str:
    """Behind the newest event; what is no event, or lacks its time, moves nothing."""
    timed = all(e.event_time for e in events)
    told = f"{REASON} IS NULL AND {_said(events)} IS NOT NULL" if timed else f"{REASON} IS NULL"
    return f"CASE WHEN {told} THEN `event_time` - {interval(clock.lateness)} END"


def _event_time(events: Sequence[Event], clock: Clock) -> str:
    """What the event says, but never more than the skew ahead of its arrival.

    One event dated 2099 would otherwise move the watermark past everything that follows.
    """
    said = _said(events)
    latest = f"`ingested_at` + {interval(clock.max_future_skew)}"
    return (
        f"CAST(CASE WHEN {said} IS NULL THEN `ingested_at` "
        f"WHEN {said} > {latest} THEN {latest} ELSE {said} END AS TIMESTAMP_LTZ(3))"
    )


def _said(events: Sequence[Event]) -> str:
    """The field with the event's own time, by event where they differ."""
    columns = {e.event_time for e in events}
    if len(columns) == 1:
        (column,) = columns
        return quote(column) if column else "CAST(NULL AS TIMESTAMP_LTZ(6))"
    cases = " ".join(
        f"WHEN {literal(e.name)} THEN {quote(e.event_time)}" for e in events if e.event_time
    )
    return f"CASE `event_type` {cases} END"


def _source_options(
    topic: str, clock: Clock, kafka: Mapping[str, str], group: str
) -> dict[str, str]:
    options = {
        "connector": "tapehouse-kafka",
        "topic": topic,
        **{f"properties.{name}": value for name, value in kafka.items()},
        "properties.group.id": group,
        "scan.startup.mode": "earliest-offset",
        **_READ,
    }
    if clock.idle_after is not None:
        millis = clock.idle_after // timedelta(milliseconds=1)
        options["scan.watermark.idle-timeout"] = f"{millis} ms"
    return options


def create_table(name: str, columns: Sequence[str], options: Mapping[str, str]) -> str:
    """The statement that declares a table of the job's own."""
    body = ",\n  ".join(columns)
    pairs = ",\n  ".join(f"{literal(key)} = {literal(value)}" for key, value in options.items())
    return f"CREATE TEMPORARY TABLE {quote(name)} (\n  {body}\n) WITH (\n  {pairs}\n)"
