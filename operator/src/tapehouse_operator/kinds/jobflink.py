"""The Flink job of a StreamJob's plan: tables, machines and access to topics."""

from datetime import timedelta

from tapehouse_operator.api.base import duration, quantity
from tapehouse_operator.api.jobparts import Machine, Upgrade
from tapehouse_operator.api.streamjob import StreamJobSpec
from tapehouse_operator.emit import flink, strimzi
from tapehouse_operator.emit.ddl import Input, gathering, input_ddl
from tapehouse_operator.emit.jobspec import clock_of, sinks_of
from tapehouse_operator.emit.platform import KafkaAccess, Platform, bootstrap
from tapehouse_operator.kinds.contract import World
from tapehouse_operator.kinds.jobplan import JobPlan, kafka_key, user_name
from tapehouse_operator.names import revision_name

_UPGRADE_MODES = {
    Upgrade.SAVEPOINT: "savepoint",
    Upgrade.LAST_STATE: "last-state",
    Upgrade.STATELESS: "stateless",
}
_MEBIBYTE = 1024**2


def kafka_address(platform: Platform, world: World) -> str:
    """The broker's address, as Kafka reports it."""
    kafka = world.objects.get(kafka_key(platform.kafka_cluster))
    return bootstrap(
        platform.kafka_cluster, kafka.status if kafka else None, platform.kafka_listener
    )


def inputs_ddl(
    inputs: tuple[Input, ...],
    spec: StreamJobSpec,
    platform: Platform,
    kafka: KafkaAccess,
    group: str,
) -> tuple[str, ...]:
    """The tables that the SQL reads, as DDL."""
    clock = clock_of(spec, platform.max_future_skew)
    waiting = {} if is_prompt(spec) else gathering(checkpoint_interval(spec, platform))
    reads = {**kafka.java(), **waiting}
    return tuple(text for found in inputs for text in input_ddl(found, clock, reads, group))


def is_prompt(spec: StreamJobSpec) -> bool:
    """Whether clients wait for its records; rows of tables are read after the next checkpoint."""
    return bool(sinks_of(spec))


def parallelism_of(spec: StreamJobSpec, platform: Platform) -> int:
    """The parallelism declared by the job, or that of the environment."""
    return spec.parallelism or min(platform.parallelism, spec.max_parallelism)


def checkpoint_interval(spec: StreamJobSpec, platform: Platform) -> timedelta:
    """The interval declared by the job, or that of the environment."""
    return duration(spec.checkpoint.interval or platform.checkpoint_interval)


def state_dir(plan: JobPlan) -> str:
    """Where the job keeps checkpoints and savepoints."""
    return f"{plan.platform.state_uri}/{plan.program.namespace}/{plan.name}"


def flink_job(plan: JobPlan, config: str, number: int) -> flink.Job:
    """The job as Flink is to run it."""
    spec, platform = plan.spec, plan.platform
    parallelism = parallelism_of(spec, platform)
    return flink.Job(
        name=plan.name,
        image=platform.image_streams,
        flink_version=platform.flink_version,
        state_dir=state_dir(plan),
        parallelism=parallelism,
        max_parallelism=spec.max_parallelism,
        task_slots=spec.resources.task_slots or parallelism,
        checkpoint_interval=checkpoint_interval(spec, platform),
        checkpoints_retained=spec.checkpoint.retain,
        upgrade_mode=_UPGRADE_MODES[spec.upgrade],
        suspended=spec.suspend,
        restore_from=spec.restore_from or "",
        job_manager=_machine(spec.resources.job_manager),
        task_manager=_machine(spec.resources.task_manager),
        password_secret=user_name(plan.name),
        config_map=revision_name(plan.name, number),
        config=config,
        revision=number,
        prompt=is_prompt(spec),
    )


def _machine(machine: Machine) -> flink.Machine:
    return flink.Machine(
        cpu=float(quantity(machine.cpu)),
        memory=f"{int(quantity(machine.memory)) // _MEBIBYTE}m",
    )


def topic_access(plan: JobPlan) -> list[strimzi.Grant]:
    """What the KafkaUser of the job may do."""
    return [
        *strimzi.reads(*dict.fromkeys(each.topic for each in plan.inputs)),
        *strimzi.writes(*(topic.name for topic in plan.topics), *plan.dead_letters),
        strimzi.group(plan.name),
    ]
