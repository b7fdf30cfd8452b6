"""StreamJob: SQL compiled into one Flink job that writes a branch of each of its tables."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tapehouse_operator.api.base import (
    Acknowledgement,
    Condition,
    ConditionType,
    DeletionPolicy,
    KeyRef,
    Reason,
    condition,
    duration,
    quantity,
)
from tapehouse_operator.api.jobparts import Machine, Upgrade
from tapehouse_operator.api.streamjob import StreamJob, StreamJobSpec
from tapehouse_operator.emit import flink, strimzi
from tapehouse_operator.emit.core import Child, ObjectKey
from tapehouse_operator.emit.ddl import Input, gathering, input_ddl, sink_ddl
from tapehouse_operator.emit.deadletters import dead_letters
from tapehouse_operator.emit.events import HEADERS, Event, Registry
from tapehouse_operator.emit.feed import FeedNames
from tapehouse_operator.emit.health import JobHealth, of_flink_deployment
from tapehouse_operator.emit.job import (
    ANNOTATION_SQL,
    JOB_KEY,
    Program,
    check_config,
    check_pod,
    job_config,
    publish_config,
)
from tapehouse_operator.emit.jobspec import (
    Target,
    check_targets,
    clock_of,
    inputs_of,
    refuse_unfinished,
    sinks_of,
    statements,
    topic_targets,
    topics_of,
)
from tapehouse_operator.emit.platform import PASSWORD_KEY, KafkaAccess, Platform, bootstrap
from tapehouse_operator.emit.rotation import Rotation, with_rotation
from tapehouse_operator.emit.tables import (
    STALLED,
    TABLE_KEY,
    published_name,
    table_name,
)
from tapehouse_operator.errors import NotReady, SpecError
from tapehouse_operator.kinds.contract import (
    Applied,
    ChildHealth,
    Kind,
    Observed,
    Output,
    Preflight,
    Refs,
    RevisionRef,
    Verdict,
    World,
)
from tapehouse_operator.kinds.elsewhere import published, text_at
from tapehouse_operator.kinds.secrets import rotation_of, secret_key
from tapehouse_operator.kinds.topics import (
    check_claims,
    live_partitions,
    strimzi_row,
    topic_key,
    written_by_a_job,
    written_so_far,
)
from tapehouse_operator.names import API_VERSION, LABEL_REVISION, branch_name, revision_name

_UPGRADE_MODES = {
    Upgrade.SAVEPOINT: "savepoint",
    Upgrade.LAST_STATE: "last-state",
    Upgrade.STATELESS: "stateless",
}
_MEBIBYTE = 1024**2


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A job whose inputs and outputs exist and whose statements have been read."""

    name: str
    spec: StreamJobSpec
    platform: Platform
    program: Program
    inputs: tuple[Input, ...]
    dead_letters: tuple[str, ...]
    """Where it puts records that it cannot read: topics of the feeds."""
    topics: tuple[strimzi.Topic, ...]
    """What it writes besides tables."""
    stalled: tuple[str, ...]
    """The tables it no longer commits to, as the publisher sees it."""
    forks: Mapping[int, str | None]
    """By revision that has been started: the branch it forked from."""
    running: int | None
    """The revision whose branch holds the newest data."""
    published: int
    """The newest revision of which its tables have a branch, perhaps that of a former job."""
    accepted: frozenset[str]
    """Digests of the SQL of started revisions."""
    rotation: Rotation
    """Of the password it started with."""


class StreamJobKind(Kind[StreamJob, JobPlan]):
    """See `contract.Kind`."""

    model = StreamJob
    owned = (
        (strimzi.API_VERSION, "KafkaTopic"),
        (strimzi.API_VERSION, "KafkaUser"),
        ("v1", "ConfigMap"),
        ("v1", "Pod"),
        (flink.API_VERSION, flink.KIND),
    )

    def refs(self, resource: StreamJob, settings: Mapping[str, str]) -> Refs:
        """Kafka, feeds and tables with their accepted schemas, topics, the SQL if elsewhere."""
        spec = resource.spec
        objects = {
            _kafka_key(settings.get("kafkaCluster", "")),
            secret_key(_user_name(resource.metadata.name)),
        }
        for feed in _feeds(spec):
            objects |= {_resource_key("TradeFeed", feed), _config_key(FeedNames(feed).schema)}
        for table in _tables(spec):
            objects |= {_resource_key("LakehouseTable", table), _config_key(table_name(table))}
            objects.add(_config_key(published_name(table)))
        objects |= {topic_key(topic) for topic in _records(spec).values()}
        if spec.sql_from is not None:
            objects.add(_config_key(spec.sql_from.config_map_key_ref.name))
        claims = frozenset(topic_key(sink.topic) for sink in sinks_of(spec))
        return Refs(objects=frozenset(objects), claims=claims)

    def resolve(self, resource: StreamJob, world: World) -> StreamJob:
        """With the SQL from its ConfigMap, which is as much of the job as any field."""
        spec = resource.spec
        if spec.sql_from is None:
            return resource
        sql = _referred(spec.sql_from.config_map_key_ref, world)
        statements(sql, "spec.sqlFrom")
        inline = spec.model_copy(update={"sql": sql, "sql_from": None})
        return resource.model_copy(update={"spec": inline})

    def validate(self, resource: StreamJob, world: World) -> JobPlan:
        """Refuse SQL that cannot be a job; wait for tables that are not in sync yet."""
        platform = Platform.of(world.settings)
        spec, name = resource.spec, resource.metadata.name
        refuse_unfinished(spec)
        path = "spec.sql"
        found = statements(spec.sql or "", path)
        feeds = {feed: _registry(feed, spec, world) for feed in _feeds(spec)}
        headers = any(HEADERS in each.words or HEADERS in each.columns for each in found)
        inputs = inputs_of(spec, feeds, _written(spec, world), headers=headers)
        tables, sinks = _tables(spec), sinks_of(spec)
        check_claims((sink.topic for sink in sinks), world, "spec.outputs")
        targets = [_target(table, spec, world) for table in tables]
        check_targets(name, found, [*targets, *topic_targets(name, spec)], path)
        for table in tables:
            _await_table(table, world)
        kafka = KafkaAccess(_bootstrap(platform, world), _user_name(name))
        letters = dead_letters(name, inputs, {feed: _dead(feed, world) for feed in _feeds(spec)})
        program = Program(
            job=name,
            namespace=world.namespace,
            catalog_uri=platform.catalog_uri,
            catalog_prefix=platform.catalog_prefix,
            ddl=(
                *_ddl(inputs, spec, platform, kafka, name),
                *(sink_ddl(sink, kafka.java()) for sink in sinks),
                *(each.ddl(kafka.java()) for each in letters),
            ),
            # These come last: the state of the others is found again by their place.
            inserts=(*found, *(each.insert() for each in letters)),
            topics=frozenset(x.topic for x in sinks) | {x.topic for x in letters},
            partitions={t.identifier: t.partition for t in targets if t.partition},
            state_ttl=duration(spec.state_ttl) if spec.state_ttl else None,
            apart=_is_prompt(spec) and _parallelism(spec, platform) == 1,
        )
        configs = _started(world)
        forks = {number: _fork(config) for number, config in configs.items()}
        return JobPlan(
            name=name,
            spec=spec,
            platform=platform,
            program=program,
            inputs=inputs,
            dead_letters=tuple(each.topic for each in letters),
            topics=topics_of(spec, platform, live_partitions(world), written_so_far(world)),
            stalled=tuple(table for table in tables if _is_stalled(table, world)),
            forks=forks,
            running=_running(name, forks, world),
            published=max((_published(table, world) for table in tables), default=0),
            accepted=frozenset(
                config.annotations.get(ANNOTATION_SQL, "") for config in configs.values()
            ),
            rotation=rotation_of(
                _flink_key(name), [(_user_name(name), frozenset({PASSWORD_KEY}))], world
            ),
        )

    def preflight(self, plan: JobPlan) -> Preflight | None:
        """Flink plans every statement, unless these very ones run already."""
        if plan.program.sql_digest in plan.accepted:
            return None
        pod = check_pod(plan.program, plan.platform.image_streams)
        return Preflight(Child(pod), needs=(Child(check_config(plan.program)),))

    def reserved_revision(self, plan: JobPlan, *, first: bool) -> int:
        """Branches stay with their tables when a job goes, and so does what it had read."""
        if first and plan.published:
            _check_start(plan)
        return plan.published

    def compile(self, plan: JobPlan, revision: RevisionRef) -> Output:
        """Topics, user, configuration, intent to publish, job: in the order they are needed."""
        name, number = plan.name, revision.number
        config = job_config(
            revision_name(name, number), plan.program, number, _fork_from(plan, number)
        )
        retain = plan.spec.deletion_policy is DeletionPolicy.RETAIN
        cluster = plan.platform.kafka_cluster
        topics = [Child(strimzi.kafka_topic(t, cluster), retain=retain) for t in plan.topics]
        user = strimzi.kafka_user(_user_name(name), cluster, _grants(plan))
        job = _job(plan, config["data"][JOB_KEY], number)
        publish = publish_config(
            f"{name}-publish",
            plan.program,
            number,
            flink.checkpoints_dir(job.state_dir),
            job.checkpoint_interval,
        )
        return Output(
            children=(
                *topics,
                Child(user),
                Child(config),
                *([Child(publish)] if plan.program.outputs else ()),
                Child(with_rotation(flink.flink_deployment(job), "podTemplate", plan.rotation)),
            )
        )

    def judge(self, plan: JobPlan, applied: Applied) -> Verdict:
        """The job as the Flink operator tells it."""
        user = ObjectKey(strimzi.API_VERSION, "KafkaUser", _user_name(plan.name))
        live = applied.children.get(_flink_key(plan.name))
        job = of_flink_deployment(live.status, live.generation) if live else None
        conditions = [_running_condition(job)]
        if job is not None and job.restorable:
            kind = ConditionType.STATE_RESTORABLE
            conditions.append(condition(kind, True, Reason.RESTORABLE, counts=False))
        if plan.program.outputs:
            conditions.append(_commit_condition(plan))
        return Verdict(
            conditions=conditions,
            children=(
                *(strimzi_row(applied, topic_key(topic.name)) for topic in plan.topics),
                strimzi_row(applied, user),
                ChildHealth(flink.KIND, plan.name, *_health(plan, job)),
            ),
            external={"jobId": job.job_id} if job and job.job_id else {},
            columns={
                "state": job.state if job else "",
                "branch": branch_name(applied.revision),
                "delivery": "AtLeastOnce" if plan.topics else "ExactlyOnce",
            },
        )


# -- what the job names ------------------------------------------------------------------------


def _feeds(spec: StreamJobSpec) -> list[str]:
    return list(dict.fromkeys(i.feed for i in spec.inputs if i.feed))


def _records(spec: StreamJobSpec) -> dict[str, str]:
    """The topics of other jobs, by the fields that name them."""
    return {
        f"spec.inputs[{place}].topic": each.topic
        for place, each in enumerate(spec.inputs)
        if each.topic is not None and each.feed is None
    }


def _written(spec: StreamJobSpec, world: World) -> dict[str, Event]:
    """What other jobs write to the topics that are read."""
    own = {output.topic for output in spec.outputs}
    for path, topic in _records(spec).items():
        if topic in own:
            remedy = "the job writes it itself; read another topic, or write another"
            raise SpecError(Reason.INVALID, path, topic, remedy)
    return {topic: written_by_a_job(topic, path, world) for path, topic in _records(spec).items()}


def _tables(spec: StreamJobSpec) -> list[str]:
    return [output.table for output in spec.outputs if output.table]


def _referred(ref: KeyRef, world: World) -> str:
    """The SQL that is kept in a ConfigMap."""
    config = world.objects.get(_config_key(ref.name))
    text = config.data.get(ref.key) if config else None
    if not text:
        remedy = f"ConfigMap {ref.name} has no key {ref.key}; add it"
        raise SpecError(Reason.REFERENCE_NOT_FOUND, "spec.sqlFrom", f"{ref.name}/{ref.key}", remedy)
    return str(text)


def _registry(feed: str, spec: StreamJobSpec, world: World) -> Registry:
    if _resource_key("TradeFeed", feed) not in world.objects:
        place = next(n for n, i in enumerate(spec.inputs) if i.feed == feed)
        remedy = f"no TradeFeed {feed} in namespace {world.namespace}; apply it, or name another"
        raise SpecError(Reason.FEED_NOT_FOUND, f"spec.inputs[{place}].feed", feed, remedy)
    config = world.objects.get(_config_key(FeedNames(feed).schema))
    registry = Registry.read(config.data if config else {})
    if not registry.current:
        raise NotReady(Reason.FEED_NOT_READY, f"TradeFeed {feed} has not been accepted yet")
    return registry


def _dead(feed: str, world: World) -> str:
    """The feed's dead-letter topic."""
    spec = world.objects[_resource_key("TradeFeed", feed)].data
    return text_at(spec, "deadLetter", "topic") or FeedNames(feed).dead_letters


def _target(table: str, spec: StreamJobSpec, world: World) -> Target:
    place = next(n for n, o in enumerate(spec.outputs) if o.table == table)
    path = f"spec.outputs[{place}].table"
    if _resource_key("LakehouseTable", table) not in world.objects:
        remedy = (
            f"no LakehouseTable {table} in namespace {world.namespace}; apply it, or name another"
        )
        raise SpecError(Reason.TABLE_NOT_FOUND, path, table, remedy)
    config = world.objects.get(_config_key(table_name(table)))
    text = config.data.get(TABLE_KEY) if config else None
    if not text:
        raise NotReady(Reason.TABLE_NOT_READY, f"LakehouseTable {table} has not been accepted yet")
    accepted = json.loads(text)
    return Target(
        path=path,
        name=table,
        identifier=accepted["identifier"],
        job=accepted["producer"].get("job", ""),
        columns={column["name"]: column["required"] for column in accepted["columns"]},
        partition=tuple(accepted["partition"]),
    )


def _is_stalled(table: str, world: World) -> bool:
    return _told(table, world).get("reason") == STALLED


def _published(table: str, world: World) -> int:
    return int(_told(table, world).get("revision", 0))


def _told(table: str, world: World) -> Mapping[str, Any]:
    """What the publisher tells of a table."""
    return published(world.objects.get(_config_key(published_name(table))))


def _await_table(table: str, world: World) -> None:
    """Expand the table, then restart the job: it plans against what the catalog has."""
    live = world.objects[_resource_key("LakehouseTable", table)]
    conditions = live.status.get("conditions") or ()
    in_sync = any(
        c.get("type") == ConditionType.SCHEMA_IN_SYNC and c.get("status") == "True"
        for c in conditions
    )
    if not in_sync or live.status.get("observedGeneration", 0) < live.generation:
        raise NotReady(
            Reason.TABLE_NOT_READY, f"LakehouseTable {table} is not in sync with the catalog yet"
        )


def _bootstrap(platform: Platform, world: World) -> str:
    kafka = world.objects.get(_kafka_key(platform.kafka_cluster))
    return bootstrap(
        platform.kafka_cluster, kafka.status if kafka else None, platform.kafka_listener
    )


def _ddl(
    inputs: tuple[Input, ...],
    spec: StreamJobSpec,
    platform: Platform,
    kafka: KafkaAccess,
    group: str,
) -> tuple[str, ...]:
    clock = clock_of(spec, platform.max_future_skew)
    waiting = {} if _is_prompt(spec) else gathering(_interval(spec, platform))
    reads = {**kafka.java(), **waiting}
    return tuple(text for found in inputs for text in input_ddl(found, clock, reads, group))


def _is_prompt(spec: StreamJobSpec) -> bool:
    """Whether somebody waits for its records; those in tables are seen with the next checkpoint."""
    return bool(sinks_of(spec))


def _parallelism(spec: StreamJobSpec, platform: Platform) -> int:
    return spec.parallelism or min(platform.parallelism, spec.max_parallelism)


def _interval(spec: StreamJobSpec, platform: Platform) -> timedelta:
    return duration(spec.checkpoint.interval or platform.checkpoint_interval)


# -- revisions and their branches --------------------------------------------------------------


def _check_start(plan: JobPlan) -> None:
    """Nothing is read twice into tables that hold it already, unless the author agrees."""
    spec = plan.spec
    if spec.restore_from is None and Acknowledgement.STATE_LOSS not in spec.acknowledge:
        remedy = (
            f"its tables hold what a former job wrote, up to revision {plan.published}; name the "
            f"savepoint it left in {_state_dir(plan)}/savepoints to go on from there, or put "
            "StateLoss into spec.acknowledge to read all topics again: what is still in them "
            "comes twice"
        )
        raise SpecError(Reason.ACKNOWLEDGEMENT_REQUIRED, "spec.restoreFrom", None, remedy)


def _started(world: World) -> dict[int, Observed]:
    """The job's ConfigMaps by revision."""
    return {
        int(live.labels[LABEL_REVISION]): live
        for key, live in world.children.items()
        if key.kind == "ConfigMap" and LABEL_REVISION in live.labels and JOB_KEY in live.data
    }


def _fork(config: Observed) -> str | None:
    forked: str | None = json.loads(config.data[JOB_KEY]).get("forkFrom")
    return forked


def _running(name: str, forks: Mapping[int, str | None], world: World) -> int | None:
    live = world.children.get(_flink_key(name))
    number = int(live.labels.get(LABEL_REVISION, 0)) if live else 0
    return number if number in forks else None


def _fork_from(plan: JobPlan, number: int) -> str | None:
    """Once written it stays, or the job would restart for a change that is none."""
    if number in plan.forks:
        return plan.forks[number]
    newest = plan.running if plan.running is not None else plan.published
    return branch_name(newest) if 0 < newest < number else None


def _state_dir(plan: JobPlan) -> str:
    return f"{plan.platform.state_uri}/{plan.program.namespace}/{plan.name}"


def _job(plan: JobPlan, config: str, number: int) -> flink.Job:
    spec, platform = plan.spec, plan.platform
    parallelism = _parallelism(spec, platform)
    return flink.Job(
        name=plan.name,
        image=platform.image_streams,
        flink_version=platform.flink_version,
        state_dir=_state_dir(plan),
        parallelism=parallelism,
        max_parallelism=spec.max_parallelism,
        task_slots=spec.resources.task_slots or parallelism,
        checkpoint_interval=_interval(spec, platform),
        checkpoints_retained=spec.checkpoint.retain,
        upgrade_mode=_UPGRADE_MODES[spec.upgrade],
        suspended=spec.suspend,
        restore_from=spec.restore_from or "",
        job_manager=_machine(spec.resources.job_manager),
        task_manager=_machine(spec.resources.task_manager),
        password_secret=_user_name(plan.name),
        config_map=revision_name(plan.name, number),
        config=config,
        revision=number,
        prompt=_is_prompt(spec),
    )


def _machine(machine: Machine) -> flink.Machine:
    return flink.Machine(
        cpu=float(quantity(machine.cpu)),
        memory=f"{int(quantity(machine.memory)) // _MEBIBYTE}m",
    )


# -- judging -----------------------------------------------------------------------------------


def _grants(plan: JobPlan) -> list[strimzi.Grant]:
    return [
        *strimzi.reads(*dict.fromkeys(each.topic for each in plan.inputs)),
        *strimzi.writes(*(topic.name for topic in plan.topics), *plan.dead_letters),
        strimzi.group(plan.name),
    ]


def _running_condition(job: JobHealth | None) -> Condition:
    if job is None:
        return condition(ConditionType.RUNNING, False, Reason.STARTING, "not there yet")
    if job.running:
        return condition(ConditionType.RUNNING, True, Reason.RUNNING)
    if job.failed:
        return condition(ConditionType.RUNNING, False, Reason.JOB_FAILED, job.reason)
    why = Reason.UPGRADING if job.upgrading else Reason.STARTING
    return condition(ConditionType.RUNNING, False, why, job.reason)


def _health(plan: JobPlan, job: JobHealth | None) -> tuple[bool, str]:
    """Whether the job runs and does its work; if not, why."""
    if job is None or not job.running:
        return False, job.reason if job else ""
    return (False, f"{Reason.COMMIT_STALLED}: {_stall(plan)}") if plan.stalled else (True, "")


def _commit_condition(plan: JobPlan) -> Condition:
    kind = ConditionType.COMMIT_STALLED
    if not plan.stalled:
        return condition(kind, False, Reason.COMMITTING)
    return condition(kind, True, Reason.COMMIT_STALLED, _stall(plan))


def _stall(plan: JobPlan) -> str:
    return (
        f"checkpoints complete, but are not committed to {', '.join(plan.stalled)}; "
        f"run: tapehouse repair streamjob/{plan.name}"
    )


def _user_name(job: str) -> str:
    return f"{job}-job"


def _kafka_key(cluster: str) -> ObjectKey:
    return ObjectKey(strimzi.API_VERSION, "Kafka", cluster)


def _flink_key(job: str) -> ObjectKey:
    return ObjectKey(flink.API_VERSION, flink.KIND, job)


def _config_key(name: str) -> ObjectKey:
    return ObjectKey("v1", "ConfigMap", name)


def _resource_key(kind: str, name: str) -> ObjectKey:
    return ObjectKey(API_VERSION, kind, name)
