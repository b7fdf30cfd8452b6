"""`KafkaTopic`: what Strimzi's topic operator does, one topic at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaException

from tapehouse_laptop.kafka.admin import Admin, Topic
from tapehouse_laptop.kafka.status import compose, not_ready, ready
from tapehouse_laptop.kubeapi import Manifest

FINALIZER = "strimzi.io/topic-operator"
MANAGED = "strimzi.io/managed"
"""Annotation; `false` leaves the topic alone, also when its resource is deleted."""
UNMANAGED = ({"type": "Unmanaged", "status": "True"},)


@dataclass(frozen=True, slots=True)
class Change:
    """What must be done to a topic that exists; `refused` is (reason, message)."""

    partitions: int | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    refused: tuple[str, str] | None = None


def topic_name(item: Manifest) -> str:
    """The topic a resource stands for."""
    return str(item["spec"].get("topicName") or item["metadata"]["name"])


def is_managed(item: Manifest) -> bool:
    """Whether the topic follows the resource."""
    annotations = item["metadata"].get("annotations") or {}
    return str(annotations.get(MANAGED, "true")).lower() != "false"


def config_of(spec: Mapping[str, Any]) -> dict[str, str]:
    """The wanted settings as text, the form Kafka compares."""
    return {key: _text(value) for key, value in (spec.get("config") or {}).items()}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(value)


def change(spec: Mapping[str, Any], live: Topic) -> Change:
    """How to bring `live` to `spec`."""
    wanted = config_of(spec)
    values = {k: v for k, v in wanted.items() if live.config.get(k) != v}
    unset = tuple(sorted(live.config.keys() - wanted.keys()))
    partitions, replicas = spec.get("partitions"), spec.get("replicas")
    refused = None
    if partitions is not None and partitions < live.partitions:
        message = f"Decreasing partitions not supported: {live.partitions} -> {partitions}"
        refused = ("NotSupported", message)
    elif replicas not in (None, -1, live.replicas):
        message = f"Replication factor change not supported: {live.replicas} -> {replicas}"
        refused = ("NotSupported", message)
    grown = partitions if partitions is not None and partitions > live.partitions else None
    return Change(grown, values, unset, refused)


async def bring(admin: Admin, item: Manifest) -> Manifest:
    """Make the topic as `item` says; its new status, also when Kafka refuses."""
    name = topic_name(item)
    fields: dict[str, Any] = {"topicName": name}
    try:
        live, refused = await _converge(admin, name, item["spec"])
    except KafkaException as error:
        return compose(item, fields, not_ready("KafkaError", error.args[0].str()))
    fields["topicId"] = live.topic_id
    return compose(item, fields, not_ready(*refused) if refused else ready())


async def _converge(
    admin: Admin, name: str, spec: Mapping[str, Any]
) -> tuple[Topic, tuple[str, str] | None]:
    live = await admin.topic(name)
    if live is None:
        partitions, replicas = spec.get("partitions", -1), spec.get("replicas", -1)
        await admin.create_topic(name, partitions, replicas, config_of(spec))
        live = await admin.topic(name)
    if live is None:
        raise RuntimeError(f"topic {name} was created and is not there")
    todo = change(spec, live)
    if todo.partitions:
        await admin.add_partitions(name, todo.partitions)
    if todo.values or todo.unset:
        await admin.change_config(name, todo.values, todo.unset)
    return live, todo.refused
