"""`Kafka` and `KafkaNodePool`: which brokers there should be, and what is told of them."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tapehouse_laptop.context import Context
from tapehouse_laptop.kafka.broker import BrokerProcess, Place
from tapehouse_laptop.kafka.config import (
    KAFKA_VERSION,
    METADATA_VERSION,
    Broker,
    InvalidError,
    listeners,
    new_cluster_id,
    overrides,
)
from tapehouse_laptop.kafka.status import compose, not_ready, ready, warning
from tapehouse_laptop.kubeapi import Key, Manifest
from tapehouse_laptop.state import read_json, write_json

FIRST_ADDRESS, LAST_ADDRESS = 20, 59
"""Fourth byte of the brokers' addresses, `<net>.0.20` up."""


class Clusters:
    """The brokers of this installation, by their `Kafka` resource."""

    def __init__(self, ctx: Context, libraries: Path, changed: Callable[[Key], None]) -> None:
        self._ctx = ctx
        self._libraries = libraries
        self._changed = changed
        self._running: dict[Key, BrokerProcess] = {}

    def broker(self, key: Key) -> BrokerProcess | None:
        """The broker of a cluster, if it runs and answers."""
        found = self._running.get(key)
        return found if found and found.ready else None

    async def stop(self) -> None:
        """Stop all brokers; their data stays."""
        for key in list(self._running):
            await self._stop(key)

    async def bring(self, key: Key, item: Manifest | None, pools: list[Manifest]) -> Manifest:
        """Run the broker that `item` asks for, or none; the status of the `Kafka` resource."""
        if item is None or item["metadata"].get("deletionTimestamp"):
            await self._stop(key)
            return {}
        try:
            broker = self._wanted(key, item, pools)
        except InvalidError as error:
            await self._stop(key)
            return compose(item, {}, not_ready("InvalidResourceException", str(error)))
        process = self._running.get(key)
        if process is None or process.broker != broker:
            await self._stop(key)
            process = self._start(key, broker)
        return _status(item, pools, process)

    def _wanted(self, key: Key, item: Manifest, pools: list[Manifest]) -> Broker:
        if not pools:
            remedy = f"create a KafkaNodePool with the label strimzi.io/cluster: {key.name}"
            raise InvalidError("KafkaNodePool", None, remedy)
        spec = item["spec"]["kafka"]
        identity = self._identity(key)
        authorization = spec.get("authorization") or {}
        return Broker(
            cluster_id=identity["clusterId"],
            host=self._ctx.net.address(0, identity["address"]),
            listeners=listeners(spec),
            overrides=overrides(spec),
            authorized=authorization.get("type") == "simple",
            superusers=tuple(authorization.get("superUsers") or ()),
            data=self._home(key) / "log",
            password=identity["password"],
        )

    def _home(self, key: Key) -> Path:
        return self._ctx.data / "kafka" / key.namespace / key.name

    def _identity(self, key: Key) -> dict[str, Any]:
        """What a broker keeps for life: cluster id, address, the superuser's password."""
        path = self._home(key) / "identity.json"
        if (known := read_json(path)) is not None:
            return dict(known)
        fresh = {
            "clusterId": new_cluster_id(),
            "address": self._free_address(),
            "password": secrets.token_hex(24),
        }
        write_json(path, fresh)
        return fresh

    def _free_address(self) -> int:
        files = (self._ctx.data / "kafka").glob("*/*/identity.json")
        taken = {read_json(file)["address"] for file in files}
        for address in range(FIRST_ADDRESS, LAST_ADDRESS + 1):
            if address not in taken:
                return address
        raise InvalidError("Kafka", len(taken), "too many brokers for one machine; delete some")

    def _start(self, key: Key, broker: Broker) -> BrokerProcess:
        place = Place(
            self._ctx.state, self._ctx.components, str(key), self._home(key), self._libraries
        )
        process = BrokerProcess(place, broker, lambda: self._changed(key))
        self._running[key] = process
        process.start()
        return process

    async def _stop(self, key: Key) -> None:
        if process := self._running.pop(key, None):
            await process.stop()


def _status(item: Manifest, pools: list[Manifest], process: BrokerProcess) -> Manifest:
    broker = process.broker
    fields = {
        "clusterId": broker.cluster_id,
        "kafkaVersion": KAFKA_VERSION,
        "kafkaMetadataVersion": METADATA_VERSION,
        "kafkaMetadataState": "KRaft",
        "kafkaNodePools": sorted(
            ({"name": pool["metadata"]["name"]} for pool in pools), key=lambda p: p["name"]
        ),
        "listeners": [
            {
                "name": listener.name,
                "addresses": [{"host": broker.host, "port": listener.port}],
                "bootstrapServers": broker.bootstrap(listener),
            }
            for listener in broker.listeners
        ],
    }
    return compose(
        item, fields, ready() if process.ready else not_ready("NotReady", process.trouble)
    )


def pool_status(pool: Manifest, cluster: Manifest | None) -> Manifest:
    """The status of a node pool: one process plays all its nodes."""
    known = (cluster or {}).get("status") or {}
    is_ready = any(
        c["type"] == "Ready" and c["status"] == "True" for c in known.get("conditions", ())
    )
    spec = pool["spec"]
    fields = {
        "clusterId": known.get("clusterId", ""),
        "nodeIds": [0],
        "replicas": 1,
        "roles": spec.get("roles", []),
        "labelSelector": f"strimzi.io/pool-name={pool['metadata']['name']}",
    }
    if not is_ready:
        return compose(pool, fields, not_ready("NotReady", "the cluster is not ready"))
    if spec.get("replicas", 1) > 1:
        message = f"spec.replicas: {spec['replicas']}: one process plays all nodes on a laptop"
        return compose(pool, fields, ready(), warning("ReplicasIgnored", message))
    return compose(pool, fields, ready())
