"""Kept answers: given again only while every table they were read from is unchanged."""

import dataclasses
from datetime import timedelta
from typing import Any

import orjson
import pytest
from starlette.requests import Request
from starlette.responses import Response
from tapehouse_query import metrics
from tapehouse_query.http import MAX_REQUEST, Router
from tapehouse_query.reads.engine import Engine
from tapehouse_query.reads.lake import Lake
from tapehouse_query.schema.answers import Answer, Answers
from tapehouse_query.schema.context import Context, Services

from tests.query.catalog import BRONZE_TRADES, MemoryCatalog, append, trades
from tests.query.conftest import Ask

COUNT = "query($f: TradeFilterInput) { trades(filter: $f) { totalCount } }"


class Keeping:
    """Asks over HTTP with kept answers; every look at the catalog is explicit."""

    def __init__(self, services: Services, catalog: MemoryCatalog) -> None:
        lake = Lake(lambda: catalog, max_age=3600)
        engine = Engine(lake, threads=1, workers=1)
        self.services = dataclasses.replace(services, engine=engine, answers=Answers(lake))
        self.router = Router(Ask.schema, self.services)

    async def raw(self, query: str, user: str = "ann", **variables: Any) -> Response:
        context = Context(self.services, writes_json=True)
        context.user = user
        return await self.router.respond(request(query, variables), context)

    async def __call__(self, query: str, user: str = "ann", **variables: Any) -> Any:
        answer = orjson.loads((await self.raw(query, user, **variables)).body)
        assert "errors" not in answer, answer
        return answer["data"]

    async def reads(self, query: str, **arguments: Any) -> bool:
        """Whether the answer was read again."""
        before = _reads()
        await self(query, **arguments)
        return _reads() > before


def request(query: str, variables: Any) -> Request:
    body = orjson.dumps({"query": query, "variables": variables})

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"host", b"test"),
    ]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b""}
    return Request({**scope, "headers": headers}, receive)


def _reads() -> float:
    return sum(
        sample.value
        for metric in metrics.READS.collect()
        for sample in metric.samples
        if sample.name.endswith("_count")
    )


@pytest.fixture
def keeping(services: Services, catalog: MemoryCatalog) -> Any:
    made = Keeping(services, catalog)
    yield made
    made.services.close()


async def test_kept_until_the_snapshot_changes(
    keeping: Keeping, filled: list[dict[str, Any]], catalog: MemoryCatalog
) -> None:
    assert (await keeping(COUNT))["trades"]["totalCount"] == 600
    assert not await keeping.reads(COUNT)
    later = filled[-1]["timestamp"] + timedelta(seconds=1)
    append(catalog.load_table("bronze.trades"), trades(5, seed=3, start=later))
    keeping.services.engine.lake.expire()
    assert (await keeping(COUNT))["trades"]["totalCount"] == 605
    assert not await keeping.reads(COUNT)


async def test_a_table_that_appears_is_noticed(
    keeping: Keeping, filled: list[dict[str, Any]], catalog: MemoryCatalog
) -> None:
    assert (await keeping(COUNT))["trades"]["totalCount"] == 600
    append(catalog.create_table("silver.trades", BRONZE_TRADES), filled[:10])
    keeping.services.engine.lake.expire()
    assert (await keeping(COUNT))["trades"]["totalCount"] == 10


async def test_variables_users_and_lists_are_apart(keeping: Keeping, filled: Any) -> None:
    assert await keeping.reads(COUNT, f={"symbol": "AAPL"})
    assert await keeping.reads(COUNT, f={"symbol": "MSFT"})
    assert await keeping.reads(COUNT, f={"symbol": "AAPL"}, user="bob")
    assert not await keeping.reads(COUNT, f={"symbol": "AAPL"})
    both = "{ trades { totalCount } myWatchlists { name } }"
    assert (await keeping(both))["myWatchlists"] == []
    await keeping('mutation { createWatchlist(name: "x") { id } }')
    assert (await keeping(both))["myWatchlists"] == [{"name": "x"}]


async def test_errors_are_not_kept(keeping: Keeping, filled: Any) -> None:
    for _ in range(2):
        wrong = orjson.loads((await keeping.raw("{ trades(first: 0) { totalCount } }")).body)
        assert wrong["errors"][0]["extensions"]["argument"] == "first"
        assert not keeping.services.answers._kept


async def test_an_answer_says_its_snapshots(
    keeping: Keeping, filled: Any, catalog: MemoryCatalog
) -> None:
    current = catalog.load_table("bronze.trades").current_snapshot().snapshot_id
    for _ in range(2):
        answer = await keeping.raw(COUNT)
        assert answer.headers["Tapehouse-Snapshots"] == f"bronze.trades={current}"
        assert answer.headers.getlist("content-length") == [str(len(answer.body))]


def test_bounded(catalog: MemoryCatalog) -> None:
    lake = Lake(lambda: catalog, max_age=3600)
    answers = Answers(lake, max_bytes=100)
    for number in range(50):
        answers.put(number, Answer(b"x" * 30, "trades", frozenset(), ""))
        answers.put(number, Answer(b"x" * 40, "trades", frozenset(), ""))
    assert [number for number in range(50) if answers.get(number)] == [48, 49]
    small = Answers(lake, max_kept=3)
    for number in range(9):
        small.put(number, Answer(b"", "trades", frozenset(), ""))
    assert [number for number in range(9) if small.get(number)] == [6, 7, 8]


async def test_large_requests_are_not_read(keeping: Keeping, filled: Any) -> None:
    refused = await keeping.raw(COUNT + " " * MAX_REQUEST)
    assert refused.status_code == 413
    assert b"must be from 0 to 65536" in refused.body
