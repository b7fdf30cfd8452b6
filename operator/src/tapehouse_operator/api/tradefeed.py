"""TradeFeed: where events come from, what they look like, what to do with bad ones."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tapehouse_operator.api.base import (
    Acknowledgement,
    Change,
    ConditionType,
    Model,
    Names,
    PrinterColumn,
    Reason,
    Resource,
    Rule,
    Spec,
    Status,
    Transition,
)
from tapehouse_operator.api.events import Event, EventName, FrameMapping
from tapehouse_operator.api.sources import Source
from tapehouse_operator.api.types import (
    Boolean,
    Integer,
    Period,
    Quantity,
    Size,
    Timezone,
    Topic,
)


class Cleanup(StrEnum):
    """What Kafka does with old records."""

    DELETE = "delete"
    COMPACT = "compact"
    COMPACT_DELETE = "compact,delete"


class FeedTopic(Model):
    """The topic of one kind of event."""

    keyed_by: ClassVar[tuple[str, ...]] = ("event",)
    transitions = (
        Transition(
            "self.name == oldSelf.name",
            "a topic's name is immutable; declare a new feed and move its readers instead",
            lambda old, new: old.name == new.name,
            field="name",
        ),
        Transition(
            "!has(self.partitions) || !has(oldSelf.partitions) || "
            "self.partitions >= oldSelf.partitions",
            "partitions never shrink, since Kafka would have to drop records",
            lambda old, new: (new.partitions or old.partitions or 0) >= (old.partitions or 0),
            field="partitions",
        ),
    )

    event: EventName
    """The kind of event that goes there. Several kinds may share a topic."""
    name: Topic
    """The Kafka topic. Example: `raw.trades`."""
    partitions: Annotated[Integer | None, Change.IN_PLACE, Field(ge=1, le=1000)] = None
    """How many partitions, 1 to 1000; may grow, never shrink.
    Default: `topicPartitions` of the environment."""
    replicas: Annotated[Integer | None, Change.IN_PLACE, Field(ge=1, le=10)] = None
    """How many copies, 1 to 10. Default: `topicReplicas` of the environment."""
    retention: Annotated[Period | None, Change.IN_PLACE] = None
    """How long records are kept. Default: `topicRetention` of the environment. Example: 7d."""
    cleanup: Annotated[Cleanup, Change.IN_PLACE] = Cleanup.DELETE
    """`delete` drops old records, `compact` keeps the newest of each key. Default: delete."""


class Compatibility(StrEnum):
    """What a new version of an event must be able to do."""

    BACKWARD = "BACKWARD"
    FORWARD = "FORWARD"
    FULL = "FULL"
    NONE = "NONE"


def keeps(old: Compatibility, new: Compatibility) -> bool:
    """Whether `new` promises at least what `old` did."""
    return old == new or new == Compatibility.FULL or old == Compatibility.NONE


class Schema(Model):
    """How the events may change."""

    compatibility: Compatibility = Compatibility.BACKWARD
    """`BACKWARD`: new readers understand old events; `FORWARD`: old readers understand new ones;
    `FULL`: both; `NONE`: anything goes. Weaker only with the acknowledgement
    `WeakerCompatibility`. Default: BACKWARD."""


class Scope(StrEnum):
    """What a sequence number counts."""

    FEED = "Feed"
    KEY = "Key"


class Continuity(Model):
    """How missing events are noticed and fetched."""

    sequence_field: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=256)
    ] = "sequence"
    """The field of the frame that counts; of mapped frames a dotted path, as in a mapping.
    Default: sequence. Example: `data.t`."""
    scope: Scope | None = None
    """What it counts: the events of the whole `Feed`, or those of each `Key`, such as a symbol.
    Default: Key where frames are mapped, else Feed."""
    max_gap: Annotated[Integer, Field(ge=0, le=1_000_000_000)] | None = None
    """A gap of more numbers than this makes the feed Degraded. Default: none does; `Continuous`
    tells of every gap in any case."""
    backfill: Boolean = False
    """Ask the source for what is missing, where it can give it. Default: false."""


class Day(StrEnum):
    """A day of the week."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length=5)]
Date = Annotated[str, Field(pattern=r"^[0-9]{4}-[01][0-9]-[0-3][0-9]$", max_length=10)]
WORKDAYS = (Day.MON, Day.TUE, Day.WED, Day.THU, Day.FRI)


class Hours(Model):
    """When a market is open."""

    days: Annotated[tuple[Day, ...], Field(min_length=1, max_length=7)] = WORKDAYS
    """On which days. Default: Mon to Fri."""
    open: TimeOfDay
    """From when, in the session's time zone. Example: `09:30`."""
    close: TimeOfDay
    """Until when; at or before `open` it is the next day's. Example: `16:00`."""


class Session(Model):
    """When silence is normal."""

    calendar: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$", max_length=32)] = "always"
    """The trading hours of a market by its identifier code, or `always`; without its holidays,
    which `holidays` names. Default: always. Example: XNYS."""
    timezone: Timezone | None = None
    """The time zone of hours and holidays. Default: the calendar's. Example: America/New_York."""
    hours: Annotated[tuple[Hours, ...], Field(max_length=16)] = ()
    """When the market is open, instead of the calendar's hours. Default: the calendar's."""
    holidays: Annotated[tuple[Date, ...], Field(max_length=256)] = ()
    """Days on which it stays closed. Default: none. Example: [2026-12-25]."""
    silence: Period | None = None
    """How long an open market may say nothing before the feed is `FeedSilent`. Closed hours and
    halts of everything that trades do not count. Default: as long as it likes. Example: 1m."""
    halt: EventName = "TradingHalt"
    """The event after which its key does not trade. Default: TradingHalt."""
    resume: EventName = "TradingResume"
    """The event after which it trades again. Default: TradingResume."""


class Spill(Model):
    """Where frames wait while Kafka takes none, for sources that cannot wait."""

    size: Size
    """How much disk they may take; when it is full, nothing more is read. Example: 4Gi."""


class DeadLetter(Model):
    """Where frames go that cannot be taken."""

    topic: Topic | None = None
    """The Kafka topic. Default: `<feed>.dead-letters`."""
    retention: Annotated[Period | None, Change.IN_PLACE] = None
    """How long they are kept. Default: `deadLetterRetention` of the environment."""


class Amounts(Model):
    """Processor and memory, as Kubernetes quantities."""

    cpu: Quantity | None = None
    """Processors. Example: 500m, 2."""
    memory: Quantity | None = None
    """Memory. Example: 256Mi, 2Gi."""


class Resources(Model):
    """What a container asks for and may use."""

    requests: Amounts = Amounts()
    """What is set aside for it. Default: none."""
    limits: Amounts = Amounts()
    """What it may use at most. Default: no limit."""


class TradeFeedSpec(Spec):
    """Where events come from, what they look like, where they go, and what bad ones come to."""

    invariants = (
        Rule(
            "has(self.preset) != has(self.events)",
            "exactly one of preset, events must be set",
            lambda s: (s.preset is None) == bool(s.events),
        ),
        Rule(
            "!has(self.events) || !has(self.topics) || "
            "self.topics.all(t, self.events.exists(e, e.name == t.event))",
            "every topic must be for an event that the feed declares",
            lambda s: not s.events or {t.event for t in s.topics} <= {e.name for e in s.events},
            field="topics",
            reason=Reason.UNKNOWN_EVENT,
        ),
    )
    transitions = (
        Transition(
            "self.schema.compatibility == oldSelf.schema.compatibility || "
            "self.schema.compatibility == 'FULL' || oldSelf.schema.compatibility == 'NONE' || "
            "(has(self.acknowledge) && 'WeakerCompatibility' in self.acknowledge)",
            "the schema's compatibility gets weaker; put WeakerCompatibility into spec.acknowledge",
            lambda old, new: (
                keeps(old.schema_.compatibility, new.schema_.compatibility)
                or Acknowledgement.WEAKER_COMPATIBILITY in new.acknowledge
            ),
            field="schema",
            reason=Reason.ACKNOWLEDGEMENT_REQUIRED,
        ),
    )

    source: Annotated[Source, Change.RESTART]
    """Where events come from: exactly one of `simulator`, `websocket`, `files`, `postgres`,
    `http`."""
    mapping: Annotated[tuple[FrameMapping, ...], Change.RESTART, Field(max_length=32)] = ()
    """How foreign frames become events; the first that matches is taken. Default: frames are
    `{"event_type": …, "data": {…}}`."""
    preset: Annotated[
        str | None, Change.RESTART, Field(pattern=r"^[a-z]+/v[0-9]+$", max_length=64)
    ] = None
    """Events that are shipped with Tapehouse, instead of `events`. Example: `market/v1`."""
    events: Annotated[tuple[Event, ...], Change.RESTART, Field(min_length=1, max_length=32)] = ()
    """What the events look like, instead of `preset`."""
    topics: Annotated[tuple[FeedTopic, ...], Change.RESTART, Field(max_length=32)] = ()
    """The Kafka topic of each kind of event. Default: the preset's own, or `<feed>.<event>` in
    lower case."""
    schema_: Annotated[Schema, Change.IN_PLACE] = Field(Schema(), alias="schema")
    """How the events may change from one version of this spec to the next."""
    continuity: Annotated[Continuity, Change.RESTART] = Continuity()
    """How missing events are noticed and fetched."""
    session: Annotated[Session, Change.RESTART] = Session()
    """When silence is normal: the market's calendar. Default: always, so nothing is watched."""
    spill: Annotated[Spill | None, Change.RESTART] = None
    """Let frames wait on disk while Kafka takes none. Default: nothing is read meanwhile, and the
    source waits."""
    dead_letter: Annotated[DeadLetter, Change.RESTART] = DeadLetter()
    """Where frames go that cannot be taken, with their bytes, the reason and the origin."""
    replicas: Annotated[Integer, Change.IN_PLACE, Field(ge=1, le=32)] = 1
    """How many ingest Pods, 1 to 32. Default: 1."""
    resources: Annotated[Resources, Change.RESTART] = Resources()
    """What the ingest container asks for and may use."""


class TradeFeedStatus(Status):
    """What the operator saw of a feed."""

    source: Annotated[str, Field(max_length=64)] = ""
    """The type of the source that is set."""
    topics: Annotated[str, Field(max_length=32)] = ""
    """How many topics are ready, of how many. Example: 8/8."""
    open_gaps: Annotated[Integer, Field(ge=0)] = 0
    """How many gaps in the sequence are not filled."""


class TradeFeed(Resource):
    """A feed of events: their source, their shape, their topics, what to do with bad ones."""

    names = Names("tradefeeds", "tf")
    columns = (
        PrinterColumn("SOURCE", ".status.source", description="Where events come from"),
        PrinterColumn("TOPICS", ".status.topics", description="Topics ready, of all"),
    )
    condition_types = (
        ConditionType.TOPICS_READY,
        ConditionType.SCHEMA_COMPATIBLE,
        ConditionType.CONNECTED,
        ConditionType.CONTINUOUS,
        ConditionType.DELIVERING,
    )
    status_model = TradeFeedStatus

    kind: Literal["TradeFeed"] = "TradeFeed"
    spec: TradeFeedSpec
