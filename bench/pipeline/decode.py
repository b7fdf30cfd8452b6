"""A stream job as the operator compiles it against the same SQL by hand, per CPU-second.

    .venv/bin/python -m bench.pipeline.decode [--records 3000000] [--rounds 3] [--queries read]

The same trades, in a real broker, are read to their end by one Flink of parallelism 2:

`json`    plain Flink: its own JSON format, the SQL as a user of Flink would write it
`tuned`   the same, rows being handed on without a copy (`pipeline.object-reuse`), as ours are
`avro`    the same as `tuned`, of records in Avro
`ours`    our compiled inputs: `tapehouse-json`, every record checked, what is no event kept
`raw`     the ceiling: the bytes are read and not looked at

and counted (`read`), made into minutes (`windows`) or appended to Iceberg (`land`). Figures are
records per second of the processor, of the whole JVM, median of the rounds; the variants take
turns, a first round is thrown away. Planning and compiling take a job two to five of them, so that
few records say little.
"""

import argparse
import signal
import statistics
import sys
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka.admin import NewTopic
from tapehouse_contracts.types import parse_type
from tapehouse_operator.emit.ddl import Clock, Input, flink_type, input_ddl
from tapehouse_operator.emit.deadletters import dead_letters
from tapehouse_operator.emit.events import PRESETS, on_topic

from bench.pipeline.trades import encode, trades, write
from bench.pipeline.workers import flink
from tests.feed.broker import Broker

(TRADE,) = on_topic(PRESETS["market/v1"], "raw.trades")
CLOCK = Clock(timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=1))
LETTERS = "market.dead-letters"
OURS = Input("ours", "trades", (TRADE,), filtered=False, feed="market", known=("TradeExecuted",))
VARIANTS = {"json": "json", "tuned": "json", "avro": "avro", "ours": "ours"}
"""The table each of them reads."""
AVRO = "org.apache.flink:flink-sql-avro:2.1.0"
DISTINCT = 20_000
"""Different trades; more records repeat them."""
BOUNDED = "'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset'"
FIELDS = [(f.name, flink_type(parse_type(f.type))) for f in TRADE.fields]
NAMES = ", ".join(f"`{name}`" for name, _ in FIELDS)
LANDED = f"{NAMES}, kafka_partition, kafka_offset, ingested_at, trace_id"
MINUTES = (
    "SELECT symbol, window_start, MIN(price), MAX(price), SUM(quantity), SUM(price * quantity), "
    "COUNT(*) FROM TABLE(TUMBLE(TABLE {input}, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) "
    "GROUP BY symbol, window_start, window_end"
)
QUERIES = {
    "read": f"INSERT INTO nothing SELECT {LANDED} FROM {{input}}",
    "windows": f"INSERT INTO minutes {MINUTES}",
    "land": f"INSERT INTO lake.bronze.{{table}} SELECT {LANDED} FROM {{input}}",
}
COLUMNS = (
    ", ".join(f"`{name}` {type_}" for name, type_ in FIELDS)
    + ", kafka_partition INT, kafka_offset BIGINT, ingested_at TIMESTAMP_LTZ(6), trace_id STRING"
)


def load(broker: Broker, count: int) -> None:
    broker.create(*(NewTopic(name, 2, 1) for name in ("trades", "avro", LETTERS)))
    values = [encode(trade) for trade in trades(min(count, DISTINCT))]
    records = (("SYM", values[number % len(values)], number % 2) for number in range(count))
    write(broker.bootstrap, "trades", records)


def by_hand(name: str, topic: str, bootstrap: str, form: str, *, bounded: bool = True) -> str:
    """The table over a topic as a user of Flink writes it."""
    columns = ", ".join(f"`{field}` {type_}" for field, type_ in FIELDS)
    if bounded:
        columns += """,
  kafka_partition INT METADATA FROM 'partition' VIRTUAL,
  kafka_offset BIGINT METADATA FROM 'offset' VIRTUAL,
  ingested_at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  kafka_headers MAP<STRING, BYTES> METADATA FROM 'headers' VIRTUAL,
  trace_id AS DECODE(kafka_headers['trace_id'], 'UTF-8'),
  event_time AS CAST(`timestamp` AS TIMESTAMP_LTZ(3)),
  WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND"""
    scan = f", {BOUNDED}" if bounded else ""
    return (
        f"CREATE TEMPORARY TABLE {name} ({columns}) WITH ('connector' = 'kafka', "
        f"'topic' = '{topic}', 'properties.bootstrap.servers' = '{bootstrap}'{scan}, {form})"
    )


def ddl(bootstrap: str, warehouse: Path) -> list[str]:
    """Every table of every variant."""
    iso = "'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601'"
    avro = "'format' = 'avro', 'avro.timestamp_mapping.legacy' = 'false'"
    return [
        by_hand("json", "trades", bootstrap, iso),
        by_hand("avro", "avro", bootstrap, avro),
        by_hand("into_avro", "avro", bootstrap, avro, bounded=False),
        "CREATE TEMPORARY TABLE `raw` (`value` BYTES) WITH ('connector' = 'kafka', 'topic' = "
        f"'trades', 'properties.bootstrap.servers' = '{bootstrap}', {BOUNDED}, 'format' = 'raw')",
        *compiled(bootstrap),
        f"CREATE TEMPORARY TABLE nothing ({COLUMNS}) WITH ('connector' = 'blackhole')",
        "CREATE TEMPORARY TABLE nothing_raw (v BYTES) WITH ('connector' = 'blackhole')",
        "CREATE TEMPORARY TABLE minutes (symbol STRING, `minute` TIMESTAMP(3), low DOUBLE, "
        "high DOUBLE, volume BIGINT, `value` DOUBLE, n BIGINT) WITH ('connector' = 'blackhole')",
        f"CREATE CATALOG lake WITH ('type' = 'iceberg', 'catalog-type' = 'hadoop', 'warehouse' = "
        f"'{warehouse.as_uri()}')",
        "CREATE DATABASE lake.bronze",
    ]


def compiled(bootstrap: str) -> list[str]:
    """The tables over topics as the operator writes them, read to the end."""
    kafka = {"bootstrap.servers": bootstrap}
    inputs = input_ddl(OURS, CLOCK, kafka, "bench")
    letters = dead_letters("bench", [OURS], {"market": LETTERS})[0]
    bounded = [text.replace("'scan.startup.mode' = 'earliest-offset'", BOUNDED) for text in inputs]
    return [*bounded, letters.ddl(kafka)]


def kept() -> str:
    """The INSERT of what is no event, as the operator writes it."""
    letters = dead_letters("bench", [OURS], {"market": LETTERS})[0].insert()
    return f"INSERT INTO `{LETTERS}` (`value`, `headers`)\n{letters.query}"


def jobs(rounds: int, queries: list[str], variants: list[str]) -> list[dict[str, Any]]:
    """Every measurement, in the order it is made; the first round warms up."""
    made: list[dict[str, Any]] = []
    for turn in range(rounds + 1):
        for query in queries:
            for variant in variants:
                table, source = f"{variant}_{turn}", VARIANTS[variant]
                create = f"CREATE TABLE lake.bronze.{table} ({COLUMNS})"
                made.append(
                    {
                        "name": [query, variant],
                        "turn": turn,
                        "ddl": [create] if query == "land" else [],
                        "reuse": variant != "json",
                        "inserts": [QUERIES[query].format(input=source, table=table)]
                        + ([kept()] if source == "ours" else []),
                    }
                )
        raw: dict[str, Any] = {"name": ["read", "raw"], "turn": turn, "reuse": True}
        if "read" in queries:
            made.append({**raw, "inserts": ["INSERT INTO nothing_raw SELECT `value` FROM `raw`"]})
    return made


def run(scratch: Path, bootstrap: str, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    with flink(scratch, {"ddl": ddl(bootstrap, scratch / "warehouse")}, AVRO) as engine:
        if any("avro" in job["name"] for job in wanted):
            engine.run({"inserts": [f"INSERT INTO into_avro SELECT {NAMES} FROM json"]})
        for job in wanted:
            spent = engine.run(job)
            said = f"{job['turn']} {' '.join(job['name']):16} {spent['cpu']:6.2f} CPU-s"
            print(f"{said} {spent['seconds']:6.2f} s", flush=True)
            if job["turn"]:
                found.append({"name": job["name"], **spent})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=3_000_000)
    parser.add_argument("--queries", nargs="+", choices=QUERIES, default=list(QUERIES))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--net", default="127.87.0", help="loopback addresses, three numbers")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with TemporaryDirectory(prefix="bench-decode-") as directory:
        scratch = Path(directory)
        broker = Broker(scratch, f"{options.net}.20")
        broker.start()
        try:
            load(broker, options.records)
            wanted = jobs(options.rounds, options.queries, options.variants)
            found = run(scratch, broker.bootstrap, wanted)
        finally:
            broker.stop()
    report(found, options.records)


def report(found: list[dict[str, Any]], records: int) -> None:
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    for each in found:
        query, variant = each["name"]
        rates[query, variant].append(records / each["cpu"])
    print("\n| | | records per CPU-second | against json | each round |\n|---|---|---|---|---|")
    for (query, variant), values in rates.items():
        median = statistics.median(values)
        ratio = median / statistics.median(rates[query, "json"])
        each_round = " ".join(f"{value / 1000:.0f}k" for value in values)
        print(f"| {query} | {variant} | {median:,.0f} | {ratio:.2f}x | {each_round} |")


if __name__ == "__main__":
    main()
