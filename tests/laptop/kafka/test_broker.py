"""Strimzi's kinds on a real broker."""

import base64
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from tests.streams.substrate import Substrate, condition, substrate
from tests.support.controlplane import ApiServer

pytestmark = [pytest.mark.api, pytest.mark.local]

CLUSTER = {"strimzi.io/cluster": "tape"}
NAMESPACE = "kafka-broker"


def manifest(kind: str, name: str, spec: dict[str, Any], **meta: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": CLUSTER, **meta}
    return {"apiVersion": "kafka.strimzi.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def kafka_user(name: str, *acls: dict[str, Any]) -> dict[str, Any]:
    authorization = {"type": "simple", "acls": list(acls)}
    spec = {"authentication": {"type": "scram-sha-512"}, "authorization": authorization}
    return manifest("KafkaUser", name, spec)


def allow(kind: str, name: str, *operations: str) -> dict[str, Any]:
    return {"resource": {"type": kind, "name": name}, "operations": list(operations)}


def kafka() -> list[dict[str, Any]]:
    listener = {
        "name": "internal",
        "port": 9092,
        "type": "internal",
        "tls": False,
        "authentication": {"type": "scram-sha-512"},
    }
    spec = {"kafka": {"listeners": [listener], "authorization": {"type": "simple"}}}
    pool = {"replicas": 1, "roles": ["controller", "broker"]}
    return [manifest("Kafka", "tape", spec), manifest("KafkaNodePool", "tape", pool)]


@pytest.fixture(scope="module")
def broker(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Substrate]:
    directory: Path = tmp_path_factory.mktemp("kafka")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    with substrate(apiserver, directory, "kafka") as running:
        running.apply(namespace)
        running.apply(*kafka())
        await_ready(running, "kafka", "tape")
        yield running


def await_ready(running: Substrate, kind: str, name: str, status: str = "True") -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        item = running.get(NAMESPACE, kind, name)
        return item if condition(item).get("status") == status else None

    return running.wait(look, saying=f"{kind} {name} Ready={status}")


def bootstrap(running: Substrate) -> str:
    item = running.get(NAMESPACE, "kafka", "tape")
    assert item
    return str(item["status"]["listeners"][0]["bootstrapServers"])


def password(running: Substrate, name: str) -> str | None:
    secret = running.get(NAMESPACE, "secret", name)
    return base64.b64decode(secret["data"]["password"]).decode() if secret else None


def client(running: Substrate, name: str, **more: Any) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap(running),
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": name,
        "sasl.password": password(running, name),
        "log_level": 0,
        **more,
    }


def produce(config: dict[str, Any], topic: str, *values: bytes) -> list[int | None]:
    """Error codes by value, None for what was acknowledged."""
    codes: list[int | None] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        codes.append(error.code() if error else None)

    producer = Producer({**config, "message.timeout.ms": 20000})
    for value in values:
        producer.produce(topic, value, on_delivery=delivered)
    producer.flush(25)
    return codes


def consume(config: dict[str, Any], topic: str, group: str, count: int) -> list[bytes]:
    settings = {**config, "group.id": group, "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    values: list[bytes] = []
    try:
        # A poll's patience begins anew with each record: a machine that stands still loses none.
        while len(values) < count and (message := consumer.poll(60)):
            if error := message.error():
                raise KafkaException(error)
            values.append(message.value() or b"")
        return values
    finally:
        consumer.close()


def fresh(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def make_topic(running: Substrate, name: str, **spec: Any) -> dict[str, Any]:
    running.apply(manifest("KafkaTopic", name, {"partitions": 2, "replicas": 1, **spec}))
    return await_ready(running, "kafkatopic", name)


def test_status_has_strimzis_shape(broker: Substrate) -> None:
    item = await_ready(broker, "kafka", "tape")
    status = item["status"]
    host = f"{broker.server.net.prefix}.0.20"
    assert status["listeners"] == [
        {
            "name": "internal",
            "addresses": [{"host": host, "port": 9092}],
            "bootstrapServers": f"{host}:9092",
        }
    ]
    assert status["kafkaNodePools"] == [{"name": "tape"}]
    assert len(status["clusterId"]) == 22


def test_a_user_may_do_what_its_acls_say_and_nothing_else(broker: Substrate) -> None:
    topic, name = fresh("acl"), fresh("writer")
    make_topic(broker, topic)
    broker.apply(kafka_user(name, allow("topic", topic, "Write", "Describe")))
    await_ready(broker, "kafkauser", name)
    config = client(broker, name)

    assert produce(config, topic, b"1", b"2") == [None, None]
    with pytest.raises(KafkaException) as denied:
        consume(config, topic, name, 2)
    assert denied.value.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED

    reads = [allow("topic", topic, "Read", "Describe"), allow("group", name, "Read")]
    broker.apply(kafka_user(name, *reads))
    await_ready(broker, "kafkauser", name)
    assert sorted(consume(config, topic, name, 2)) == [b"1", b"2"]
    assert produce(config, topic, b"3") == [KafkaError.TOPIC_AUTHORIZATION_FAILED]


def test_a_deleted_user_cannot_log_in_and_a_deleted_secret_is_a_new_password(
    broker: Substrate,
) -> None:
    topic, name = fresh("login"), fresh("user")
    make_topic(broker, topic)
    broker.apply(kafka_user(name, allow("topic", topic, "Write", "Describe")))
    await_ready(broker, "kafkauser", name)
    old = client(broker, name)
    assert produce(old, topic, b"1") == [None]

    broker.server.kubectl("-n", NAMESPACE, "delete", "secret", name)
    changed = broker.wait(
        lambda: (new := password(broker, name)) and new != old["sasl.password"],
        saying="a new password",
    )
    assert changed
    assert produce(client(broker, name), topic, b"2") == [None]
    assert not can_log_in(old)

    new = client(broker, name)
    broker.server.kubectl("-n", NAMESPACE, "delete", "kafkauser", name)
    broker.wait(lambda: not can_log_in(new), saying="no more login")


def can_log_in(config: dict[str, Any]) -> bool:
    try:
        AdminClient(config).list_topics(timeout=3)
    except KafkaException:
        return False
    return True


def test_topic_lifecycle(broker: Substrate) -> None:
    name = fresh("life")
    made = make_topic(broker, name, config={"retention.ms": 60000})
    assert made["status"]["topicName"] == name
    assert made["status"]["topicId"]

    make_topic(broker, name, partitions=4, config={"cleanup.policy": "compact"})
    broker.apply(kafka_user("inspector", allow("topic", "*", "Describe", "DescribeConfigs")))
    await_ready(broker, "kafkauser", "inspector")
    admin = AdminClient(client(broker, "inspector"))
    assert len(admin.list_topics(name, timeout=10).topics[name].partitions) == 4

    broker.apply(manifest("KafkaTopic", name, {"partitions": 1, "replicas": 1}))
    refused = await_ready(broker, "kafkatopic", name, "False")
    assert condition(refused)["reason"] == "NotSupported"
    assert "Decreasing partitions" in condition(refused)["message"]

    broker.server.kubectl("-n", NAMESPACE, "delete", "kafkatopic", name, "--timeout=20s")
    broker.wait(lambda: name not in admin.list_topics(timeout=10).topics, saying="topic gone")


def test_a_topic_no_longer_managed_outlives_its_resource(broker: Substrate) -> None:
    name = fresh("kept")
    make_topic(broker, name)
    broker.server.kubectl(
        *("-n", NAMESPACE, "annotate", "kafkatopic", name, "strimzi.io/managed=false")
    )
    broker.server.kubectl("-n", NAMESPACE, "delete", "kafkatopic", name, "--timeout=20s")
    again = make_topic(broker, name)
    broker.apply(kafka_user("inspector", allow("topic", "*", "Describe", "DescribeConfigs")))
    await_ready(broker, "kafkauser", "inspector")
    assert again["status"]["topicId"]
    assert name in AdminClient(client(broker, "inspector")).list_topics(timeout=10).topics


def test_of_two_claims_on_a_topic_the_older_wins(broker: Substrate) -> None:
    topic, second = fresh("claim"), fresh("second")
    make_topic(broker, topic)
    broker.apply(manifest("KafkaTopic", second, {"topicName": topic, "partitions": 9}))
    refused = await_ready(broker, "kafkatopic", second, "False")
    assert condition(refused)["reason"] == "ResourceConflict"
    broker.server.kubectl("-n", NAMESPACE, "delete", "kafkatopic", second, "--timeout=20s")
    assert condition(broker.get(NAMESPACE, "kafkatopic", topic))["status"] == "True"


@pytest.mark.parametrize("victim", ["broker", "everything"])
def test_nothing_acknowledged_is_lost_when_killed(broker: Substrate, victim: str) -> None:
    topic, name = fresh("crash"), fresh("crash")
    make_topic(broker, topic)
    acls = [allow("topic", topic, "Read", "Write", "Describe"), allow("group", name, "Read")]
    broker.apply(kafka_user(name, *acls))
    await_ready(broker, "kafkauser", name)
    config = client(broker, name)
    values = [str(i).encode() for i in range(500)]
    assert produce(config, topic, *values) == [None] * 500

    old = broker.pid("kafka/kafka-broker/tape", "kafka")
    if victim == "broker":
        broker.kill_process("kafka/kafka-broker/tape", "kafka")
    else:
        broker.kill()
        broker.start()
    broker.wait(
        lambda: broker.pid("kafka/kafka-broker/tape", "kafka") not in (0, old), saying="restart"
    )
    assert sorted(consume(config, topic, name, 500)) == sorted(values)
    assert client(broker, name) == config


def test_who_was_deleted_takes_nobody_along_at_the_next_start(broker: Substrate) -> None:
    deleted = "first-rpgilbs"  # hashes to 0: of all users a broker meets it first
    topic, name = fresh("login"), fresh("user")
    make_topic(broker, topic)
    broker.apply(kafka_user(deleted), kafka_user(name, allow("topic", topic, "Write", "Describe")))
    for user in (deleted, name):
        await_ready(broker, "kafkauser", user)
    gone = client(broker, deleted)
    assert can_log_in(gone)
    broker.server.kubectl("-n", NAMESPACE, "delete", "kafkauser", deleted)
    broker.wait(lambda: not can_log_in(gone), saying="no more login")

    broker.kill_process("kafka/kafka-broker/tape", "kafka")
    assert produce(client(broker, name), topic, b"1") == [None]
