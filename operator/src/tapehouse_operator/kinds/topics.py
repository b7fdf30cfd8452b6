"""Topics as several kinds make them: who owns one, how large it is, how it does."""

from collections.abc import Iterable

from tapehouse_operator.api.base import Reason
from tapehouse_operator.emit import records, strimzi
from tapehouse_operator.emit.core import ObjectKey
from tapehouse_operator.emit.events import Event, Field
from tapehouse_operator.emit.health import Health, by_condition
from tapehouse_operator.errors import NotReady, SpecError
from tapehouse_operator.kinds.contract import Applied, ChildHealth, World


def topic_key(name: str) -> ObjectKey:
    """The KafkaTopic of a topic."""
    return ObjectKey(strimzi.API_VERSION, "KafkaTopic", name)


def live_partitions(world: World) -> dict[str, int]:
    """How many partitions the resource's topics have."""
    return {
        key.name: int(live.data.get("partitions", 0))
        for key, live in world.children.items()
        if key.kind == "KafkaTopic"
    }


def written_so_far(world: World) -> dict[str, tuple[Field, ...]]:
    """What the records of the resource's topics hold."""
    return {
        key.name: records.described(live.annotations[records.ANNOTATION_COLUMNS])
        for key, live in world.children.items()
        if records.ANNOTATION_COLUMNS in live.annotations
    }


def written_by_a_job(topic: str, path: str, world: World) -> Event:
    """What another job writes to a topic; `path` is the field that names it.

    Raises:
        SpecError: no job writes it.
        NotReady: it is not there yet.
    """
    live = world.objects.get(topic_key(topic))
    if live is None:
        remedy = (
            f"no StreamJob in namespace {world.namespace} has made it; apply the one that has it "
            "in spec.outputs, or name the feed whose topic it is"
        )
        raise SpecError(Reason.TOPIC_NOT_FOUND, path, topic, remedy)
    text = live.annotations.get(records.ANNOTATION_COLUMNS)
    if text is None:
        remedy = "no StreamJob writes it; name the feed whose topic it is as well"
        raise SpecError(Reason.TOPIC_NOT_FOUND, path, topic, remedy)
    if not (health := by_condition(live.status, live.generation)).ready:
        raise NotReady(Reason.TOPICS_NOT_READY, f"KafkaTopic {topic}: {health.reason}")
    return records.as_event(topic, records.described(text), path)


def check_claims(names: Iterable[str], world: World, path: str) -> None:
    """A topic has one owner.

    Raises:
        SpecError: one of them is another resource's; `path` is the field that names it.
    """
    for name in names:
        owner = world.claims.get(topic_key(name))
        if owner:
            remedy = f"it belongs to {owner}; name another topic in {path}"
            raise SpecError(Reason.TOPIC_TAKEN, path, name, remedy)


def strimzi_row(applied: Applied, key: ObjectKey) -> ChildHealth:
    """A KafkaTopic or KafkaUser as Strimzi tells of it."""
    live = applied.children.get(key)
    health = by_condition(live.status, live.generation) if live else Health(False, "not there yet")
    return ChildHealth(key.kind, key.name, health.ready, health.reason)
