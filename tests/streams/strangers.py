"""A job as the operator compiles it, over topics into which strangers write what is no event."""

import json
from datetime import timedelta
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from tapehouse_operator.emit.ddl import Clock, Input, input_ddl
from tapehouse_operator.emit.deadletters import dead_letters
from tapehouse_operator.emit.events import Event, Field
from tapehouse_operator.emit.job import Program
from tapehouse_operator.emit.platform import KafkaAccess
from tapehouse_operator.emit.sql import inserts

from tests.streams.platform import NAMESPACE, Platform, branch

FEED, LETTERS = "strange", "strange.dead-letters"
TRADES, ORDERS = "strange.trades", "strange.orders"
_FIELDS = (
    Field("trade_id", "long", required=True),
    Field("symbol", "string", required=True),
    Field("price", "double"),
    Field("at", "timestamptz"),
)
TRADE = Event("Trade", TRADES, "symbol", "at", _FIELDS)
PLACED = Event("Placed", ORDERS, "symbol", "at", _FIELDS)
CANCELLED = Event("Cancelled", ORDERS, "symbol", None, (Field("symbol", "string", required=True),))
CLOCK = Clock(timedelta(seconds=5), timedelta(seconds=2), timedelta(minutes=1))
SQL = """
INSERT INTO bronze.strange (trade_id, symbol, price, kafka_partition, kafka_offset)
SELECT trade_id, symbol, price, kafka_partition, kafka_offset FROM trades
UNION ALL
SELECT trade_id, symbol, price, kafka_partition, kafka_offset FROM placed
WHERE DECODE(kafka_headers['event_type'], 'UTF-8') = 'Placed';
"""


def good(number: int) -> bytes:
    return json.dumps({"trade_id": number, "symbol": "A", "price": number / 8}).encode()


POISON: dict[str, tuple[bytes | None, str]] = {
    "truncated": (good(1)[:-4], "not-json"),
    "null": (b"null", "not-an-object"),
    "a list": (b"[]", "not-an-object"),
    "no value": (None, "missing-data"),
    "not UTF-8": (b'{"trade_id": 1, "symbol": "\xff"}', "not-utf8"),
    "a wrong type": (b'{"trade_id": "one", "symbol": "A"}', "wrong-type"),
    "a huge number": (b'{"trade_id": 1, "symbol": "A", "price": 1e999}', "rule"),
    "a missing field": (b'{"trade_id": 1}', "missing-field"),
    "a bad time": (b'{"trade_id": 1, "symbol": "A", "at": "now"}', "bad-timestamp"),
    "a large one": (b'{"symbol": "%s"' % (b"x" * 800_000), "not-json"),
}
"""What is written to the topic of trades, and the reason it is kept with."""


def client(world: Platform) -> dict[str, Any]:
    return {
        "bootstrap.servers": world.bootstrap,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "tester",
        "sasl.password": world.password,
    }


def config(world: Platform, name: str, revision: int = 1) -> dict[str, Any]:
    """The ConfigMap of the job; only the first revision is of a job with one task."""
    tables = (
        Input("trades", TRADES, (TRADE,), False, ("trade_id",), FEED, ("Trade",)),
        Input("placed", ORDERS, (PLACED,), True, (), FEED, ("Placed", "Cancelled"), headers=True),
    )
    kafka = KafkaAccess(world.bootstrap, "tester").java()
    (letters,) = dead_letters(name, tables, {FEED: LETTERS})
    program = Program(
        job=name,
        namespace=NAMESPACE,
        catalog_uri=world.catalog.uri,
        catalog_prefix="",
        ddl=(
            *(text for table in tables for text in input_ddl(table, CLOCK, kafka, name)),
            letters.ddl(kafka),
        ),
        inserts=(*inserts(SQL), letters.insert()),
        topics=frozenset({LETTERS}),
        apart=revision == 1,
    )
    fork_from = branch(revision - 1) if revision > 1 else None
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-{revision:05d}", "namespace": NAMESPACE},
        "data": {"job.json": json.dumps(program.document(revision, fork_from))},
    }


Headers = dict[str, bytes | None]


def write(world: Platform, *records: tuple[str, bytes | None, Headers]) -> None:
    """Records of (topic, value, headers)."""
    producer = Producer(client(world))
    for topic, value, headers in records:
        producer.produce(topic, value, headers=headers)
    assert producer.flush(60) == 0


def letters(world: Platform, count: int) -> list[Any]:
    """The dead letters, at least `count` of them, and what else is there a second later."""
    consumer = Consumer({**client(world), "group.id": "none", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(LETTERS, number, 0) for number in range(2)])
    found: list[Any] = []
    try:
        world.running.wait(
            lambda: found.extend(consumer.consume(100, 1.0)) or len(found) >= count,
            saying=f"{count} dead letters",
        )
        return [*found, *consumer.consume(100, 1.0)]
    finally:
        consumer.close()
