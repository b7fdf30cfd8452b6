"""The parts of a job's spec: what it reads and writes, its times, its state, its size."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from tapehouse_operator.api.base import Change, Duration, Model, Reason, Rule
from tapehouse_operator.api.tradefeed import Cleanup
from tapehouse_operator.api.types import (
    EventTypeText,
    Fraction,
    Identifier,
    Integer,
    Name,
    Period,
    Quantity,
    Topic,
)


class Input(Model):
    """Something the SQL reads."""

    keyed_by: ClassVar[tuple[str, ...]] = ("as_",)
    invariants = (
        Rule(
            "has(self.table) ? !has(self.feed) && !has(self.topic) && !has(self.event)"
            " : has(self.event) != has(self.topic)",
            "exactly one of table, topic, or a feed's event must be set",
            lambda i: (
                not (i.feed or i.topic or i.event)
                if i.table is not None
                else (i.event is None) != (i.topic is None)
            ),
        ),
        Rule(
            "!has(self.event) || has(self.feed)",
            "event needs the feed it belongs to",
            lambda i: i.event is None or i.feed is not None,
            field="feed",
        ),
        Rule(
            "!has(self.unique) || has(self.event)",
            "unique is for the events of a feed; name feed and event",
            lambda i: not i.unique or i.event is not None,
            field="unique",
        ),
    )

    as_: Identifier = Field(alias="as")
    """The name the SQL knows it by. Example: `trades`."""
    feed: Name | None = None
    """A TradeFeed in the same namespace, with `event` or `topic`. Example: `market`."""
    event: Annotated[str | None, Field(max_length=128)] = None
    """One event of the feed, its own fields only. Example: `TradeExecuted`."""
    table: Name | None = None
    """A LakehouseTable in the same namespace, read as a small dimension cached from Iceberg.
    Example: `dim-symbol`."""
    topic: Topic | None = None
    """With `feed`: one of its topics, with the union of the fields of all events on it, told
    apart by `event_type`. Without: a topic that another StreamJob writes.
    Example: `raw.orders`, `enriched.trades`."""
    unique: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=8)] = ()
    """With `event`: fields that tell one event from another. Of events that agree in them the
    first to arrive is read and the others are not, as long as `stateTtl` remembers it.
    Default: every event is read. Example: [trade_id]."""


class OutputColumn(Model):
    """One field of an output topic's records."""

    keyed_by: ClassVar[tuple[str, ...]] = ("name",)

    name: Identifier
    """The field's name in the record's JSON. Example: `symbol`."""
    type: EventTypeText
    """Its type in Iceberg's grammar, as in a feed's events. Example: double."""


class Output(Model):
    """Something the SQL writes."""

    invariants = (
        Rule(
            "has(self.table) != has(self.topic)",
            "exactly one of table, topic must be set",
            lambda o: (o.table is None) != (o.topic is None),
        ),
        Rule(
            "has(self.topic) == has(self.columns)",
            "a topic needs its columns; a table has its own",
            lambda o: (o.topic is not None) == bool(o.columns),
            field="columns",
        ),
        Rule(
            "has(self.topic) || "
            "!(has(self.key) || has(self.partitions) || has(self.retention)) "
            "&& self.cleanup == 'delete'",
            "key, cleanup, partitions and retention are for a topic",
            lambda o: (
                o.topic is not None
                or (not (o.key or o.partitions or o.retention) and o.cleanup is Cleanup.DELETE)
            ),
        ),
        Rule(
            "!has(self.key) || !has(self.columns) || "
            "self.key.all(k, self.columns.exists(c, c.name == k))",
            "every part of the key must be one of the columns",
            lambda o: not o.columns or set(o.key) <= {c.name for c in o.columns},
            field="key",
            reason=Reason.UNKNOWN_COLUMN,
        ),
        Rule(
            "self.cleanup == 'delete' || has(self.key)",
            "compacting keeps the newest record of each key; name the key",
            lambda o: o.cleanup is Cleanup.DELETE or bool(o.key),
            field="cleanup",
        ),
    )

    table: Name | None = None
    """A LakehouseTable in the same namespace that names this job as its producer.
    Example: `bronze-trades`."""
    topic: Topic | None = None
    """A Kafka topic, made for this job: one JSON object per record. Example: `enriched.trades`."""
    columns: Annotated[tuple[OutputColumn, ...], Field(min_length=1, max_length=128)] = ()
    """With `topic`: the fields of its records."""
    key: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=8)] = ()
    """With `topic`: the columns that make the record's key, whose records stay in order; one text
    as it is, anything else as JSON. Default: no key. Example: [symbol]."""
    cleanup: Annotated[Cleanup, Change.IN_PLACE] = Cleanup.DELETE
    """With `topic`: `delete` drops old records, `compact` keeps the newest of each key for ever,
    `compact,delete` does both. Default: delete."""
    partitions: Annotated[Integer | None, Change.IN_PLACE, Field(ge=1, le=1000)] = None
    """With `topic`: how many partitions, 1 to 1000; may grow, never shrink.
    Default: `topicPartitions` of the environment."""
    retention: Annotated[Period | None, Change.IN_PLACE] = None
    """With `topic`: how long records are kept. Default: `topicRetention` of the environment.
    Example: 7d."""


class EventTime(Model):
    """What counts as the time of an event."""

    column: Identifier = "event_time"
    """The column that carries the watermark. Default: event_time."""
    lateness: Duration = "5s"
    """How long to wait for events that are late before a window closes. Default: 5s."""
    idle_after: Duration = "30s"
    """A partition silent for that long no longer holds the watermark back. Default: 30s."""
    max_future_skew: Duration | None = None
    """How far the clock of a source may run ahead; later times are capped at `ingested_at` plus
    this. Default: `maxFutureSkew` of the environment."""


class Checkpoint(Model):
    """How often the job's state is kept."""

    interval: Period | None = None
    """A checkpoint, and so a commit to the tables, that often.
    Default: `checkpointInterval` of the environment. Example: 10s."""
    retain: Annotated[Integer, Field(ge=1, le=1000)] = 60
    """How many checkpoints to keep, 1 to 1000. Default: 60."""


class Upgrade(StrEnum):
    """What a restarted job begins with."""

    SAVEPOINT = "savepoint"
    LAST_STATE = "lastState"
    STATELESS = "stateless"


class OverlapDiff(Model):
    """How far the outputs of two revisions may differ."""

    max_difference: Fraction = 0.0
    """The largest share of windows that may differ, 0 to 1. Default: 0."""
    ignore_columns: Annotated[tuple[Identifier, ...], Field(max_length=64)] = ()
    """Columns that may differ, since the change is about them. Default: none."""


class Analysis(Model):
    """What a candidate's own data must pass before the cut-over."""

    invariants = (
        Rule(
            "has(self.suite) != has(self.overlapDiff)",
            "exactly one of suite, overlapDiff must be set",
            lambda a: (a.suite is None) != (a.overlap_diff is None),
        ),
    )

    suite: Name | None = None
    """A QualitySuite to run on the candidate's branch."""
    overlap_diff: OverlapDiff | None = None
    """Compare what both revisions wrote over the time both ran."""


class Machine(Model):
    """The size of one Flink process."""

    cpu: Quantity = "1"
    """Processors. Default: 1. Example: 500m."""
    memory: Quantity = "1Gi"
    """Memory of the whole process. Default: 1Gi."""


class JobResources(Model):
    """The sizes of the job's Flink processes."""

    job_manager: Machine = Machine()
    """The coordinator: one per job."""
    task_manager: Machine = Machine()
    """The workers, each with `taskSlots` slots."""
    task_slots: Annotated[Integer | None, Field(ge=1, le=64)] = None
    """Slots per worker, 1 to 64; workers = parallelism / slots.
    Default: the parallelism, so one worker."""
