"""The minutes of `bench.pipeline.peers` by Spark's structured streaming, in its own environment.

Reads a task as a line of JSON, and answers with a line: the seconds it took and those of the
processor, the JVM's and Python's. The code is what its documentation shows for windows.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

TICKS = os.sysconf("SC_CLK_TCK")
TRADE = (
    "event_id STRING, timestamp TIMESTAMP, trade_id STRING, symbol STRING, price DOUBLE, "
    "quantity BIGINT, buy_order_id STRING, sell_order_id STRING, buyer_agent_id STRING, "
    "seller_agent_id STRING, is_aggressive_buy BOOLEAN"
)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def perform(spark: SparkSession, pid: int, task: dict[str, Any]) -> dict[str, float]:
    began, used = time.monotonic(), cpu_seconds(pid) + cpu_seconds(os.getpid())
    trades = spark.readStream.schema(TRADE).json(task["input"])
    minutes = (
        trades.withWatermark("timestamp", "5 seconds")
        .groupBy("symbol", f.window("timestamp", "1 minute"))
        .agg(
            f.min("price").alias("low"),
            f.max("price").alias("high"),
            f.sum("quantity").alias("volume"),
            f.sum(f.col("price") * f.col("quantity")).alias("amount"),
            f.count("*").alias("n"),
        )
    )
    start = f.unix_millis("window.start").alias("start")
    query = (
        minutes.select("symbol", start, "low", "high", "volume", "amount", "n")
        .writeStream.format("json")
        .option("path", task["output"])
        .option("checkpointLocation", task["output"] + ".checkpoint")
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    spent = cpu_seconds(pid) + cpu_seconds(os.getpid()) - used
    return {"seconds": time.monotonic() - began, "cpu": spent}


def main() -> None:
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "1200m")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    pid = spark._jvm.java.lang.ProcessHandle.current().pid()
    for line in sys.stdin:
        print(json.dumps(perform(spark, pid, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
