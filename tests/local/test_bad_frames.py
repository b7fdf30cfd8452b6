"""Ten kinds of bad frame: every one kept with its bytes and its reason, and nothing restarts."""

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from confluent_kafka import Consumer
from websockets.sync.server import ServerConnection, serve

from tests.local.conftest import NET
from tests.local.platform import Platform, eventually
from tests.local.test_changes import feed

pytestmark = pytest.mark.local

NAME = "bad-frames"
GOOD = {
    "trade_id": "6f1c0d5e-0000-4000-8000-000000000001",
    "timestamp": "2026-01-02T03:04:05.678901Z",
    "symbol": "TAPE",
    "price": 10.5,
    "quantity": 3,
}


def trade(**changes: Any) -> bytes:
    data = {k: v for k, v in (GOOD | changes).items() if v is not ...}
    return orjson.dumps({"event_type": "TradeExecuted", "data": data})


BAD: dict[str, bytes] = {
    "a number": b"42",
    "null": b"null",
    "a list": b"[]",
    "truncated": trade()[:-9],
    "invalid UTF-8": b'{"event_type": "TradeExecuted", "data": {"symbol": "\xff\xfe"}}',
    "unknown event": b'{"event_type": "Surprise", "data": {}}',
    "no data": b'{"event_type": "TradeExecuted"}',
    "wrong type": trade(price="ten"),
    "a missing field": trade(symbol=...),
    "a bad time": trade(timestamp="yesterday"),
}
HANDSHAKE = b'{"type": "welcome"}'


@pytest.fixture
def exchange() -> Iterator[str]:
    """A server that says hello, then every bad frame between two good trades."""

    def talk(connection: ServerConnection) -> None:
        connection.send(HANDSHAKE, text=True)
        for frame in (trade(), *BAD.values(), trade(trade_id=str(uuid.UUID(int=2)))):
            connection.send(frame, text=True)
        stopping.wait()

    stopping = threading.Event()
    with serve(talk, f"127.{NET}.0.200", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        host, port = server.socket.getsockname()[:2]
        yield f"ws://{host}:{port}"
        stopping.set()
        server.shutdown()
        thread.join()


def consume(platform: Platform, topic: str, count: int) -> list[Any]:
    """`count` messages of a topic, from its beginning."""
    consumer = Consumer(
        {
            **platform.info["kafka"],
            "group.id": f"test-{uuid.uuid4()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    found: list[Any] = []

    def enough() -> bool:
        found.extend(m for m in consumer.consume(100, 1.0) if not m.error())
        return len(found) >= count

    try:
        eventually(enough, 120, every=0)
    finally:
        consumer.close()
    return found


def test_every_bad_frame_is_kept_and_nothing_restarts(platform: Platform, exchange: str) -> None:
    body = feed(NAME, 1)
    start, end = body.index("  source:"), body.index("  topics:")
    document = f"{body[:start]}  source: {{websocket: {{url: '{exchange}'}}}}\n{body[end:]}"
    platform.kubectl("apply", "-f", "-", stdin=document)
    try:
        platform.wait("tradefeed", NAME)
        letters = consume(platform, f"{NAME}.dead-letters", len(BAD))
        assert {m.value() for m in letters} == set(BAD.values())
        for letter in letters:
            headers = dict(letter.headers())
            assert headers["reason"]
            assert headers["received_at"]
            assert headers["feed"] == NAME.encode()
        landed = consume(platform, f"raw.{NAME}", 2)
        assert [orjson.loads(m.value())["symbol"] for m in landed] == ["TAPE", "TAPE"]
        owned = f"app.kubernetes.io/name={NAME}-feed"
        pods = orjson.loads(platform.kubectl("get", "pods", "-l", owned, "-o", "json"))["items"]
        restarts = [c["restartCount"] for p in pods for c in p["status"]["containerStatuses"]]
        assert restarts
        assert set(restarts) == {0}
    finally:
        platform.kubectl("delete", "tradefeed", NAME, "--wait=false")
