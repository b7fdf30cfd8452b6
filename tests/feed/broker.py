"""A real Kafka broker on an address of its own, that tests may stop and start."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from tapehouse_laptop import jars
from tapehouse_laptop.kafka.config import new_cluster_id

PROPERTIES = """\
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
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""


def eventually(check: Callable[[], Any], seconds: float = 60, every: float = 0.1) -> Any:
    """The first truthy answer; the last one is the failure."""
    end = time.monotonic() + seconds
    while not (answer := check()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {answer!r}"
        time.sleep(every)
    return answer


class Broker:
    """One broker and controller in one JVM."""

    def __init__(self, home: Path, host: str) -> None:
        self.home = home
        self.bootstrap = f"{host}:9092"
        self._properties = home / "server.properties"
        self._properties.write_text(PROPERTIES.format(host=host, home=home))
        self._java = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        self._java += ["-cp", f"{jars.kafka()}/*"]
        self._process: subprocess.Popen[bytes] | None = None
        # One id in 64 begins with a dash: on its own it would be taken for an option.
        storage = ["kafka.tools.StorageTool", "format", f"--cluster-id={new_cluster_id()}"]
        storage += ["--config", str(self._properties)]
        subprocess.run([*self._java, *storage], check=True, capture_output=True)

    def start(self) -> None:
        with (self.home / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java, "kafka.Kafka", self._properties], stdout=log, stderr=log
            )
        eventually(self._answers, 90)

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self.home / "broker.log").read_text()[-2000:]
        try:
            return bool(self.admin().list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process:
            os.kill(self._process.pid, number)
            self._process.wait(60)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Answers no client meanwhile, and closes no connection."""
        assert self._process
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def admin(self) -> AdminClient:
        quiet = {"log_level": 0}
        return AdminClient({"bootstrap.servers": self.bootstrap, **quiet})

    def create(self, *topics: NewTopic) -> None:
        """Create topics and wait until they can be written."""
        admin = self.admin()
        for future in admin.create_topics(list(topics), operation_timeout=30).values():
            future.result()

        def led() -> bool:
            known = admin.list_topics(timeout=10).topics
            return all(
                t.topic in known
                and len(known[t.topic].partitions) == t.num_partitions
                and all(p.leader >= 0 for p in known[t.topic].partitions.values())
                for t in topics
            )

        eventually(led, 30)

    def records(self, topic: str) -> list[Message]:
        """Everything in a topic now, in order within each partition."""
        return list(self.read(topic))

    def read(self, topic: str) -> Iterator[Message]:
        """The same, one after another."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        try:
            left = set(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, number, 0) for number in left])
            while left:
                for message in consumer.consume(10_000, 0.1):
                    error = message.error()
                    if error is None:
                        yield message
                    else:
                        assert error.code() == KafkaError._PARTITION_EOF, error
                        left.discard(message.partition())
        finally:
            consumer.close()
