"""From a StreamJob's spec to its statements and inputs, refusing what no job could run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tapehouse_operator.api.base import Reason, StrategyType, duration
from tapehouse_operator.api.streamjob import Input as Declared
from tapehouse_operator.api.streamjob import StreamJobSpec
from tapehouse_operator.emit.ddl import Clock, Input
from tapehouse_operator.emit.events import Event, Registry, on_topic, union
from tapehouse_operator.emit.sql import Insert, SqlError, inserts
from tapehouse_operator.errors import SpecError

DEFAULT_TIME = "event_time"


@dataclass(frozen=True, slots=True)
class Target:
    """An output table, as its LakehouseTable was accepted."""

    name: str
    identifier: str
    job: str
    """Who may fill it."""
    columns: Mapping[str, bool]
    """By name: whether it is required."""


def refuse_unfinished(spec: StreamJobSpec) -> None:
    """What the API can say and this version cannot do yet is refused, never ignored."""
    for place, found in enumerate(spec.inputs):
        if found.feed is None:
            raise SpecError(
                Reason.UNSUPPORTED,
                f"spec.inputs[{place}]",
                found.table or found.topic,
                "this version reads events and topics of feeds; name feed and event",
            )
    for place, output in enumerate(spec.outputs):
        if output.table is None:
            remedy = "this version writes tables; name a LakehouseTable"
            raise SpecError(
                Reason.UNSUPPORTED, f"spec.outputs[{place}].topic", output.topic, remedy
            )
    if spec.strategy.type is not StrategyType.IN_PLACE:
        remedy = "this version restarts a job from a savepoint; use InPlace"
        raise SpecError(Reason.UNSUPPORTED, "spec.strategy.type", spec.strategy.type.value, remedy)
    if spec.analysis:
        remedy = "this version compares no candidates; leave it out"
        raise SpecError(Reason.UNSUPPORTED, "spec.analysis", len(spec.analysis), remedy)


def statements(sql: str, path: str) -> tuple[Insert, ...]:
    """The INSERTs of a job.

    Raises:
        SpecError: not a list of INSERTs; names the line.
    """
    try:
        return inserts(sql)
    except SqlError as error:
        remedy = f"line {error.line}: {error.remedy}"
        raise SpecError(Reason.INVALID_SQL, path, error.near, remedy) from error


def inputs_of(spec: StreamJobSpec, feeds: Mapping[str, Registry]) -> tuple[Input, ...]:
    """What the SQL reads, with the fields of every accepted version.

    Args:
        spec: the job's.
        feeds: the accepted events of every feed named.

    Raises:
        SpecError: a feed has no such event or topic.
    """
    made = []
    for place, found in enumerate(spec.inputs):
        path = f"spec.inputs[{place}]"
        registry = feeds[found.feed or ""]
        events = _events(found, registry, path)
        made.append(
            Input(
                alias=found.as_,
                topic=events[0].topic,
                events=_timed(events, spec.event_time.column),
                filtered=len(on_topic(registry.current, events[0].topic)) > len(events),
            )
        )
    return tuple(made)


def clock_of(spec: StreamJobSpec, max_future_skew: str) -> Clock:
    """How event time is made; `max_future_skew` is the environment's."""
    time = spec.event_time
    idle = duration(time.idle_after)
    return Clock(
        lateness=duration(time.lateness),
        idle_after=idle if idle > timedelta() else None,
        max_future_skew=duration(time.max_future_skew or max_future_skew),
    )


def check_targets(
    job: str, spec: StreamJobSpec, found: Sequence[Insert], targets: Sequence[Target], path: str
) -> None:
    """One INSERT for each output, into columns it has, and nobody else fills it.

    Raises:
        SpecError: with the output, the statement or the column at fault.
    """
    for place, target in enumerate(targets):
        at = f"spec.outputs[{place}].table"
        if target.job != job:
            remedy = (
                f"table {target.name} is filled by {target.job or 'no stream'}; a table has one "
                f"producer: name this job in its spec.stream, or write another table"
            )
            raise SpecError(Reason.TABLE_TAKEN, at, target.name, remedy)
        if not any(insert.target == target.identifier for insert in found):
            remedy = f"no statement writes it; add INSERT INTO {target.identifier} (…) SELECT …;"
            raise SpecError(Reason.INVALID_SQL, at, target.name, remedy)
    by_identifier = {target.identifier: target for target in targets}
    written: set[str] = set()
    for insert in found:
        _check_insert(insert, by_identifier.get(insert.target), sorted(by_identifier), path)
        if insert.target in written:
            remedy = f"line {insert.line}: one INSERT per output; combine the queries by UNION ALL"
            raise SpecError(Reason.INVALID_SQL, path, insert.target, remedy)
        written.add(insert.target)


def _check_insert(insert: Insert, target: Target | None, known: list[str], path: str) -> None:
    line = f"line {insert.line}"
    if target is None:
        remedy = f"{line}: the tables of spec.outputs are {', '.join(known)}; write one of these"
        raise SpecError(Reason.TABLE_NOT_FOUND, path, insert.target, remedy)
    for column in insert.columns:
        if column not in target.columns:
            remedy = f"{line}: the columns of {insert.target} are {', '.join(target.columns)}"
            raise SpecError(Reason.UNKNOWN_COLUMN, path, column, remedy)
    for column, required in target.columns.items():
        if required and column not in insert.columns:
            remedy = f"{line}: column {column} of {insert.target} is required; insert it too"
            raise SpecError(Reason.MISSING_FIELD, path, column, remedy)


def _events(found: Declared, registry: Registry, path: str) -> tuple[Event, ...]:
    if found.event is not None:
        event = registry.readable(found.event)
        if event is None:
            remedy = f"feed {found.feed} has {', '.join(e.name for e in registry.current)}"
            raise SpecError(Reason.UNKNOWN_EVENT, f"{path}.event", found.event, remedy)
        return (event,)
    current = on_topic(registry.current, found.topic or "")
    if not current:
        topics = dict.fromkeys(e.topic for e in registry.current)
        remedy = f"the topics of feed {found.feed} are {', '.join(topics)}"
        raise SpecError(Reason.TOPIC_NOT_FOUND, f"{path}.topic", found.topic, remedy)
    return _readable(registry, current)


def _readable(registry: Registry, current: tuple[Event, ...]) -> tuple[Event, ...]:
    """With the fields of older versions, unless these contradict another event's of today."""
    older = tuple(registry.readable(e.name) or e for e in current)
    try:
        union(older)
    except ValueError:
        return current
    return older


def _timed(events: tuple[Event, ...], column: str) -> tuple[Event, ...]:
    """With the event time the job asks for, where it does not leave that to the feed."""
    if column == DEFAULT_TIME:
        return events
    return tuple(e.timed(_time_field(e, column)) for e in events)


def _time_field(event: Event, column: str) -> str:
    times = [f.name for f in event.fields if f.type == "timestamptz"]
    if column not in times:
        remedy = (
            f"event {event.name} has the times {', '.join(times) or '(none)'}; "
            f"name one of them, or {DEFAULT_TIME}"
        )
        raise SpecError(Reason.UNKNOWN_COLUMN, "spec.eventTime.column", column, remedy)
    return column
