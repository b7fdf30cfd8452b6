"""Live trades from a real broker."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from tapehouse_query import metrics
from tapehouse_query.live.events import AlertEvent, TradeEvent
from tapehouse_query.live.kafka import LiveTopic
from tapehouse_query.schema.context import Services
from tapehouse_query.server import into

from tests.query.broker import broker, create_topics
from tests.query.served import follow, served
from tests.query.test_server import subscribers

pytestmark = pytest.mark.local

TRADES = "subscription($s: String) { onNewTrade(symbol: $s) { tradeId symbol price } }"


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker(tmp_path_factory.mktemp("broker")) as address:
        yield address


def live(bootstrap: str, services: Services, *topics: str) -> LiveTopic[Any]:
    config = {"bootstrap.servers": bootstrap}
    return LiveTopic(lambda: config, topics, TradeEvent, into(services.trades))


async def connected(topic: LiveTopic[Any]) -> None:
    async with asyncio.timeout(60):
        while not topic.connected:
            await asyncio.sleep(0.05)


def frame(number: int, symbol: str = "AAPL", **more: Any) -> bytes:
    return json.dumps(
        {
            "event_id": "e",
            "timestamp": "2026-01-31T09:30:00.000123Z",
            "trade_id": f"t{number}",
            "symbol": symbol,
            "price": 1.5,
            "quantity": 3,
            **more,
        }
    ).encode()


async def test_trades_reach_their_subscribers(bootstrap: str, services: Services) -> None:
    create_topics(bootstrap, "one.trades")
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce("one.trades", frame(0))
    producer.flush()
    topic = live(bootstrap, services, "one.enriched", "one.trades")
    async with served(services, {"trades": topic}), follow(TRADES, s="AAPL") as socket:
        await connected(topic)
        await subscribers("onNewTrade", 1)
        for value in (b"{", b"[]", b"", frame(1, price="x"), frame(2, "MSFT"), frame(3, new=[1])):
            producer.produce("one.trades", value, key="AAPL")
        await asyncio.to_thread(producer.flush)
        message = json.loads(await asyncio.wait_for(socket.recv(), 30))
        expected = {"tradeId": "t3", "symbol": "AAPL", "price": 1.5}
        assert message["payload"]["data"]["onNewTrade"] == expected


async def test_a_topic_that_comes_later(bootstrap: str, services: Services) -> None:
    topic = live(bootstrap, services, "later.trades")
    producer = Producer({"bootstrap.servers": bootstrap})
    async with served(services, {"trades": topic}), follow(TRADES) as socket:
        await subscribers("onNewTrade", 1)
        await asyncio.sleep(1)
        assert not topic.connected
        await asyncio.to_thread(create_topics, bootstrap, "later.trades")
        await connected(topic)
        producer.produce("later.trades", frame(7))
        await asyncio.to_thread(producer.flush)
        message = json.loads(await asyncio.wait_for(socket.recv(), 30))
        assert message["payload"]["data"]["onNewTrade"]["tradeId"] == "t7"


async def test_two_hundred_clients(bootstrap: str, services: Services) -> None:
    """Each sees every trade of its symbol, in order; one that does not read costs the others
    nothing and the server only its queue."""
    create_topics(bootstrap, "many.trades")
    topic = live(bootstrap, services, "many.trades")
    producer = Producer({"bootstrap.servers": bootstrap})
    clients, trades = 200, 20

    async def client(number: int) -> list[str]:
        async with follow(TRADES, s=f"S{number % 10}") as socket:
            return [
                json.loads(await asyncio.wait_for(socket.recv(), 120))["payload"]["data"][
                    "onNewTrade"
                ]["tradeId"]
                for _ in range(trades)
            ]

    async with served(services, {"trades": topic}):
        await connected(topic)
        tasks = [asyncio.create_task(client(number)) for number in range(clients)]
        await subscribers("onNewTrade", clients)
        for number in range(trades):
            for symbol in range(10):
                producer.produce("many.trades", frame(number, f"S{symbol}"), key=f"S{symbol}")
            await asyncio.to_thread(producer.flush)
            await asyncio.sleep(0.3)
        seen = await asyncio.gather(*tasks)
    assert all(one == [f"t{number}" for number in range(trades)] for one in seen)


def test_alerts_take_either_name_of_their_time() -> None:
    decode = msgspec.json.Decoder(AlertEvent).decode
    base = {"symbol": "A", "severity": "HIGH", "price": 1.0}
    for name in ("timestamp", "triggered_at"):
        event = decode(json.dumps({**base, name: "2026-01-31T09:30:00Z"}))
        assert event.time.hour == 9
    with pytest.raises(msgspec.ValidationError):
        decode(json.dumps(base))


def test_metrics_are_by_the_topic_read() -> None:
    labels = [s.labels for m in metrics.LIVE.collect() for s in m.samples]
    assert all(one["topic"] != "one.enriched" for one in labels)
