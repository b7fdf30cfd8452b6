"""What a StreamJob names: feeds, topics, tables and the ConfigMap with its SQL."""

from tapehouse_operator.api.base import ConditionType, KeyRef, Reason
from tapehouse_operator.api.streamjob import StreamJobSpec
from tapehouse_operator.emit.events import Event, Registry
from tapehouse_operator.emit.feed import FeedNames
from tapehouse_operator.emit.jobspec import Target
from tapehouse_operator.errors import NotReady, SpecError
from tapehouse_operator.kinds.contract import World, resource_key
from tapehouse_operator.kinds.elsewhere import text_at
from tapehouse_operator.kinds.topics import written_by_a_job


def feed_names(spec: StreamJobSpec) -> list[str]:
    """The feeds it reads, each once."""
    return list(dict.fromkeys(i.feed for i in spec.inputs if i.feed))


def job_topics(spec: StreamJobSpec) -> dict[str, str]:
    """The topics of other jobs, by the fields that name them."""
    return {
        f"spec.inputs[{index}].topic": each.topic
        for index, each in enumerate(spec.inputs)
        if each.topic is not None and each.feed is None
    }


def records_read(spec: StreamJobSpec, world: World) -> dict[str, Event]:
    """What other jobs write to the topics that are read."""
    own = {output.topic for output in spec.outputs}
    for path, topic in job_topics(spec).items():
        if topic in own:
            remedy = "the job writes it itself; read another topic, or write another"
            raise SpecError(Reason.INVALID, path, topic, remedy)
    return {topic: written_by_a_job(topic, path, world) for path, topic in job_topics(spec).items()}


def table_names(spec: StreamJobSpec) -> list[str]:
    """The tables it writes."""
    return [output.table for output in spec.outputs if output.table]


def referred_sql(ref: KeyRef, world: World) -> str:
    """The SQL that is kept in a ConfigMap."""
    text = world.text(ref.name, ref.key)
    if text is None:
        remedy = f"ConfigMap {ref.name} has no key {ref.key}; add it"
        raise SpecError(Reason.REFERENCE_NOT_FOUND, "spec.sqlFrom", f"{ref.name}/{ref.key}", remedy)
    return text


def accepted_events(feed: str, spec: StreamJobSpec, world: World) -> Registry:
    """What was accepted of a feed."""
    if not world.has("TradeFeed", feed):
        index = next(n for n, i in enumerate(spec.inputs) if i.feed == feed)
        remedy = f"no TradeFeed {feed} in namespace {world.namespace}; apply it, or name another"
        raise SpecError(Reason.FEED_NOT_FOUND, f"spec.inputs[{index}].feed", feed, remedy)
    return world.feed(feed)


def dead_letter_topic(feed: str, world: World) -> str:
    """The feed's dead-letter topic."""
    spec = world.objects[resource_key("TradeFeed", feed)].data
    return text_at(spec, "deadLetter", "topic") or FeedNames(feed).dead_letters


def table_target(table: str, spec: StreamJobSpec, world: World) -> Target:
    """A table that the job writes, as it was accepted."""
    index = next(n for n, o in enumerate(spec.outputs) if o.table == table)
    path = f"spec.outputs[{index}].table"
    if not world.has("LakehouseTable", table):
        remedy = (
            f"no LakehouseTable {table} in namespace {world.namespace}; apply it, or name another"
        )
        raise SpecError(Reason.TABLE_NOT_FOUND, path, table, remedy)
    accepted = world.table(table)
    return Target(
        path=path,
        name=table,
        identifier=accepted.identifier,
        job=accepted.job,
        columns=accepted.columns,
        partition=accepted.partition,
    )


def await_table(table: str, world: World) -> None:
    """Expand the table, then restart the job: it plans against what the catalog has."""
    live = world.objects[resource_key("LakehouseTable", table)]
    conditions = live.status.get("conditions") or ()
    in_sync = any(
        c.get("type") == ConditionType.SCHEMA_IN_SYNC and c.get("status") == "True"
        for c in conditions
    )
    if not in_sync or live.status.get("observedGeneration", 0) < live.generation:
        raise NotReady(
            Reason.TABLE_NOT_READY, f"LakehouseTable {table} is not in sync with the catalog yet"
        )
