"""A real Kafka broker of one process, without authentication, on a loopback address of its own."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic
from tapehouse_laptop import jars

_HOST = f"127.87.{os.getpid() // 250 % 250 + 1}.{os.getpid() % 250 + 1}"
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:9093
listeners=PLAINTEXT://{host}:9092,CONTROLLER://{host}:9093
advertised.listeners=PLAINTEXT://{host}:9092
controller.listener.names=CONTROLLER
log.dirs={home}/logs
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
auto.create.topics.enable=false
"""


@contextmanager
def broker(home: Path) -> Iterator[str]:
    """The bootstrap address of a broker that runs for the length of the block."""
    libraries = f"{jars.kafka()}/*"
    properties = home / "server.properties"
    properties.write_text(_PROPERTIES.format(host=_HOST, home=home))
    java = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", libraries]
    with (home / "broker.log").open("wb") as log:
        subprocess.run(
            [*java, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk",
             "-c", str(properties)], check=True, stdout=log, stderr=log,
        )  # fmt: skip
        process = subprocess.Popen([*java, "kafka.Kafka", str(properties)], stdout=log, stderr=log)
    try:
        yield f"{_HOST}:9092"
    finally:
        process.terminate()
        process.wait(30)


def create_topics(bootstrap: str, *topics: str) -> None:
    """Create topics with two partitions and wait until they can be written."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    deadline = time.monotonic() + 60
    for future in admin.create_topics(
        [NewTopic(topic, 2, 1) for topic in topics], operation_timeout=30, request_timeout=60
    ).values():
        future.result()
    while not all(
        name in (known := admin.list_topics(timeout=10).topics)
        and all(p.leader >= 0 for p in known[name].partitions.values())
        for name in topics
    ):
        assert time.monotonic() < deadline, "no leader for a topic"
        time.sleep(0.1)
