"""The bridge against its ceiling and a peer: events per CPU-second, interleaved.

    .venv/bin/python -m bench.pipeline.bridge [--events 60000] [--rounds 5] [--bootstrap HOST:PORT]

`ceiling` only produces ready-made records with the same headers, keys and a delivery report each;
`bare` without headers; `peer` is a bridge of `websockets` and `json` that writes the same headers;
`bridge` is ours. All read the same frames (the peer and ours from a socket), write to topics of
the same shape and count CPU-seconds of their own process, the client library's threads included.
A warm-up round is thrown away. Without --bootstrap a broker is started for the occasion.
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import picows
import uvloop
import websockets
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from tapehouse_feed.bridge import Bridge
from tapehouse_feed.config import load
from tapehouse_feed.session import Deliver, Session
from tapehouse_feed.simulator import Exchange
from tapehouse_feed.simulator.server import encode, stamp
from tapehouse_tape.events import load_preset

from tests.feed.broker import Broker

SYMBOLS = ("AAPL", "MSFT", "GOOG")
NET = "127.86.0"
SETTINGS = {"linger.ms": 5, "compression.type": "lz4", "enable.idempotence": True}


def frames(count: int) -> list[bytes]:
    now = time.time_ns() // 1000
    events = Exchange(7, SYMBOLS).block
    return [stamp(encode(e), e, now) for b in range(count // 1000) for e in events(b)]


def topics(bootstrap: str, prefix: str) -> None:
    names = {f"{prefix}.{event.topic}" for event in load_preset("market/v1").events}
    made = [NewTopic(name, 6, 1) for name in names] + [NewTopic(f"{prefix}.dead-letters", 3, 1)]
    compacted = NewTopic(f"{prefix}.cursor", 1, 1, config={"cleanup.policy": "compact"})
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([*made, compacted]).values():
        future.result()
    time.sleep(1)


class _Flood(picows.WSListener):
    """Sends everything to a client, many frames to a packet, as fast as it reads."""

    def __init__(self, packets: list[bytes]) -> None:
        self._packets = packets
        self._writable = asyncio.Event()
        self._writable.set()

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._task = asyncio.get_running_loop().create_task(self._send(transport))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def _send(self, transport: picows.WSTransport) -> None:
        for packet in self._packets:
            await self._writable.wait()
            transport.underlying_transport.write(packet)


def _packets(frames_: list[bytes], size: int = 60) -> list[bytes]:
    heads = [
        bytes((0x81, 126)) + len(f).to_bytes(2) if len(f) > 125 else bytes((0x81, len(f)))
        for f in frames_
    ]
    whole = [head + frame for head, frame in zip(heads, frames_, strict=True)]
    return [b"".join(whole[i : i + size]) for i in range(0, len(whole), size)]


def flood(host: str, port: int, count: int) -> None:
    """A server process."""
    packets = _packets(frames(count))

    async def main() -> None:
        make: Callable[..., Any] = lambda _: _Flood(packets)  # noqa: E731
        await (await picows.ws_create_server(make, host, port)).serve_forever()

    uvloop.run(main())


def _produce(bootstrap: str, records: list[Any], headers: bool) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, **SETTINGS})
    acked = [0]

    def report(error: Any, _: Any) -> None:
        assert error is None
        acked[0] += 1

    for number, (topic, key, value, own) in enumerate(records):
        if headers:
            producer.produce(topic, value, key, on_delivery=report, headers=own)
        else:
            producer.produce(topic, value, key, on_delivery=report)
        if number % 500 == 0:
            producer.poll(0)
    producer.flush()
    assert acked[0] == len(records)


def ceiling(bootstrap: str, prefix: str, count: int, url: str, headers: bool = True) -> float:
    session = Session("f", _events(prefix), stream="5" * 16, run="a" * 16)
    actions = [action for frame in frames(count) for action in session.receive(frame, 1)]
    records = [(a.topic, a.key, a.value, a.headers) for a in actions if isinstance(a, Deliver)]
    began = time.process_time()
    _produce(bootstrap, records, headers)
    return time.process_time() - began


def bare(bootstrap: str, prefix: str, count: int, url: str) -> float:
    return ceiling(bootstrap, prefix, count, url, headers=False)


def peer(bootstrap: str, prefix: str, count: int, url: str) -> float:
    events = {event.name: event for event in _events(prefix)}
    producer = Producer({"bootstrap.servers": bootstrap, **SETTINGS})

    def report(error: Any, _: Any) -> None:
        assert error is None

    async def main() -> float:
        began = time.process_time()
        async with websockets.connect(url, compression=None) as socket:
            for number in range(count):
                frame = json.loads(await socket.recv())
                event = events[frame["event_type"]]
                data = frame["data"]
                if not all(f.name in data for f in event.fields if f.required):
                    continue
                headers = {
                    "event_type": event.name,
                    "trace_id": uuid.uuid4().hex,
                    "source": "f",
                    "schema_id": "s",
                    "ingested_at": str(time.time()),
                    "seq": str(frame["sequence"]),
                }
                value, key = json.dumps(data), data[event.key]
                producer.produce(event.topic, value, key, on_delivery=report, headers=headers)
                if number % 500 == 0:
                    producer.poll(0)
        producer.flush()
        return time.process_time() - began

    return asyncio.run(main())


def bridge(bootstrap: str, prefix: str, count: int, url: str) -> float:
    document = {
        "feed": prefix,
        "source": {"type": "websocket", "url": url},
        "events": json.loads(json.dumps([_plain(event) for event in _events(prefix)])),
        "deadLetterTopic": f"{prefix}.dead-letters",
        "cursorTopic": f"{prefix}.cursor",
        "kafka": {"bootstrap.servers": bootstrap},
    }
    with TemporaryDirectory(prefix="bench-feed-") as home:
        file = Path(home) / "feed.json"
        file.write_text(json.dumps(document))
        config = load(file)

    async def main() -> float:
        one = Bridge(config, dict(config.kafka), f"{NET}.31")
        working = asyncio.create_task(one.run(0))
        while not one.received:
            await asyncio.sleep(0.01)
        began = time.process_time()
        while one.acknowledged < count:
            await asyncio.sleep(0.05)
        used = time.process_time() - began
        one.stop()
        await working
        return used

    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def _events(prefix: str) -> Any:
    return [
        msgspec.structs.replace(event, topic=f"{prefix}.{event.topic}", schema_id="s")
        for event in load_preset("market/v1").events
    ]


def _plain(event: Any) -> Any:
    return msgspec.to_builtins(event)


def _run(queue: Any, work: Callable[..., float], arguments: tuple[Any, ...]) -> None:
    queue.put(work(*arguments))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", default="")
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with _broker(options.bootstrap) as bootstrap:
        compare(bootstrap, options.events, options.rounds)


@contextmanager
def _broker(bootstrap: str) -> Iterator[str]:
    """The address given, or that of a broker of our own."""
    if bootstrap:
        yield bootstrap
        return
    with TemporaryDirectory(prefix="bench-kafka-") as home:
        broker = Broker(Path(home), f"{NET}.20")
        try:
            broker.start()
            yield broker.bootstrap
        finally:
            broker.stop()


def compare(bootstrap: str, events: int, rounds: int) -> None:
    """Run everything in turns and print what each did per CPU-second."""
    host, port = f"{NET}.32", 8765
    spawn = multiprocessing.get_context("spawn")
    server = spawn.Process(target=flood, args=(host, port, events), daemon=True)
    server.start()
    time.sleep(5)
    rates: dict[str, list[float]] = {}
    try:
        for number in range(rounds + 1):
            for work in (bare, ceiling, peer, bridge):
                prefix = f"b{os.getpid()}-{number}-{work.__name__}"
                topics(bootstrap, prefix)
                arguments = (bootstrap, prefix, events, f"ws://{host}:{port}/")
                queue = spawn.Queue()
                process = spawn.Process(target=_run, args=(queue, work, arguments))
                process.start()
                used = queue.get(timeout=300)
                process.join()
                if number:
                    rates.setdefault(work.__name__, []).append(events / used)
                print(
                    f"{number} {work.__name__:8} {events / used:10,.0f} events/CPU-s",
                    flush=True,
                )
    finally:
        server.terminate()
        server.join()
    middle = {name: statistics.median(each) for name, each in rates.items()}
    for name, rate in middle.items():
        spread = f"{min(rates[name]):,.0f} to {max(rates[name]):,.0f}"
        times = middle["bridge"] / rate
        print(f"{name:8} {rate:10,.0f} events/CPU-s ({spread}), bridge is {times:.2f}x")


if __name__ == "__main__":
    main()
