"""From a StreamJob's spec to its statements and inputs, refusing what no job could run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from tapehouse_contracts.types import parse_type

from tapehouse_operator.api.base import Reason, StrategyType, duration
from tapehouse_operator.api.jobparts import Output
from tapehouse_operator.api.streamjob import Input as Declared
from tapehouse_operator.api.streamjob import StreamJobSpec
from tapehouse_operator.emit import records
from tapehouse_operator.emit.ddl import Clock, Input, Sink
from tapehouse_operator.emit.events import Event, Field, Registry, on_topic, union
from tapehouse_operator.emit.platform import Platform
from tapehouse_operator.emit.sql import Insert, SqlError, inserts, quote
from tapehouse_operator.emit.strimzi import Topic
from tapehouse_operator.errors import SpecError

DEFAULT_TIME = "event_time"


@dataclass(frozen=True, slots=True)
class Target:
    """What an INSERT may write: a table as its LakehouseTable was accepted, or a topic."""

    path: str
    """The field that names it."""
    name: str
    identifier: str
    """As the SQL names it."""
    job: str
    """Who may fill it."""
    columns: Mapping[str, bool]
    """By name: whether it is required."""
    partition: tuple[str, ...] = ()


def refuse_unfinished(spec: StreamJobSpec) -> None:
    """What the API can say and this version cannot do yet is refused, never ignored."""
    for place, found in enumerate(spec.inputs):
        if found.table is not None:
            raise SpecError(
                Reason.UNSUPPORTED,
                f"spec.inputs[{place}].table",
                found.table,
                "this version reads topics; look rows up by DIM_AS_OF instead",
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


def inputs_of(
    spec: StreamJobSpec,
    feeds: Mapping[str, Registry],
    written: Mapping[str, Event],
    *,
    headers: bool,
) -> tuple[Input, ...]:
    """What the SQL reads, with the fields of every accepted version.

    Args:
        spec: the job's.
        feeds: the accepted events of every feed named.
        written: the records of other jobs, by topic.
        headers: whether the SQL names the column with all headers.

    Raises:
        SpecError: a feed has no such event or topic.
    """
    made = []
    for place, found in enumerate(spec.inputs):
        path = f"spec.inputs[{place}]"
        if found.feed is None:
            record = written[found.topic or ""]
            events = _timed((record,), spec.event_time.column)
            made.append(Input(found.as_, record.topic, events, filtered=False, headers=headers))
            continue
        registry = feeds[found.feed]
        events = _events(found, registry, path)
        made.append(
            Input(
                alias=found.as_,
                topic=events[0].topic,
                events=_timed(events, spec.event_time.column),
                filtered=len(on_topic(registry.current, events[0].topic)) > len(events),
                unique=_unique(found, events[0], path),
                feed=found.feed,
                known=_known(registry, events[0].topic),
                headers=headers,
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


def sinks_of(spec: StreamJobSpec) -> tuple[Sink, ...]:
    """The topics that the SQL writes."""
    return tuple(
        Sink(
            topic=output.topic,
            fields=tuple(
                Field(c.name, str(parse_type(c.type)), c.name in output.key) for c in output.columns
            ),
            key=output.key,
        )
        for output in spec.outputs
        if output.topic is not None
    )


def topics_of(
    spec: StreamJobSpec,
    platform: Platform,
    live: Mapping[str, int],
    written: Mapping[str, Sequence[Field]],
) -> tuple[Topic, ...]:
    """The topics to be made for the job.

    Args:
        spec: the job's.
        platform: the environment, for what the job does not say.
        live: how many partitions topics have now; they never shrink.
        written: what the records in them hold so far, which readers may still meet.

    Raises:
        SpecError: a topic is to have fewer partitions than it has, or a column another type.
    """
    sinks = {sink.topic: sink for sink in sinks_of(spec)}
    made = []
    for place, output in enumerate(spec.outputs):
        if output.topic is not None:
            path = f"spec.outputs[{place}]"
            before = written.get(output.topic, ())
            fields = records.readable(sinks[output.topic].fields, before, path)
            topic = _topic(output, path, platform, live.get(output.topic, 0))
            made.append(replace(topic, columns=records.describe(fields)))
    return tuple(made)


def topic_targets(job: str, spec: StreamJobSpec) -> list[Target]:
    """The topics as targets; a record without its key is of no use."""
    places = [place for place, output in enumerate(spec.outputs) if output.topic is not None]
    return [
        Target(
            path=f"spec.outputs[{place}].topic",
            name=sink.topic,
            identifier=sink.topic,
            job=job,
            columns={f.name: f.required for f in sink.fields},
        )
        for place, sink in zip(places, sinks_of(spec), strict=True)
    ]


def check_targets(job: str, found: Sequence[Insert], targets: Sequence[Target], path: str) -> None:
    """One INSERT for each output, into columns it has, and nobody else fills it.

    Raises:
        SpecError: with the output, the statement or the column at fault.
    """
    by_identifier: dict[str, Target] = {}
    for target in targets:
        if target.job != job:
            remedy = (
                f"table {target.name} is filled by {target.job or 'no stream'}; a table has one "
                f"producer: name this job in its spec.stream, or write another table"
            )
            raise SpecError(Reason.TABLE_TAKEN, target.path, target.name, remedy)
        if target.identifier in by_identifier:
            remedy = f"another output is called {target.identifier} as well; name each once"
            raise SpecError(Reason.INVALID, target.path, target.name, remedy)
        if not any(insert.target == target.identifier for insert in found):
            name = _written(target)
            remedy = f"no statement writes it; add INSERT INTO {name} (…) SELECT …;"
            raise SpecError(Reason.INVALID_SQL, target.path, target.name, remedy)
        by_identifier[target.identifier] = target
    written: set[str] = set()
    for insert in found:
        _check_insert(insert, by_identifier.get(insert.target), sorted(by_identifier), path)
        if insert.target in written:
            remedy = f"line {insert.line}: one INSERT per output; combine the queries by UNION ALL"
            raise SpecError(Reason.INVALID_SQL, path, insert.target, remedy)
        written.add(insert.target)


def _written(target: Target) -> str:
    """As the SQL's author writes it: topics in back-ticks."""
    return quote(target.name) if target.path.endswith(".topic") else target.identifier


def _topic(output: Output, path: str, platform: Platform, live: int) -> Topic:
    partitions = output.partitions
    if partitions is not None and partitions < live:
        remedy = (
            f"topic {output.topic} has {live} partitions, which never shrink; say {live} or more"
        )
        raise SpecError(Reason.IMMUTABLE, f"{path}.partitions", partitions, remedy)
    return Topic(
        name=output.topic or "",
        partitions=max(partitions or platform.topic_partitions, live),
        replicas=platform.topic_replicas,
        min_insync_replicas=platform.min_insync_replicas,
        retention=duration(output.retention) if output.retention else platform.topic_retention,
        cleanup=output.cleanup.value,
    )


def _check_insert(insert: Insert, target: Target | None, known: list[str], path: str) -> None:
    line = f"line {insert.line}"
    if target is None:
        remedy = f"{line}: spec.outputs has {', '.join(known)}; write one of these"
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


def _unique(found: Declared, event: Event, path: str) -> tuple[str, ...]:
    fields = [f.name for f in event.fields]
    unknown = next((name for name in found.unique if name not in fields), None)
    if unknown is not None:
        remedy = f"the fields of event {event.name} are {', '.join(fields)}"
        raise SpecError(Reason.UNKNOWN_COLUMN, f"{path}.unique", unknown, remedy)
    return found.unique


def _known(registry: Registry, topic: str) -> tuple[str, ...]:
    names = [e.name for e in (*registry.current, *registry.versions) if e.topic == topic]
    return tuple(dict.fromkeys(names))


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
