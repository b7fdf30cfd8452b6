"""The controllers of Strimzi's kinds, on one queue."""

import asyncio
import random
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tapehouse_laptop import jars
from tapehouse_laptop.context import Context
from tapehouse_laptop.controller import Mirror, Workqueue
from tapehouse_laptop.kafka import topics, users
from tapehouse_laptop.kafka.admin import Admin
from tapehouse_laptop.kafka.clusters import Clusters, pool_status
from tapehouse_laptop.kafka.config import InvalidError
from tapehouse_laptop.kafka.status import compose, not_ready, report
from tapehouse_laptop.kubeapi import (
    KAFKA_NODE_POOLS,
    KAFKA_TOPICS,
    KAFKA_USERS,
    KAFKAS,
    SECRETS,
    Key,
    Manifest,
    Resource,
)

OWN = (KAFKAS, KAFKA_NODE_POOLS, KAFKA_TOPICS, KAFKA_USERS)
CLUSTER = "strimzi.io/cluster"
RESYNC_SECONDS = 600.0
SECRET_SELECTOR = "strimzi.io/kind=KafkaUser"  # noqa: S105 - a label


class Item(NamedTuple):
    """A key of the queue."""

    resource: Resource
    key: Key

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.key}"


async def run(ctx: Context) -> None:
    """Play Strimzi's part until cancelled; brokers are stopped on the way out."""
    await Controller(ctx, await asyncio.to_thread(jars.kafka)).run()


class Controller:
    """Watches the four kinds and the users' Secrets; reconciles one object at a time."""

    def __init__(self, ctx: Context, libraries: Path) -> None:
        self._kube = ctx.kube
        self._mirrors = {resource: Mirror(ctx.kube, resource) for resource in OWN}
        self._secrets = Mirror(ctx.kube, SECRETS, selector=SECRET_SELECTOR)
        self._queue: Workqueue[Item] = Workqueue()
        self._clusters = Clusters(ctx, libraries, self._broker_changed)
        self._passwords: dict[Key, str] = {}
        """What this process has set on the broker since that last came up."""
        for resource, mirror in self._mirrors.items():
            mirror.on_change(partial(self._changed, resource))
        self._secrets.on_change(self._secret_changed)

    async def run(self) -> None:
        """Until cancelled."""
        mirrors = [*self._mirrors.values(), self._secrets]
        try:
            async with asyncio.TaskGroup() as group:
                for mirror in mirrors:
                    group.create_task(mirror.run())
                for mirror in mirrors:
                    await mirror.synced()
                group.create_task(self._queue.run(self._handle))
        finally:
            await self._clusters.stop()

    def _changed(
        self, resource: Resource, key: Key, old: Manifest | None, new: Manifest | None
    ) -> None:
        if _meaning(old) == _meaning(new) and resource != KAFKAS:
            return
        self._queue.add(Item(resource, key))
        if resource == KAFKAS:
            self._wake(KAFKA_NODE_POOLS, key)
            if old is None or new is None:
                self._wake(KAFKA_TOPICS, key)
        elif resource == KAFKA_NODE_POOLS or (resource == KAFKA_USERS and new is None):
            self._queue.add(Item(KAFKAS, _cluster_of(new or old or {})))

    def _secret_changed(self, key: Key, old: Manifest | None, new: Manifest | None) -> None:
        if new is None or (old and old.get("data") != new.get("data")):
            self._queue.add(Item(KAFKA_USERS, key))

    def _broker_changed(self, cluster: Key) -> None:
        self._queue.add(Item(KAFKAS, cluster))
        for user in self._members(KAFKA_USERS, cluster):
            self._passwords.pop(Key.of(user), None)
        for resource in OWN[1:]:
            self._wake(resource, cluster)

    def _wake(self, resource: Resource, cluster: Key) -> None:
        for item in self._members(resource, cluster):
            self._queue.add(Item(resource, Key.of(item)))

    def _members(self, resource: Resource, cluster: Key) -> list[Manifest]:
        return [item for item in self._mirrors[resource] if _cluster_of(item) == cluster]

    async def _handle(self, item: Item) -> float | None:
        handlers = {
            KAFKAS: self._kafka,
            KAFKA_NODE_POOLS: self._pool,
            KAFKA_TOPICS: self._topic,
            KAFKA_USERS: self._user,
        }
        live = self._mirrors[item.resource].get(*item.key)
        await handlers[item.resource](item.key, live)
        return None if live is None else RESYNC_SECONDS * random.uniform(0.9, 1.1)  # noqa: S311

    async def _kafka(self, key: Key, item: Manifest | None) -> None:
        pools = self._members(KAFKA_NODE_POOLS, key)
        status = await self._clusters.bring(key, item, pools)
        if item and status:
            await report(self._kube, KAFKAS, item, status)
        if broker := self._clusters.broker(key):
            await users.sweep(broker.admin, lambda: self._user_names(key))

    def _user_names(self, cluster: Key) -> set[str]:
        return {item["metadata"]["name"] for item in self._members(KAFKA_USERS, cluster)}

    async def _pool(self, key: Key, item: Manifest | None) -> None:
        if item and not _deleting(item):
            cluster = self._mirrors[KAFKAS].get(*_cluster_of(item))
            await report(self._kube, KAFKA_NODE_POOLS, item, pool_status(item, cluster))

    async def _topic(self, key: Key, item: Manifest | None) -> None:
        if item is None:
            return
        cluster = _cluster_of(item)
        broker = self._clusters.broker(cluster)
        if _deleting(item):
            await self._release(item, broker.admin if broker else None)
        elif self._mirrors[KAFKAS].get(*cluster) is None:
            await self._no_cluster(KAFKA_TOPICS, item)
        elif broker:
            await self._bring_topic(broker.admin, item)

    async def _bring_topic(self, admin: Admin, item: Manifest) -> None:
        if not topics.is_managed(item):
            status = compose(item, {"topicName": topics.topic_name(item)}, *topics.UNMANAGED)
        elif (owner := self._topic_owner(item)) != Key.of(item):
            conflict = not_ready("ResourceConflict", f"Managed by KafkaTopic {owner}")
            status = compose(item, {"topicName": topics.topic_name(item)}, conflict)
        else:
            await self._set_finalizers(item, topics.FINALIZER, present=True)
            status = await topics.bring(admin, item)
        await report(self._kube, KAFKA_TOPICS, item, status)

    def _topic_owner(self, item: Manifest) -> Key:
        """Who has the topic: of several resources the oldest."""
        name = topics.topic_name(item)
        rivals = self._members(KAFKA_TOPICS, _cluster_of(item))
        claims = [x for x in rivals if topics.topic_name(x) == name and topics.is_managed(x)]
        oldest = min(claims, key=lambda x: (x["metadata"]["creationTimestamp"], Key.of(x)))
        return Key.of(oldest)

    async def _release(self, item: Manifest, admin: Admin | None) -> None:
        """Delete the topic of a resource that goes away; wait for a broker that is down."""
        if topics.FINALIZER not in item["metadata"].get("finalizers", ()):
            return
        mine = topics.is_managed(item) and self._topic_owner(item) == Key.of(item)
        if mine and self._mirrors[KAFKAS].get(*_cluster_of(item)) is not None:
            if admin is None:
                return
            await admin.delete_topic(topics.topic_name(item))
        await self._set_finalizers(item, topics.FINALIZER, present=False)

    async def _set_finalizers(self, item: Manifest, name: str, *, present: bool) -> None:
        meta = item["metadata"]
        old = meta.get("finalizers") or []
        if (name in old) == present:
            return
        new = [*old, name] if present else [x for x in old if x != name]
        patch = {"metadata": {"finalizers": new, "resourceVersion": meta["resourceVersion"]}}
        await self._kube.patch(KAFKA_TOPICS, Key.of(item), patch)

    async def _user(self, key: Key, item: Manifest | None) -> None:
        if item is None or _deleting(item):
            self._passwords.pop(key, None)
            return
        cluster = _cluster_of(item)
        if self._mirrors[KAFKAS].get(*cluster) is None:
            await self._no_cluster(KAFKA_USERS, item)
        elif broker := self._clusters.broker(cluster):
            await self._bring_user(broker.admin, key, item)

    async def _bring_user(self, admin: Admin, key: Key, item: Manifest) -> None:
        try:
            users.check(item)
            acls = users.acls(item)
        except InvalidError as error:
            refused = not_ready("InvalidResourceException", str(error))
            await report(self._kube, KAFKA_USERS, item, compose(item, {}, refused))
            return
        live = await self._kube.get(SECRETS, key)
        password = users.password_in(live) or users.new_password()
        if self._passwords.get(key) != password:
            await admin.set_password(key.name, password)
            self._passwords[key] = password
        await users.apply_acls(admin, key.name, acls)
        # Last: whoever starts when the Secret appears can log in and has its rights.
        secret = users.secret(item, password)
        if live is None or live.get("data") != secret["data"]:
            await self._kube.apply(SECRETS, secret)
        await report(self._kube, KAFKA_USERS, item, users.status(item))

    async def _no_cluster(self, resource: Resource, item: Manifest) -> None:
        name = (item["metadata"].get("labels") or {}).get(CLUSTER)
        message = f"metadata.labels[{CLUSTER}]: {name!r}: no Kafka of this name in the namespace"
        status = compose(item, {}, not_ready("InvalidResourceException", message))
        await report(self._kube, resource, item, status)


def _cluster_of(item: Manifest) -> Key:
    meta = item["metadata"]
    return Key(meta["namespace"], (meta.get("labels") or {}).get(CLUSTER, ""))


def _deleting(item: Manifest) -> bool:
    return "deletionTimestamp" in item["metadata"]


def _meaning(item: Manifest | None) -> object:
    """What of an object is a reason to look at it: all but its status and bookkeeping."""
    if item is None:
        return None
    meta = item["metadata"]
    names = ("uid", "generation", "labels", "annotations", "finalizers", "deletionTimestamp")
    return [meta.get(name) for name in names]
