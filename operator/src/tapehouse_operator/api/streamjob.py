"""StreamJob: SQL over feeds and tables, as one Flink job."""

from typing import Annotated, Literal

from pydantic import Field

from tapehouse_operator.api.base import (
    Acknowledgement,
    Change,
    ConditionType,
    ConfigMapSource,
    Model,
    Names,
    PrinterColumn,
    Reason,
    Resource,
    Rule,
    Spec,
    Status,
    Strategy,
    StrategyType,
    Transition,
)
from tapehouse_operator.api.jobparts import (
    Analysis,
    Checkpoint,
    EventTime,
    Input,
    JobResources,
    Output,
    Upgrade,
)
from tapehouse_operator.api.types import Integer, Period, Sql

__all__ = ["Input", "StreamJob", "StreamJobSpec", "StreamJobStatus"]


class StreamJobSpec(Spec):
    """What the SQL reads and writes, the SQL itself, and how the job runs and is released."""

    invariants = (
        Rule(
            "has(self.sql) != has(self.sqlFrom)",
            "exactly one of sql, sqlFrom must be set",
            lambda s: (s.sql is None) != (s.sql_from is None),
        ),
        Rule(
            "self.upgrade != 'stateless' || self.strategy.type != 'BlueGreen' || "
            "(has(self.acknowledge) && 'StateLoss' in self.acknowledge)",
            "a stateless upgrade with BlueGreen loses the job's state; put StateLoss into "
            "spec.acknowledge",
            lambda s: (
                s.upgrade != Upgrade.STATELESS
                or s.strategy.type != StrategyType.BLUE_GREEN
                or Acknowledgement.STATE_LOSS in s.acknowledge
            ),
            field="upgrade",
            reason=Reason.ACKNOWLEDGEMENT_REQUIRED,
        ),
        Rule(
            "!has(self.parallelism) || self.parallelism <= self.maxParallelism",
            "parallelism must not exceed maxParallelism",
            lambda s: (s.parallelism or 0) <= s.max_parallelism,
            field="parallelism",
        ),
    )
    transitions = (
        Transition(
            "self.maxParallelism == oldSelf.maxParallelism",
            "maxParallelism is immutable, since the job's state is divided by it; make a new job "
            "instead",
            lambda old, new: old.max_parallelism == new.max_parallelism,
            field="maxParallelism",
        ),
    )

    inputs: Annotated[tuple[Input, ...], Change.REVISION, Field(min_length=1, max_length=64)]
    """What the SQL reads; the DDL is generated. Beside the event's fields each has `event_time`,
    `ingested_at`, `trace_id`, `kafka_topic`, `kafka_partition`, `kafka_offset`."""
    outputs: Annotated[tuple[Output, ...], Change.REVISION, Field(min_length=1, max_length=64)]
    """What the SQL writes: one INSERT each."""
    sql: Annotated[Sql | None, Change.REVISION] = None
    """`INSERT INTO <output> (columns) SELECT …;` statements, one per output, in Flink SQL. No DDL.
    A new INSERT goes last, so that the others keep their state."""
    sql_from: Annotated[ConfigMapSource | None, Change.REVISION] = None
    """The same from a ConfigMap, for long texts."""
    event_time: Annotated[EventTime, Change.REVISION] = EventTime()
    """What counts as the time of an event, and how late it may be."""
    state_ttl: Annotated[Period | None, Change.REVISION] = None
    """Forget state that nothing has touched for so long, such as the keys of rows already seen:
    the horizon within which duplicates are noticed. Windows are not affected. Default: keep it.
    Example: 15m."""
    parallelism: Annotated[Integer | None, Change.RESTART, Field(ge=1, le=1024)] = None
    """How many parallel tasks, 1 to 1024. Default: `parallelism` of the environment."""
    max_parallelism: Annotated[Integer, Change.REVISION, Field(ge=1, le=32768)] = 128
    """The most `parallelism` can ever be, 1 to 32768. Immutable. Default: 128."""
    checkpoint: Annotated[Checkpoint, Change.RESTART] = Checkpoint()
    """How often the job's state is kept, which is how often tables are committed."""
    upgrade: Annotated[Upgrade, Change.IN_PLACE] = Upgrade.SAVEPOINT
    """What a restarted job begins with: `savepoint` takes one first, `lastState` uses the newest
    checkpoint, `stateless` begins with nothing. Default: savepoint."""
    restore_from: Annotated[str | None, Change.NONE, Field(max_length=2048)] = None
    """Start again from this checkpoint or savepoint, at once and once: a URI. What the job did
    after it is done again. `tapehouse repair` sets it. Default: go on as `upgrade` says."""
    strategy: Annotated[Strategy, Change.NONE] = Strategy()
    """How a new revision replaces the old one."""
    analysis: Annotated[tuple[Analysis, ...], Change.NONE, Field(max_length=16)] = ()
    """BlueGreen: what the candidate's own data must pass before the cut-over. Default: nothing."""
    resources: Annotated[JobResources, Change.RESTART] = JobResources()
    """The sizes of the Flink processes."""


class Colour(Model):
    """One of the two revisions of a job."""

    revision: Annotated[str, Field(max_length=253)] = ""
    """Its ControllerRevision."""
    job_id: Annotated[str, Field(max_length=64)] = ""
    """Its Flink job, 32 hexadecimal digits."""
    savepoint: Annotated[str, Field(max_length=2048)] = ""
    """The checkpoint or savepoint it started from."""
    branch: Annotated[str, Field(max_length=63)] = ""
    """The Iceberg branch it writes. Example: `rev-00012`."""
    watermark: Annotated[str, Field(max_length=64)] = ""
    """How far it had come at the last transition, RFC 3339."""


class ReleaseTransition(Model):
    """A release under way."""

    phase: Annotated[str, Field(max_length=32)] = ""
    """The step: Planned, Checkpointing, Forking, Starting, CatchingUp, Analyzing,
    AwaitingPromotion, CuttingOver, Draining, Stable, Aborting, Stuck."""
    since: Annotated[str, Field(max_length=64)] = ""
    """When the step began, RFC 3339."""
    abort_at: Annotated[str, Field(max_length=64)] = ""
    """When the candidate will be given up, RFC 3339."""


class StreamJobStatus(Status):
    """What the operator saw of a job."""

    state: Annotated[str, Field(max_length=64)] = ""
    """The Flink job's state. Example: RUNNING."""
    branch: Annotated[str, Field(max_length=63)] = ""
    """The Iceberg branch the running revision writes. Example: rev-00001."""
    active: Literal["blue", "green"] | None = None
    """Which of the two revisions readers see."""
    blue: Colour | None = None
    """The one revision."""
    green: Colour | None = None
    """The other revision, during and shortly after a release."""
    transition: ReleaseTransition | None = None
    """The release under way; absent at rest."""
    delivery: Literal["ExactlyOnce", "AtLeastOnce"] | None = None
    """What the outputs get: tables ExactlyOnce, unkeyed topics AtLeastOnce during a release."""


class StreamJob(Resource):
    """A job: SQL that reads feeds, topics and dimensions and writes tables and topics."""

    names = Names("streamjobs", "sj")
    columns = (
        PrinterColumn("STATE", ".status.state", description="State of the Flink job"),
        PrinterColumn("BRANCH", ".status.branch", description="Iceberg branch being written"),
    )
    condition_types = (
        ConditionType.RUNNING,
        ConditionType.CAUGHT_UP,
        ConditionType.STATE_RESTORABLE,
        ConditionType.COMMIT_STALLED,
        ConditionType.ANALYSIS_PASSED,
    )
    status_model = StreamJobStatus

    kind: Literal["StreamJob"] = "StreamJob"
    spec: StreamJobSpec
