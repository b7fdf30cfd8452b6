"""TradeFeed: topics, a user, the event schemas and the ingest workload."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tapehouse_operator.api.base import (
    Condition,
    ConditionType,
    DeletionPolicy,
    Reason,
    condition,
    quantity,
)
from tapehouse_operator.api.sources import WebSocket
from tapehouse_operator.api.tradefeed import Resources, TradeFeed
from tapehouse_operator.emit import strimzi
from tapehouse_operator.emit.core import Child, ObjectKey
from tapehouse_operator.emit.events import REGISTRY_KEY, Event, Registry
from tapehouse_operator.emit.feed import (
    CONFIG_KEY,
    HEADERS_DIR,
    REPORT_KEY,
    FeedNames,
    Workload,
    feed_access,
    feed_config,
    feed_deployment,
    feed_report,
)
from tapehouse_operator.emit.feedcalendar import session_of
from tapehouse_operator.emit.feedspec import (
    check_compatibility,
    check_events,
    check_mapping,
    check_source,
    dead_letter_topic,
    events_of,
    topics_of,
)
from tapehouse_operator.emit.health import Health, of_deployment
from tapehouse_operator.emit.manifests import config_map, document
from tapehouse_operator.emit.platform import PASSWORD_KEY, KafkaAccess, Platform, bootstrap
from tapehouse_operator.emit.rotation import Rotation, with_rotation
from tapehouse_operator.errors import SpecError
from tapehouse_operator.kinds.contract import (
    Applied,
    ChildHealth,
    Kind,
    Output,
    Refs,
    RevisionRef,
    Verdict,
    World,
)
from tapehouse_operator.kinds.elsewhere import consumers_of
from tapehouse_operator.kinds.secrets import deployment_key, rotation_of, secret_key
from tapehouse_operator.kinds.topics import check_claims, live_partitions, strimzi_row, topic_key

SUPPORTED_SOURCES = ("simulator", "websocket", "files")


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """A feed in which every topic is known and every event is compatible."""

    retain: bool
    cluster: str
    """The Kafka resource."""
    topics: tuple[strimzi.Topic, ...]
    """Of events, dead letters and the cursor, each once."""
    registry: Registry
    workload: Workload
    rotation: Rotation
    """Of the Secrets the workload uses."""


class TradeFeedKind(Kind[TradeFeed, FeedPlan]):
    """See `contract.Kind`."""

    model = TradeFeed
    planned_first = True
    owned = (
        (strimzi.API_VERSION, "KafkaTopic"),
        (strimzi.API_VERSION, "KafkaUser"),
        ("v1", "ConfigMap"),
        ("v1", "ServiceAccount"),
        ("rbac.authorization.k8s.io/v1", "Role"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        ("apps/v1", "Deployment"),
    )

    def refs(self, resource: TradeFeed, settings: Mapping[str, str]) -> Refs:
        """Kafka, for its address; the topics, which may be somebody else's."""
        try:
            topics = {e.topic for e in events_of(resource)}
        except SpecError:
            topics = set()
        topics |= {dead_letter_topic(resource), FeedNames(resource.metadata.name).cursor}
        return Refs(
            objects=frozenset(
                {
                    _kafka_key(settings.get("kafkaCluster", "")),
                    *(secret_key(name) for name, _ in _secrets(resource)),
                }
            ),
            claims=frozenset(map(topic_key, topics)),
            consumers=True,
        )

    def validate(self, resource: TradeFeed, world: World) -> FeedPlan:
        """Refuse events no bridge could take and promises that would be broken."""
        platform = Platform.of(world.settings)
        _refuse_unfinished(resource)
        events = events_of(resource)
        check_events(resource, events)
        check_source(resource)
        check_mapping(resource, events)
        topics = topics_of(resource, events, platform, live_partitions(world))
        check_claims((t.name for t in topics), world, "spec.topics")
        names = FeedNames(resource.metadata.name)
        known = world.children.get(ObjectKey("v1", "ConfigMap", names.schema))
        registry = Registry.read(known.data if known else {})
        check_compatibility(resource, events, registry, partial(consumers_of, world))
        return FeedPlan(
            retain=resource.spec.deletion_policy is DeletionPolicy.RETAIN,
            cluster=platform.kafka_cluster,
            topics=topics,
            registry=registry.accept(events),
            workload=_workload(resource, events, platform, _access(platform, names, world)),
            rotation=rotation_of(deployment_key(names.workload), _secrets(resource), world),
        )

    def compile(self, plan: FeedPlan, revision: RevisionRef) -> Output:
        """Topics, user, schemas, access, configuration, workload: as they are needed."""
        names = plan.workload.names
        schema = document(plan.registry.document(names.feed))
        return Output(
            children=(
                *(
                    Child(strimzi.kafka_topic(topic, plan.cluster), retain=plan.retain)
                    for topic in plan.topics
                ),
                Child(strimzi.kafka_user(names.workload, plan.cluster, _grants(plan))),
                Child(config_map(names.schema, {REGISTRY_KEY: schema}), retain=plan.retain),
                *map(Child, feed_access(names, plan.workload.namespace)),
                Child(feed_report(names)),
                Child(config_map(names.workload, {CONFIG_KEY: feed_config(plan.workload)})),
                Child(with_rotation(feed_deployment(plan.workload), "template", plan.rotation)),
            )
        )

    def judge(self, plan: FeedPlan, applied: Applied) -> Verdict:
        """Topics by Strimzi's status, the rest by the bridge's readiness and its report."""
        name = plan.workload.names.workload
        topics = [strimzi_row(applied, topic_key(topic.name)) for topic in plan.topics]
        user = strimzi_row(applied, ObjectKey(strimzi.API_VERSION, "KafkaUser", name))
        pods = _pods(applied, plan.workload)
        report = _report(applied, plan.workload.names)
        waiting = "; ".join(f"{row.name}: {row.reason}" for row in topics if not row.ready)
        why_topics = Reason.TOPICS_NOT_READY if waiting else Reason.TOPICS_READY
        return Verdict(
            conditions=(
                condition(ConditionType.TOPICS_READY, not waiting, why_topics, waiting),
                condition(ConditionType.SCHEMA_COMPATIBLE, True, Reason.COMPATIBLE),
                _connected(pods, report),
                *_continuous(report),
                *_delivering(report),
            ),
            children=(*topics, user, ChildHealth("Deployment", name, pods.ready, pods.reason)),
            columns={
                "source": plan.workload.source["type"],
                "topics": f"{sum(row.ready for row in topics)}/{len(topics)}",
                "openGaps": report.get("openGaps", 0),
            },
        )


def _refuse_unfinished(feed: TradeFeed) -> None:
    """What the API can say and this version cannot do yet is refused, never ignored."""
    spec = feed.spec
    if spec.source.type not in SUPPORTED_SOURCES:
        raise SpecError(
            Reason.UNSUPPORTED,
            "spec.source",
            spec.source.type,
            f"this version takes {', '.join(SUPPORTED_SOURCES)}",
        )
    if spec.replicas > 1:
        remedy = "this version runs one bridge per feed, since each would take every event"
        raise SpecError(Reason.UNSUPPORTED, "spec.replicas", spec.replicas, remedy)


def _access(platform: Platform, names: FeedNames, world: World) -> KafkaAccess:
    kafka = world.objects.get(_kafka_key(platform.kafka_cluster))
    status = kafka.status if kafka else None
    return KafkaAccess(
        bootstrap(platform.kafka_cluster, status, platform.kafka_listener), names.workload
    )


def _workload(
    feed: TradeFeed, events: tuple[Event, ...], platform: Platform, kafka: KafkaAccess
) -> Workload:
    spec = feed.spec
    socket = spec.source.websocket
    return Workload(
        names=FeedNames(feed.metadata.name),
        namespace=feed.metadata.namespace,
        source=_source(feed),
        events=events,
        mapping=[_dump(mapping) for mapping in spec.mapping] or None,
        dead_letter_topic=dead_letter_topic(feed),
        continuity=_full(spec.continuity),
        session=session_of(spec.session, events),
        spill=int(quantity(spec.spill.size)) if spec.spill else 0,
        kafka=kafka,
        log_level=platform.log_level,
        image=platform.image_feed,
        replicas=0 if spec.suspend else spec.replicas,
        resources=_resources(spec.resources),
        header_secrets=_header_secrets(socket) if socket else (),
    )


def _source(feed: TradeFeed) -> dict[str, Any]:
    source = feed.spec.source
    if source.websocket is not None:
        socket = _full(source.websocket)
        socket.pop("headersFrom")
        headers = {
            header.name: f"{HEADERS_DIR}/{header.secret_key_ref.name}/{header.secret_key_ref.key}"
            for header in source.websocket.headers_from
        }
        return {"type": "websocket", **socket, "headers": headers}
    return {"type": source.type, **_full(getattr(source, source.type))}


def _secrets(feed: TradeFeed) -> list[tuple[str, frozenset[str]]]:
    """The Secrets its workload uses, and which keys of them."""
    used = {FeedNames(feed.metadata.name).workload: {PASSWORD_KEY}}
    socket = feed.spec.source.websocket
    for header in socket.headers_from if socket else ():
        used.setdefault(header.secret_key_ref.name, set()).add(header.secret_key_ref.key)
    return [(name, frozenset(keys)) for name, keys in used.items()]


def _header_secrets(socket: WebSocket) -> tuple[str, ...]:
    return tuple(dict.fromkeys(header.secret_key_ref.name for header in socket.headers_from))


def _resources(resources: Resources) -> dict[str, Any]:
    return {k: v for k, v in _dump(resources).items() if v}


def _dump(model: Any) -> dict[str, Any]:
    """By API names, what is set only."""
    dumped: dict[str, Any] = model.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    return dumped


def _full(model: Any) -> dict[str, Any]:
    """By API names, defaults included, so that workloads have none of their own to differ."""
    dumped: dict[str, Any] = model.model_dump(by_alias=True, mode="json")
    return dumped


def _grants(plan: FeedPlan) -> list[strimzi.Grant]:
    """Write what it fills; read it back, to learn after a crash what is already there.

    Dead letters may be deleted too: that is how they are purged.
    """
    operations = ("Describe", "Read", "Write")
    return [
        *(strimzi.Grant("topic", topic.name, operations) for topic in plan.topics),
        strimzi.Grant("topic", plan.workload.dead_letter_topic, ("Delete",)),
        strimzi.group(plan.workload.names.workload),
    ]


def _kafka_key(cluster: str) -> ObjectKey:
    return ObjectKey(strimzi.API_VERSION, "Kafka", cluster)


def _report(applied: Applied, names: FeedNames) -> Mapping[str, Any]:
    """What the bridge last told; empty before it told anything."""
    live = applied.children.get(ObjectKey("v1", "ConfigMap", names.report))
    text = live.data.get(REPORT_KEY) if live else None
    document: dict[str, Any] = json.loads(text) if text else {}
    return document


def _connected(pods: Health, report: Mapping[str, Any]) -> Condition:
    kind = ConditionType.CONNECTED
    problem = report.get("problem")
    if not pods.ready:
        message = f"{pods.reason}; {problem}" if problem else pods.reason
        return condition(kind, False, Reason.NOT_CONNECTED, message)
    if problem:
        return condition(kind, False, Reason.SOURCE_FAILED, problem)
    if held := report.get("held"):
        return condition(kind, False, Reason.BACK_PRESSURE, f"reading is stopped: {held}")
    if since := report.get("silent"):
        message = f"nothing has come since {since}, while the market is open"
        return condition(kind, False, Reason.FEED_SILENT, message)
    return condition(kind, True, Reason.CONNECTED)


def _delivering(report: Mapping[str, Any]) -> Iterator[Condition]:
    """Unknown before the bridge has reported; a feed without any event is not ready."""
    if not report:
        return
    kind = ConditionType.DELIVERING
    account: Mapping[str, Any] = report.get("account") or {}
    counted = f"{_counted(account)}" if account else ""
    if missing := report.get("noEvent"):
        message = f"{missing} ({counted})" if counted else missing
        yield condition(kind, False, Reason.NO_EVENT, message)
    elif account.get("leftOut", {}).get("conflict"):
        message = f"{counted}; events were dropped although another event has their number"
        yield condition(kind, False, Reason.NUMBERS_CONFLICT, message, counts=False)
    elif account.get("deadLetters"):
        message = f"{counted}; the newest dead letter is {account.get('newestDeadLetter')}"
        yield condition(kind, False, Reason.DEAD_LETTERS, message, counts=False)
    else:
        yield condition(kind, True, Reason.DELIVERING, counts=False)


def _counted(account: Mapping[str, Any]) -> str:
    """Frames in = events + dead letters + left out."""
    left_out: Mapping[str, int] = account["leftOut"]
    kinds = ", ".join(f"{count} {why}" for why, count in left_out.items())
    return (
        f"{account['frames']} frames = {account['events']} events + "
        f"{account['deadLetters']} dead letters + {sum(left_out.values())} left out"
        + (f" ({kinds})" if kinds else "")
    )


def _continuous(report: Mapping[str, Any]) -> Iterator[Condition]:
    """Nothing is known before the bridge has told; a gap counts when it is larger than allowed."""
    if not report:
        return
    kind, gaps = ConditionType.CONTINUOUS, report["openGaps"]
    if not gaps:
        message = ", ".join(map(_restart, report.get("restarts", ())[-3:]))
        yield condition(kind, True, Reason.CONTINUOUS, message, counts=False)
        return
    shown = ", ".join(map(_range, report["gaps"][:3]))
    message = f"{report['missing']} numbers are missing in {gaps} gaps: {shown}"
    message += ", …" if gaps > 3 else ""
    yield condition(kind, False, Reason.GAP_OPEN, message, counts=report["tooLarge"])


def _restart(restart: Mapping[str, Any]) -> str:
    where = f"{restart['key']}: " if restart["key"] else ""
    return f"{where}the source counts again from {restart['to']} after {restart['after']}"


def _range(gap: Mapping[str, Any]) -> str:
    numbers = f"{gap['first']}" + (f"-{gap['last']}" if gap["last"] > gap["first"] else "")
    return f"{gap['key']} {numbers}".lstrip()


def _pods(applied: Applied, workload: Workload) -> Health:
    live = applied.children.get(deployment_key(workload.names.workload))
    if live is None:
        return Health(False, "not there yet")
    return of_deployment(live.status, live.generation, workload.replicas)
