"""Trades in a topic, as the simulator's are and as the bridge writes them."""

import json
import random
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import Producer

SYMBOLS = 50
BEGAN = 1_795_132_800_000
"""The first trade's time, 2026-11-20T00:00Z, ms since 1970; a thousand come to a second."""
_HEADERS: list[tuple[str, str | bytes | None]] = [
    ("event_type", b"TradeExecuted"),
    ("source", b"market"),
    ("schema_id", b"0" * 64),
]


def trades(count: int) -> Iterator[dict[str, Any]]:
    """The same trades every time."""
    pick = random.Random(7)

    def identity() -> str:
        return str(uuid.UUID(int=pick.getrandbits(128)))

    for number in range(count):
        second, millis = divmod(number, 1000)
        hour, minute = divmod(second // 60, 60)
        yield {
            "event_id": identity(),
            "timestamp": f"2026-11-20T{hour:02}:{minute:02}:{second % 60:02}.{millis:03}000Z",
            "trade_id": identity(),
            "symbol": f"SYM{pick.randrange(SYMBOLS)}",
            "price": round(pick.uniform(1, 500), 2),
            "quantity": pick.randrange(1, 1000),
            "buy_order_id": identity(),
            "sell_order_id": identity(),
            "buyer_agent_id": f"agent-{pick.randrange(1000)}",
            "seller_agent_id": f"agent-{pick.randrange(1000)}",
            "is_aggressive_buy": pick.random() < 0.5,
        }


def encode(trade: dict[str, Any]) -> bytes:
    return json.dumps(trade, separators=(",", ":")).encode()


def write(bootstrap: str, topic: str, records: Iterable[tuple[str, bytes, int]]) -> None:
    """Write keys and values to partitions, with the headers of a bridge."""
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": "lz4"})
    for number, (key, value, partition) in enumerate(records):
        headers = [*_HEADERS, ("trace_id", b"%032x" % number), ("ingested_at", b"2026-11-20")]
        while True:
            try:
                producer.produce(topic, value, key, partition, headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
