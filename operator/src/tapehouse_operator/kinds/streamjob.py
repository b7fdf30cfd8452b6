"""StreamJob: SQL compiled into one Flink job that writes a branch of each of its tables."""

from collections.abc import Mapping

from tapehouse_operator.api.base import ConditionType, DeletionPolicy, Reason, condition, duration
from tapehouse_operator.api.streamjob import StreamJob
from tapehouse_operator.emit import flink, strimzi
from tapehouse_operator.emit.core import Child, ObjectKey
from tapehouse_operator.emit.ddl import sink_ddl
from tapehouse_operator.emit.deadletters import dead_letters
from tapehouse_operator.emit.events import HEADERS
from tapehouse_operator.emit.feed import FeedNames
from tapehouse_operator.emit.health import of_flink_deployment
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
    check_targets,
    inputs_of,
    refuse_unfinished,
    sinks_of,
    statements,
    topic_targets,
    topics_of,
)
from tapehouse_operator.emit.platform import PASSWORD_KEY, KafkaAccess, Platform
from tapehouse_operator.emit.rotation import with_rotation
from tapehouse_operator.emit.tables import published_name, table_name
from tapehouse_operator.kinds.contract import (
    Applied,
    ChildHealth,
    Kind,
    Output,
    Preflight,
    Refs,
    RevisionRef,
    Verdict,
    World,
    config_key,
    resource_key,
)
from tapehouse_operator.kinds.jobflink import (
    flink_job,
    inputs_ddl,
    is_prompt,
    kafka_address,
    parallelism_of,
    topic_access,
)
from tapehouse_operator.kinds.jobhealth import commit_condition, job_health, running_condition
from tapehouse_operator.kinds.jobinputs import (
    accepted_events,
    await_table,
    dead_letter_topic,
    feed_names,
    job_topics,
    records_read,
    referred_sql,
    table_names,
    table_target,
)
from tapehouse_operator.kinds.jobplan import JobPlan, flink_key, kafka_key, user_name
from tapehouse_operator.kinds.jobrevisions import (
    check_start,
    fork_branch,
    recorded_fork,
    running_revision,
    started_configs,
)
from tapehouse_operator.kinds.secrets import rotation_of, secret_key
from tapehouse_operator.kinds.topics import (
    check_claims,
    live_partitions,
    strimzi_row,
    topic_key,
    written_so_far,
)
from tapehouse_operator.names import branch_name, revision_name


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
            kafka_key(settings.get("kafkaCluster", "")),
            secret_key(user_name(resource.metadata.name)),
        }
        for feed in feed_names(spec):
            objects |= {resource_key("TradeFeed", feed), config_key(FeedNames(feed).schema)}
        for table in table_names(spec):
            objects |= {resource_key("LakehouseTable", table), config_key(table_name(table))}
            objects.add(config_key(published_name(table)))
        objects |= {topic_key(topic) for topic in job_topics(spec).values()}
        if spec.sql_from is not None:
            objects.add(config_key(spec.sql_from.config_map_key_ref.name))
        claims = frozenset(topic_key(sink.topic) for sink in sinks_of(spec))
        return Refs(objects=frozenset(objects), claims=claims)

    def resolve(self, resource: StreamJob, world: World) -> StreamJob:
        """With the SQL from its ConfigMap, which is as much of the job as any field."""
        spec = resource.spec
        if spec.sql_from is None:
            return resource
        sql = referred_sql(spec.sql_from.config_map_key_ref, world)
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
        feeds = {feed: accepted_events(feed, spec, world) for feed in feed_names(spec)}
        headers = any(HEADERS in each.words or HEADERS in each.columns for each in found)
        inputs = inputs_of(spec, feeds, records_read(spec, world), headers=headers)
        tables, sinks = table_names(spec), sinks_of(spec)
        check_claims((sink.topic for sink in sinks), world, "spec.outputs")
        targets = [table_target(table, spec, world) for table in tables]
        check_targets(name, found, [*targets, *topic_targets(name, spec)], path)
        for table in tables:
            await_table(table, world)
        kafka = KafkaAccess(kafka_address(platform, world), user_name(name))
        letters = dead_letters(
            name, inputs, {feed: dead_letter_topic(feed, world) for feed in feed_names(spec)}
        )
        program = Program(
            job=name,
            namespace=world.namespace,
            catalog_uri=platform.catalog_uri,
            catalog_prefix=platform.catalog_prefix,
            ddl=(
                *inputs_ddl(inputs, spec, platform, kafka, name),
                *(sink_ddl(sink, kafka.java()) for sink in sinks),
                *(each.ddl(kafka.java()) for each in letters),
            ),
            # These come last: the state of the others is found again by their place.
            inserts=(*found, *(each.insert() for each in letters)),
            topics=frozenset(x.topic for x in sinks) | {x.topic for x in letters},
            partitions={t.identifier: t.partition for t in targets if t.partition},
            state_ttl=duration(spec.state_ttl) if spec.state_ttl else None,
            apart=is_prompt(spec) and parallelism_of(spec, platform) == 1,
        )
        configs = started_configs(world)
        reports = {table: report for table in tables if (report := world.published(table))}
        forks = {number: recorded_fork(config) for number, config in configs.items()}
        return JobPlan(
            name=name,
            spec=spec,
            platform=platform,
            program=program,
            inputs=inputs,
            dead_letters=tuple(each.topic for each in letters),
            topics=topics_of(spec, platform, live_partitions(world), written_so_far(world)),
            stalled=tuple(t for t, report in reports.items() if report.is_stalled),
            forks=forks,
            running=running_revision(name, forks, world),
            published=max((report.revision for report in reports.values()), default=0),
            accepted=frozenset(
                config.annotations.get(ANNOTATION_SQL, "") for config in configs.values()
            ),
            rotation=rotation_of(
                flink_key(name), [(user_name(name), frozenset({PASSWORD_KEY}))], world
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
            check_start(plan)
        return plan.published

    def compile(self, plan: JobPlan, revision: RevisionRef) -> Output:
        """Topics, user, configuration, intent to publish, job: in the order they are needed."""
        name, number = plan.name, revision.number
        config = job_config(
            revision_name(name, number), plan.program, number, fork_branch(plan, number)
        )
        retain = plan.spec.deletion_policy is DeletionPolicy.RETAIN
        cluster = plan.platform.kafka_cluster
        topics = [Child(strimzi.kafka_topic(t, cluster), retain=retain) for t in plan.topics]
        user = strimzi.kafka_user(user_name(name), cluster, topic_access(plan))
        job = flink_job(plan, config["data"][JOB_KEY], number)
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
        user = ObjectKey(strimzi.API_VERSION, "KafkaUser", user_name(plan.name))
        live = applied.children.get(flink_key(plan.name))
        job = of_flink_deployment(live.status, live.generation) if live else None
        conditions = [running_condition(plan, job)]
        if job is not None and job.restorable:
            kind = ConditionType.STATE_RESTORABLE
            conditions.append(condition(kind, True, Reason.RESTORABLE, counts=False))
        if plan.program.outputs:
            conditions.append(commit_condition(plan))
        return Verdict(
            conditions=conditions,
            children=(
                *(strimzi_row(applied, topic_key(topic.name)) for topic in plan.topics),
                strimzi_row(applied, user),
                ChildHealth(flink.KIND, plan.name, *job_health(plan, job)),
            ),
            external={"jobId": job.job_id} if job and job.job_id else {},
            columns={
                "state": job.state if job else "",
                "branch": branch_name(applied.revision),
                "delivery": "AtLeastOnce" if plan.topics else "ExactlyOnce",
            },
        )
