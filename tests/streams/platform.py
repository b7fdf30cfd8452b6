"""A small platform for tests of stream jobs: broker, catalog and Flink, driven by plain objects."""

import base64
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from confluent_kafka import KafkaError, Message, Producer
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.schema import Schema
from pyiceberg.types import DoubleType, IntegerType, LongType, NestedField, StringType
from tapehouse_laptop import jars, toolchain

from tests.streams.substrate import Substrate, condition, substrate
from tests.support.controlplane import ApiServer

NAMESPACE = "streams"
CLUSTER = {"strimzi.io/cluster": "tape"}
TABLE_PROPERTIES = {
    "format-version": "2",
    "flink.max-continuous-empty-commits": "1",
    "commit.retry.num-retries": "20",
}
TRADES = Schema(
    NestedField(1, "trade_id", LongType()),
    NestedField(2, "symbol", StringType()),
    NestedField(3, "price", DoubleType()),
    NestedField(4, "kafka_partition", IntegerType()),
    NestedField(5, "kafka_offset", LongType()),
)
JAAS = (
    "org.apache.kafka.common.security.scram.ScramLoginModule required "
    'username="{user}" password="${{env:KAFKA_PASSWORD}}";'
)


def kafka_manifest(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": name, "namespace": NAMESPACE, "labels": CLUSTER}
    return {"apiVersion": "kafka.strimzi.io/v1", "kind": kind, "metadata": meta, "spec": spec}


def kafka_manifests() -> list[dict[str, Any]]:
    listener = {
        "name": "internal",
        "port": 9092,
        "type": "internal",
        "tls": False,
        "authentication": {"type": "scram-sha-512"},
    }
    spec = {"kafka": {"listeners": [listener], "authorization": {"type": "simple"}}}
    everything = [
        {"resource": {"type": kind, "name": "*"}, "operations": ["All"]}
        for kind in ("topic", "group")
    ]
    user = {
        "authentication": {"type": "scram-sha-512"},
        "authorization": {"type": "simple", "acls": everything},
    }
    return [
        kafka_manifest("Kafka", "tape", spec),
        kafka_manifest("KafkaNodePool", "tape", {"replicas": 1, "roles": ["broker"]}),
        kafka_manifest("KafkaUser", "tester", user),
    ]


@contextmanager
def catalog_server(directory: Path, host: str) -> Iterator["CatalogServer"]:
    """The Iceberg REST catalog as a process."""
    server = CatalogServer(directory, host)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class CatalogServer:
    directory: Path
    host: str
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def uri(self) -> str:
        return f"http://{self.host}:8181"

    def start(self) -> None:
        settings = {
            "CATALOG_HOST": self.host,
            "CATALOG_PORT": "8181",
            "CATALOG_DATABASE": str(self.directory / "catalog.db"),
            "CATALOG_WAREHOUSE": str(self.directory / "warehouse"),
        }
        command = ["-Xmx192m", "-XX:+UseSerialGC", "-cp", f"{jars.catalog()}/*"]
        with (self.directory / "catalog.log").open("ab") as output:
            self.process = subprocess.Popen(
                [toolchain.java().executable, *command, "dev.tapehouse.catalog.Main"],
                env={**os.environ, **settings},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._await_answer()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.uri}/v1/config", timeout=2).read()
            except OSError:
                assert time.monotonic() < deadline, (self.directory / "catalog.log").read_text()
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=30)

    def load(self) -> Catalog:
        return load_catalog("tapehouse", type="rest", uri=self.uri)


@dataclass
class Platform:
    """Everything a stream job needs, with helpers to look at what it does."""

    running: Substrate
    catalog: CatalogServer

    @property
    def bootstrap(self) -> str:
        item = self.running.get(NAMESPACE, "kafka", "tape")
        assert item
        return str(item["status"]["listeners"][0]["bootstrapServers"])

    @property
    def password(self) -> str:
        secret = self.running.get(NAMESPACE, "secret", "tester")
        assert secret
        return base64.b64decode(secret["data"]["password"]).decode()

    def make_topic(self, name: str, partitions: int = 2) -> None:
        spec = {"partitions": partitions, "replicas": 1}
        self.running.apply(kafka_manifest("KafkaTopic", name, spec))
        self.await_ready("kafkatopic", name)

    def await_ready(self, kind: str, name: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            item = self.running.get(NAMESPACE, kind, name)
            return item if condition(item).get("status") == "True" else None

        return self.running.wait(look, saying=f"{kind} {name} ready")

    def make_table(self, identifier: str) -> None:
        catalog = self.catalog.load()
        catalog.create_namespace_if_not_exists(identifier.split(".")[0])
        catalog.create_table(identifier, TRADES, properties=TABLE_PROPERTIES)

    def produce(self, topic: str, first: int, count: int) -> None:
        """Trades `first` … `first + count - 1`, all acknowledged."""
        failed: list[str] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error:
                failed.append(error.str())

        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": "tester",
                "sasl.password": self.password,
                "enable.idempotence": True,
            }
        )
        for number in range(first, first + count):
            trade = {"trade_id": number, "symbol": f"S{number % 5}", "price": number / 8}
            producer.produce(topic, json.dumps(trade), str(number), on_delivery=delivered)
            producer.poll(0)
        producer.flush(60)
        assert not failed

    def job(self, name: str, table: str, topic: str, revision: int, **spec: Any) -> None:
        """Apply the ConfigMap and the FlinkDeployment of a job's revision."""
        self.running.apply(
            self.job_config(name, table, topic, revision), deployment(name, revision, **spec)
        )

    def job_config(self, name: str, table: str, topic: str, revision: int) -> dict[str, Any]:
        document = {
            "job": name,
            "namespace": NAMESPACE,
            "revision": revision,
            "branch": branch(revision),
            "forkFrom": branch(revision - 1) if revision > 1 else None,
            "catalog": {"uri": self.catalog.uri, "prefix": ""},
            "ddl": [self._source(topic, name)],
            "inserts": [_insert(table, branch(revision))],
            "outputs": [table],
            "configuration": {
                "table.exec.iceberg.use-v2-sink": "true",
                "table.exec.uid.generation": "ALWAYS",
                "table.local-time-zone": "UTC",
            },
        }
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{name}-{revision:05d}", "namespace": NAMESPACE},
            "data": {"job.json": json.dumps(document)},
        }

    def _source(self, topic: str, group: str) -> str:
        options = {
            "connector": "kafka",
            "topic": topic,
            "properties.bootstrap.servers": self.bootstrap,
            "properties.security.protocol": "SASL_PLAINTEXT",
            "properties.sasl.mechanism": "SCRAM-SHA-512",
            "properties.sasl.jaas.config": JAAS.format(user="tester"),
            "properties.config.providers": "env",
            "properties.config.providers.env.class": (
                "org.apache.kafka.common.config.provider.EnvVarConfigProvider"
            ),
            "properties.group.id": group,
            "scan.startup.mode": "earliest-offset",
            "format": "json",
        }
        pairs = ", ".join(f"'{key}'='{value}'" for key, value in options.items())
        return (
            "CREATE TEMPORARY TABLE trades (trade_id BIGINT, symbol STRING, price DOUBLE, "
            "kafka_partition INT METADATA FROM 'partition' VIRTUAL, "
            f"kafka_offset BIGINT METADATA FROM 'offset' VIRTUAL) WITH ({pairs})"
        )

    def deployment(self, name: str) -> dict[str, Any]:
        item = self.running.get(NAMESPACE, "flinkdeployment", name)
        assert item
        return item

    def await_stable(self, name: str, revision: int = 1, seconds: float = 240) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            item = self.deployment(name)
            status = item.get("status") or {}
            mounted = item["spec"]["podTemplate"]["spec"]["volumes"][0]["configMap"]["name"]
            stable = (
                status["lifecycleState"] == "STABLE"
                and status["jobStatus"]["state"] == "RUNNING"
                and status["observedGeneration"] == item["metadata"]["generation"]
            )
            return item if stable and mounted == f"{name}-{revision:05d}" else None

        return self.running.wait(look, seconds, saying=f"{name} stable at {revision}")

    def await_state(self, name: str, state: str, seconds: float = 180) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            item = self.deployment(name)
            return item if item["status"]["lifecycleState"] == state else None

        return self.running.wait(look, seconds, saying=f"{name} {state}")

    def rows(self, table: str, revision: int = 1) -> pa.Table:
        """All rows of a revision's branch; empty when there is none yet."""
        loaded = self.catalog.load().load_table(table)
        reference = loaded.refs().get(branch(revision))
        if reference is None:
            return loaded.schema().as_arrow().empty_table()
        return loaded.scan(snapshot_id=reference.snapshot_id).to_arrow()

    def await_rows(self, table: str, count: int, revision: int = 1, seconds: float = 180) -> None:
        """Wait until trades 0 … count - 1 are there, then see that each is there once."""
        self.running.wait(
            lambda: self.rows(table, revision).num_rows >= count or None,
            seconds,
            saying=f"{count} rows in {table}",
        )
        assert sorted(self.rows(table, revision)["trade_id"].to_pylist()) == list(range(count))

    def delete_job(self, name: str) -> None:
        self.running.server.kubectl(
            *("-n", NAMESPACE, "delete", "flinkdeployment", name, "--timeout=120s")
        )


def branch(revision: int) -> str:
    return f"rev-{revision:05d}"


def _insert(table: str, to: str) -> str:
    namespace, name = table.split(".")
    columns = "`trade_id`, `symbol`, `price`, `kafka_partition`, `kafka_offset`"
    target = f"lake.`{namespace}`.`{name}` /*+ OPTIONS('branch'='{to}') */"
    return f"INSERT INTO {target} ({columns})\nSELECT {columns} FROM trades"


def deployment(name: str, revision: int, **job: Any) -> dict[str, Any]:
    """A FlinkDeployment as the operator compiles it."""
    state = f"file://$(TAPEHOUSE_DATA)/flink/{NAMESPACE}/{name}"
    password = {"name": "tester", "key": "password"}
    container = {
        "name": "flink-main-container",
        "env": [
            {"name": "TAPEHOUSE_ROOT", "value": ""},
            {"name": "KAFKA_PASSWORD", "valueFrom": {"secretKeyRef": password}},
        ],
        "volumeMounts": [{"name": "job", "mountPath": "/etc/tapehouse", "readOnly": True}],
    }
    config_map = {"name": f"{name}-{revision:05d}"}
    pod = {"containers": [container], "volumes": [{"name": "job", "configMap": config_map}]}
    spec = {
        "image": "tapehouse/streams:dev",
        "flinkVersion": "v2_1",
        "flinkConfiguration": {
            "execution.checkpointing.interval": "1s",
            "execution.checkpointing.num-retained": "3",
            "execution.checkpointing.dir": f"{state}/checkpoints",
            "execution.checkpointing.savepoint-dir": f"{state}/savepoints",
            "restart-strategy.type": "exponential-delay",
            "restart-strategy.exponential-delay.initial-backoff": "1 s",
            "heartbeat.interval": "1 s",
            "heartbeat.timeout": "10 s",
            "taskmanager.numberOfTaskSlots": "2",
            "taskmanager.memory.managed.fraction": "0.1",
            "pipeline.max-parallelism": "128",
        },
        "podTemplate": {"spec": pod},
        "jobManager": {"resource": {"cpu": 0.5, "memory": "768m"}, "replicas": 1},
        "taskManager": {"resource": {"cpu": 1, "memory": "1024m"}},
        "job": {
            "jarURI": "local:///opt/flink/opt/flink-python-2.1.3.jar",
            "entryClass": "org.apache.flink.client.python.PythonDriver",
            "args": ["-pyclientexec", "python", "-pym", "tapehouse_streams.run"],
            "parallelism": 2,
            "upgradeMode": "savepoint",
            "state": "running",
            **job,
        },
    }
    meta = {"name": name, "namespace": NAMESPACE}
    return {
        "apiVersion": "flink.apache.org/v1beta1",
        "kind": "FlinkDeployment",
        "metadata": meta,
        "spec": spec,
    }


@contextmanager
def platform(server: ApiServer, directory: Path) -> Iterator[Platform]:
    """Broker and catalog up, Flink's controller waiting."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    with (
        catalog_server(directory, server.net.address(0, 10)) as catalog,
        substrate(server, directory, "kafka", "flink") as running,
    ):
        running.apply(namespace)
        running.apply(*kafka_manifests())
        found = Platform(running, catalog)
        found.await_ready("kafka", "tape")
        found.await_ready("kafkauser", "tester")
        yield found
