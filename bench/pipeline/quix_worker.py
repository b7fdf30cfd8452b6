"""The minutes of `bench.pipeline.peers` by Quix Streams, in an environment of its own.

Reads a task as a line of JSON, and answers with a line: the seconds it took and those of the
processor. The code is what its documentation shows for tumbling windows.
"""

import json
import resource
import sys
import time
from datetime import datetime
from typing import Any

from quixstreams import Application
from quixstreams.dataframe.windows import Count, Max, Min, Sum


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def event_time(value: Any, headers: Any, timestamp: float, kind: Any) -> int:
    return int(datetime.fromisoformat(value["timestamp"]).timestamp() * 1000)


def perform(task: dict[str, Any]) -> dict[str, float]:
    began, used = time.monotonic(), cpu_seconds()
    app = Application(
        broker_address=task["bootstrap"],
        consumer_group=task["output"],
        auto_offset_reset="earliest",
        state_dir=f"{task['scratch']}/{task['output']}",
        loglevel="WARNING",
    )
    trades = app.topic(task["input"], value_deserializer="json", timestamp_extractor=event_time)
    minutes = app.topic(task["output"], value_serializer="json")
    frame = app.dataframe(trades)
    frame["amount"] = frame["price"] * frame["quantity"]
    window = frame.tumbling_window(60_000, grace_ms=5_000).agg(
        low=Min("price"),
        high=Max("price"),
        volume=Sum("quantity"),
        amount=Sum("amount"),
        n=Count(),
    )
    window.final().to_topic(minutes)
    app.run(count=task["minutes"], timeout=30, collect=False)
    return {"seconds": time.monotonic() - began, "cpu": cpu_seconds() - used}


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(perform(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
