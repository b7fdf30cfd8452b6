"""The same minutes of the same trades by other engines, per CPU-second.

    .venv/bin/python -m bench.pipeline.peers [--records 300000] [--rounds 3] [--engines ours spark]

Trades of one topic, in JSON, become the minutes of each symbol (least and highest price, volume,
value, count) in another: read, decoded, put into windows by event time, written.

`ours`   a job as the operator compiles it: every record checked, what is no event kept
`flink`  plain Flink, the SQL as a user of Flink would write it
`quix`   Quix Streams, one process
`spark`  PySpark, structured streaming, all that is there (`availableNow`), two threads; from files
         to files, which costs it less than Kafka: its connector is not a part of the package

All read one input, of two partitions, and their minutes are compared with those of a loop over the
trades: a missing or different one fails. CPU-seconds are those of the whole process, planning
included, starting not; the engines take turns and a first round is thrown away. Quix Streams and
PySpark are installed into the user's cache, once.
"""

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from math import isclose
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka.admin import NewTopic
from tapehouse_laptop import cache

from bench.pipeline import decode
from bench.pipeline.trades import BEGAN, SYMBOLS, encode, trades, write
from bench.pipeline.workers import Worker, flink, worker
from tests.feed.broker import Broker

MINUTE = 60_000
LATER = "2026-11-21T12:00:00.000000Z"
"""After all others: a last trade of each symbol that closes its windows."""
PACKAGES = {"quix": "quixstreams==3.28.0", "spark": "pyspark==4.1.1"}
ENGINES = ("ours", "flink", "quix", "spark")
USUAL = ("ours", "flink", "quix")
"""PySpark is 430 MB and takes minutes to install: who wants it asks for it."""
COLUMNS = (
    "symbol STRING, `start` BIGINT, low DOUBLE, high DOUBLE, volume BIGINT, amount DOUBLE, n BIGINT"
)
START = "CAST(TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', window_start) AS BIGINT)"
MINUTES = (
    f"INSERT INTO `{{output}}` SELECT symbol, 1000 * {START}, MIN(price), MAX(price), "
    "SUM(quantity), SUM(price * quantity), COUNT(*) "
    "FROM TABLE(TUMBLE(TABLE {input}, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) "
    "GROUP BY symbol, window_start, window_end"
)
Minutes = dict[tuple[str, int], dict[str, float]]


def load(broker: Broker, scratch: Path, count: int) -> Minutes:
    """Fill the topic, and files of the same; the minutes that must come of it."""
    broker.create(NewTopic("trades", 2, 1), NewTopic(decode.LETTERS, 2, 1))
    minutes: Minutes = {}

    def records() -> Iterator[tuple[str, bytes, int]]:
        trade: dict[str, Any] = {}
        for number, trade in enumerate(trades(count)):
            _add(minutes, trade, BEGAN + number // MINUTE * MINUTE)
            yield trade["symbol"], encode(trade), _partition(trade["symbol"])
        for number in range(SYMBOLS):
            symbol = f"SYM{number}"
            yield symbol, encode(trade | {"symbol": symbol, "timestamp": LATER}), _partition(symbol)

    files = scratch / "trades"
    files.mkdir()
    with (files / "0.json").open("wb") as first, (files / "1.json").open("wb") as second:

        def copied() -> Iterator[tuple[str, bytes, int]]:
            for key, value, partition in records():
                (second if partition else first).write(value + b"\n")
                yield key, value, partition

        write(broker.bootstrap, "trades", copied())
    return minutes


def _partition(symbol: str) -> int:
    return int(symbol.removeprefix("SYM")) % 2


def _add(minutes: Minutes, trade: dict[str, Any], start: int) -> None:
    price, quantity = trade["price"], trade["quantity"]
    empty = {"low": price, "high": price, "volume": 0, "amount": 0.0, "n": 0}
    minute = minutes.setdefault((trade["symbol"], start), empty)
    minute["low"], minute["high"] = min(minute["low"], price), max(minute["high"], price)
    minute["volume"] += quantity
    minute["amount"] += price * quantity
    minute["n"] += 1


def check(broker: Broker, scratch: Path, output: str, wanted: Minutes) -> None:
    """That the minutes of `output` are those wanted, each once."""
    found: Minutes = {}
    for symbol, minute in _written(broker, scratch, output):
        window = symbol, minute["start"]
        assert window not in found, f"{output}: {window} is there twice"
        found[window] = minute
    late = {window for window in found if window[1] > BEGAN + 86_400_000}
    assert found.keys() - late == wanted.keys(), f"{output}: {len(found)} of {len(wanted)} minutes"
    for window, minute in wanted.items():
        for name, value in minute.items():
            assert isclose(found[window][name], value, rel_tol=1e-9), (output, window, name)


def _written(broker: Broker, scratch: Path, output: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in (scratch / "spark" / output).glob("*.json"):
        for line in file.read_text().splitlines():
            value = json.loads(line)
            yield value["symbol"], value
    for message in broker.read(output):
        yield (message.key() or b"").decode().strip('"'), json.loads(message.value() or b"")


def task(engine: str, bootstrap: str, output: str, scratch: Path, minutes: int) -> dict[str, Any]:
    """What to tell the engine's worker."""
    if engine == "spark":
        return {"input": str(scratch / "trades"), "output": str(scratch / engine / output)}
    if engine == "quix":
        arguments = {"input": "trades", "output": output, "scratch": str(scratch / engine)}
        return {"bootstrap": bootstrap, "minutes": minutes, **arguments}
    sink = (
        f"CREATE TEMPORARY TABLE `{output}` ({COLUMNS}) WITH ('connector' = 'kafka', "
        f"'topic' = '{output}', 'properties.bootstrap.servers' = '{bootstrap}', "
        "'format' = 'json', 'key.format' = 'raw', 'key.fields' = 'symbol')"
    )
    ours = engine == "ours"
    insert = MINUTES.format(output=output, input="ours" if ours else "json")
    inserts = [insert, *([decode.kept()] if ours else [])]
    return {"ddl": [sink], "inserts": inserts, "reuse": ours}


def start(stack: ExitStack, engine: str, scratch: Path, bootstrap: str) -> Worker:
    """The engine's process."""
    if engine in ("ours", "flink"):
        iso = "'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601'"
        by_hand = decode.by_hand("json", "trades", bootstrap, iso)
        request = {"ddl": [by_hand, *decode.compiled(bootstrap)]}
        return stack.enter_context(flink(scratch / engine, request))
    home = _installed(engine)
    python = Path(sys.base_prefix) / "bin/python3"
    script = Path(__file__).with_name(f"{engine}_worker.py")
    command = [str(python), "-P", str(script)]
    (scratch / engine).mkdir()
    environment = {"PYTHONPATH": str(home), "PYSPARK_PYTHON": str(python)}
    return stack.enter_context(worker(command, environment))


def _installed(engine: str) -> Path:
    """The engine's packages, in the user's cache; not there yet, they are fetched."""

    def fetch(target: Path) -> None:
        uv = shutil.which("uv")
        installer = [uv, "pip"] if uv else [sys.executable, "-m", "pip"]
        install = [*installer, "install", "-q", "--target", str(target), PACKAGES[engine]]
        subprocess.run(list(map(str, install)), check=True)

    return cache.entry(f"bench-{engine}", cache.digest_of(PACKAGES[engine]), fetch)


def measure(scratch: Path, net: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Records per CPU-second of each engine, by round."""
    rates: dict[str, list[float]] = defaultdict(list)
    broker = Broker(scratch, f"{net}.20")
    broker.start()
    with ExitStack() as stack:
        stack.callback(broker.stop)
        wanted = load(broker, scratch, options.records)
        running = {e: start(stack, e, scratch, broker.bootstrap) for e in options.engines}
        for turn in range(options.rounds + 1):
            for engine, one in running.items():
                output = f"minutes-{engine}-{turn}"
                broker.create(NewTopic(output, 2, 1))
                request = task(engine, broker.bootstrap, output, scratch, len(wanted))
                spent = one.run(request)
                check(broker, scratch, output, wanted)
                rate = options.records / spent["cpu"]
                print(f"{turn} {engine:6} {rate:10,.0f} records per CPU-second", flush=True)
                if turn:
                    rates[engine].append(rate)
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(USUAL))
    parser.add_argument("--net", default="127.87.1", help="loopback addresses, three numbers")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with TemporaryDirectory(prefix="bench-peers-") as directory:
        rates = measure(Path(directory), options.net, options)
    ours = statistics.median(rates[options.engines[0]])
    print("\n| | records per CPU-second | each round | ours against it |\n|---|---|---|---|")
    for engine, each in rates.items():
        median = statistics.median(each)
        rounds = " ".join(f"{rate / 1000:.0f}k" for rate in each)
        print(f"| {engine} | {median:,.0f} | {rounds} | {ours / median:.2f}x |")


if __name__ == "__main__":
    main()
