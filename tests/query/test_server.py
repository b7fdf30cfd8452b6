"""Over the wire: pages, health, metrics, GraphQL over HTTP and WebSocket."""

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tapehouse_query import metrics
from tapehouse_query.live.events import AlertEvent, TradeEvent
from tapehouse_query.schema.context import Services

from tests.query import gold
from tests.query.catalog import MemoryCatalog, append
from tests.query.served import follow, get, post, served

AT = datetime(2026, 1, 31, 9, 30, 0, 123, tzinfo=UTC)
ANOMALY = b"""{"alert_id": "MSFT/VOLUME_ANOMALY/1", "symbol": "MSFT", "volume": 900, "z_score": 5.5,
  "alert_type": "VOLUME_ANOMALY", "severity": "HIGH", "direction": "UP", "threshold": 3.0,
  "triggered_at": "2026-01-31T09:30:00.000123Z", "message": "MSFT: 900 shares in a minute"}"""


def trade(number: int, symbol: str = "AAPL") -> TradeEvent:
    return TradeEvent(f"t{number}", symbol, 100.25, 5_000_000_000, AT)


async def subscribers(stream: str, count: int) -> None:
    gauge = metrics.SUBSCRIBERS.labels(stream)
    async with asyncio.timeout(20):
        while gauge._value.get() != count:
            await asyncio.sleep(0.01)


async def test_http(services: Services, filled: list[dict[str, Any]]) -> None:
    async with served(services):
        answer = await post(
            "query($n: Int) { trades(first: $n) { edges { node { price } } } }", n=3
        )
        assert [e["node"]["price"] for e in answer["data"]["trades"]["edges"]] == [
            row["price"]
            for row in sorted(filled, key=lambda r: (r["timestamp"], r["trade_id"]))[:-4:-1]
        ]
        status, headers, body = await get("/graphql?query=%7Btrades%7BtotalCount%7D%7D")
        assert (status, headers["content-type"]) == (200, "application/json")
        assert json.loads(body)["data"]["trades"]["totalCount"] == 600
        status, _, body = await get("/metrics")
        assert re.search(
            rb'tapehouse_query_operation_seconds_count\{operation="trades"\} [1-9]', body
        )
        assert b"tapehouse_query_response_bytes_total" in body


async def test_bad_requests(services: Services, filled: Any) -> None:
    async with served(services):
        for query in ("{ trades(first: 0) { totalCount } }", "{ nothing }", "{ trades { edges {"):
            answer = await post(query)
            assert answer["data"] is None
            assert answer["errors"][0]["extensions"]["code"]
            assert "Traceback" not in json.dumps(answer)


async def test_health_and_readiness(
    services: Services, catalog: MemoryCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(services):
        assert (await get("/healthz"))[0] == 200
        assert (await get("/readyz"))[0] == 200

        def away(*_: Any) -> None:
            raise ConnectionError("refused")

        monkeypatch.setattr(catalog, "list_namespaces", away)
        monkeypatch.setattr(catalog, "load_table", away)
        status, _, body = await get("/readyz")
        assert (status, body) == (503, b"the Iceberg catalog does not answer")
        answer = await post("{ trades { totalCount } }")
        assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert "refused" not in json.dumps(answer)


class Kube:
    """Two resources; counts the lists."""

    lists = 0

    def resources(self) -> list[dict[str, Any]]:
        self.lists += 1
        return [{"kind": "TradeFeed", "name": "market", "conditions": []}]


async def test_resources_are_listed_once_for_all_viewers(services: Services) -> None:
    kube = Kube()
    async with served(services, kube=kube):
        answers = await asyncio.gather(*(get("/api/resources") for _ in range(4)))
        assert {json.loads(body)["resources"][0]["name"] for _, _, body in answers} == {"market"}
        assert kube.lists == 1


async def test_the_page_asks_nobody_else(services: Services) -> None:
    page = Path(__file__).parents[2] / "workloads/query/src/tapehouse_query/page"
    async with served(services):
        status, headers, body = await get("/")
        assert status == 200
        assert headers["content-security-policy"].startswith("default-src 'self'")
        for name in re.findall(rb'(?:href|src)="([^"]+)"', body):
            assert (await get(f"/{name.decode()}"))[0] == 200
        for file in page.iterdir():
            text = file.read_text().replace("http://www.w3.org/2000/svg", "")
            assert "http://" not in text
            assert "https://" not in text
        answer = json.loads((await get("/api/resources"))[2])
        assert answer == {"resources": None, "problem": "no Kubernetes API is configured"}


async def test_subscriptions(services: Services) -> None:
    trades = (
        "subscription($s: String) { onNewTrade(symbol: $s) { tradeId symbol quantity timestamp } }"
    )
    alerts = """subscription($s: [String!]) {
      onTradeAlert(symbols: $s) { symbol alertType severity price pctChange triggeredAt } }"""
    async with (
        served(services),
        follow(trades, s="AAPL") as one,
        follow(trades) as everything,
        follow(alerts, s=["MSFT"]) as alert,
    ):
        await subscribers("onNewTrade", 2)
        await subscribers("onTradeAlert", 1)
        services.trades.publish([trade(1, "MSFT"), trade(2)])
        services.alerts.publish(
            [AlertEvent(symbol, "HIGH", 105.0, AT, pct_change=5.0) for symbol in ("AAPL", "MSFT")]
        )
        services.alerts.publish([msgspec.json.decode(ANOMALY, type=AlertEvent)])
        expected = {
            "tradeId": "t2",
            "symbol": "AAPL",
            "quantity": 5_000_000_000,
            "timestamp": "2026-01-31T09:30:00.000123Z",
        }
        message = await asyncio.wait_for(one.recv(), 10)
        assert isinstance(message, str)
        assert json.loads(message)["payload"]["data"]["onNewTrade"] == expected
        seen = [json.loads(await asyncio.wait_for(everything.recv(), 10)) for _ in range(2)]
        assert [m["payload"]["data"]["onNewTrade"]["tradeId"] for m in seen] == ["t1", "t2"]
        received = [json.loads(await asyncio.wait_for(alert.recv(), 10)) for _ in range(2)]
        movement = {
            "symbol": "MSFT",
            "alertType": "PRICE_MOVEMENT",
            "severity": "HIGH",
            "price": 105.0,
            "pctChange": 5.0,
            "triggeredAt": "2026-01-31T09:30:00.000123Z",
        }
        anomaly = movement | {"alertType": "VOLUME_ANOMALY", "price": None, "pctChange": None}
        assert [m["payload"]["data"]["onTradeAlert"] for m in received] == [movement, anomaly]
    await subscribers("onNewTrade", 0)


async def test_questions_of_one_connection_see_what_is_newest(
    services: Services, filled: Any, catalog: MemoryCatalog
) -> None:
    dimension = catalog.create_table("dim.dim_symbol", gold.DIM_SYMBOL)
    query = '{ trades(first: 1, filter: {symbol: "AAPL"}) { edges { node { companyName } } } }'

    def name(received: str | bytes) -> str:
        (edge,) = json.loads(received)["payload"]["data"]["trades"]["edges"]
        return str(edge["node"]["companyName"])

    async with served(services), follow(query) as socket, asyncio.timeout(20):
        assert name(await socket.recv()) == "None"
        assert json.loads(await socket.recv())["type"] == "complete"
        append(dimension, [{"symbol": "AAPL", "company_name": "Apple Inc.", "is_current": True}])
        asked = {"id": "2", "type": "subscribe", "payload": {"query": query}}
        await socket.send(json.dumps(asked))
        assert name(await socket.recv()) == "Apple Inc."


async def test_a_bad_subscription_is_refused(services: Services) -> None:
    async with served(services), follow('subscription { onNewTrade(symbol: "") { price } }') as s:
        message = json.loads(await asyncio.wait_for(s.recv(), 10))
        errors = message["payload"]["errors"] if message["type"] == "next" else message["payload"]
        assert "symbol: '': must be the name of an instrument" in json.dumps(errors)
        assert "Traceback" not in json.dumps(message)
