"""The job of a rehearsal: of everything that jobs here are made of, a little."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tapehouse_laptop.kafka.config import jaas

TOPICS = ("events", "minutes")
EVENTS = 200

SOURCE = """CREATE TEMPORARY TABLE events (
  id STRING, symbol STRING, price DOUBLE, quantity BIGINT, `time` TIMESTAMP_LTZ(6),
  kafka_offset BIGINT NOT NULL METADATA FROM 'offset' VIRTUAL,
  trace_id STRING METADATA FROM 'header.trace_id' VIRTUAL,
  event_time AS CAST(`time` AS TIMESTAMP_LTZ(3)),
  WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
) WITH ('connector'='tapehouse-kafka', 'topic'='events', 'format'='tapehouse-json',
  'scan.startup.mode'='earliest-offset', 'scan.bounded.mode'='latest-offset',
  'properties.group.id'='rehearsal', {clients})"""
SINK = """CREATE TEMPORARY TABLE minutes (
  symbol STRING, `minute` TIMESTAMP_LTZ(3), `open` DOUBLE, `close` DOUBLE, volume BIGINT
) WITH ('connector'='kafka', 'topic'='minutes', 'format'='json', 'key.format'='json',
  'key.fields'='symbol', 'sink.delivery-guarantee'='at-least-once', {clients})"""
CATALOG = """CREATE CATALOG lake WITH (
  'type'='iceberg', 'catalog-type'='rest', 'uri'='{uri}', 'cache-enabled'='false')"""
TABLE = """CREATE TABLE lake.bronze.trades (
  id STRING, symbol STRING, price DOUBLE, `time` TIMESTAMP_LTZ(6)
) PARTITIONED BY (symbol) WITH ('format-version'='2', 'write.parquet.compression-codec'='zstd')"""

INTO_TABLE = """\
INSERT INTO lake.bronze.trades /*+ OPTIONS('branch'='rev-00001') */ (id, symbol, price, `time`)
WITH numbered AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY PROCTIME()) AS n FROM events
)
SELECT id, symbol, price, `time` FROM numbered WHERE n = 1"""
INTO_TOPIC = """INSERT INTO minutes (symbol, `minute`, `open`, `close`, volume)
WITH windows AS (
  SELECT symbol, window_start, FIRST_BY(price, `time`, kafka_offset) AS f,
    LAST_BY(price, `time`, kafka_offset) AS l, SUM(quantity) AS volume
  FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY symbol, window_start, window_end
)
SELECT symbol, CAST(window_start AS TIMESTAMP_LTZ(3)), f.`value`, l.`value`, volume FROM windows"""


def job(clients: Mapping[str, str], uri: str) -> dict[str, Any]:
    """`job.json` for `tapehouse_streams.replay`: a topic into a table and into another topic."""
    properties = {
        "bootstrap.servers": clients["bootstrap.servers"],
        "security.protocol": clients["security.protocol"],
        "sasl.mechanism": clients["sasl.mechanism"],
        "sasl.jaas.config": jaas(clients["sasl.username"], clients["sasl.password"]),
    }
    pairs = ", ".join(f"'properties.{name}'='{value}'" for name, value in properties.items())
    return {
        "job": "rehearsal",
        "catalog": {"uri": "", "prefix": ""},
        "ddl": [
            CATALOG.format(uri=uri),
            "CREATE DATABASE lake.bronze",
            TABLE,
            SOURCE.format(clients=pairs),
            SINK.format(clients=pairs),
        ],
        "inserts": [INTO_TABLE, INTO_TOPIC],
        "outputs": [],
        "configuration": {
            "execution.checkpointing.interval": "1 s",
            "execution.checkpointing.mode": "EXACTLY_ONCE",
            "state.backend.type": "rocksdb",
            "table.exec.iceberg.use-v2-sink": "true",
            "table.exec.uid.generation": "ALWAYS",
            "table.exec.state.ttl": "15 min",
        },
    }


def events() -> Iterator[tuple[str, str]]:
    """Keys and values of some trades, five seconds apart."""
    for number in range(EVENTS):
        minute, second = divmod(5 * number, 60)
        symbol = f"S{number % 3}"
        event = {
            "id": str(number),
            "symbol": symbol,
            "price": 100.0 + number % 7,
            "quantity": 1 + number % 5,
            "time": f"2026-01-02T10:{minute:02}:{second:02}Z",
        }
        yield symbol, json.dumps(event)
