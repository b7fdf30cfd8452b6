"""A list of 1,000 trades over HTTP: this server, stock Strawberry, and a constant answer.

    python -m bench.query.lists [requests]

Each server runs alone in a process of its own under uvicorn, on loopback; this process asks it over
kept-alive connections. The stock schema has the same types and resolves the same rows from memory,
so it is spared the reading. This server is asked twice: as it is, keeping answers until the
snapshot changes, and reading every answer anew. The constant answer is the same bytes from a bare
handler.
Prints requests per second (best of three rounds) and the ratios.
"""

import asyncio
import dataclasses
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import strawberry
import uvicorn
from fastapi import FastAPI, Response
from strawberry.fastapi import GraphQLRouter
from tapehouse_query.app import create_app
from tapehouse_query.kube import Kube, Resources
from tapehouse_query.live.hub import Hub
from tapehouse_query.reads.engine import Engine
from tapehouse_query.reads.lake import Lake
from tapehouse_query.reads.pages import PageCache
from tapehouse_query.schema.answers import Answers
from tapehouse_query.schema.context import Services
from tapehouse_query.watchlists import open_watchlists

from tests.query.catalog import BRONZE_TRADES, DAILY, MemoryCatalog, append, trades

HOST, PORT = "127.87.200.1", 8080
FIELDS = (
    "tradeId symbol price quantity buyOrderId sellOrderId buyerAgentId sellerAgentId"
    " isAggressiveBuy timestamp"
)
QUERY = (
    f"{{ trades(first: 1000) {{ edges {{ node {{ {FIELDS} }} cursor }}"
    " pageInfo { hasNextPage endCursor } } }"
)
BODY = json.dumps({"query": QUERY}).encode()


def ours(root: Path, kept: bool = True) -> FastAPI:
    catalog = MemoryCatalog(root)
    table = catalog.create_table("bronze.trades", BRONZE_TRADES, partition_spec=DAILY)
    rows = trades(20_000)
    for at in range(0, len(rows), 1000):
        append(table, rows[at : at + 1000])
    engine = Engine(Lake(lambda: catalog), pages=None if kept else PageCache(max_rows=0))
    services = Services(engine, Hub("trades"), Hub("alerts"), open_watchlists(""))
    services.answers = Answers(engine.lake) if kept else None
    return create_app(services, Resources(Kube("none")), {})


@strawberry.type
class Trade:
    trade_id: str
    symbol: str
    price: float
    quantity: float
    buy_order_id: str | None
    sell_order_id: str | None
    buyer_agent_id: str | None
    seller_agent_id: str | None
    is_aggressive_buy: bool | None
    timestamp: str


@strawberry.type
class Edge:
    node: Trade
    cursor: str


@strawberry.type
class PageInfo:
    has_next_page: bool
    end_cursor: str


@strawberry.type
class Page:
    edges: list[Edge]
    page_info: PageInfo


def stock() -> FastAPI:
    names = [field.name for field in dataclasses.fields(Trade)]
    rows = [
        {name: row[name] for name in names}
        | {"timestamp": row["timestamp"].isoformat(timespec="microseconds")}
        for row in trades(1000)
    ]

    @strawberry.type
    class Query:
        @strawberry.field
        def trades(self, first: int) -> Page:
            edges = [Edge(node=Trade(**row), cursor=row["trade_id"] * 3) for row in rows[:first]]
            return Page(edges=edges, page_info=PageInfo(has_next_page=True, end_cursor="x"))

    app = FastAPI()
    app.include_router(GraphQLRouter(strawberry.Schema(Query)), prefix="/graphql")
    return app


def constant(answer: bytes) -> FastAPI:
    app = FastAPI()

    @app.post("/graphql")
    async def graphql() -> Response:
        return Response(answer, media_type="application/json")

    return app


SERVERS: dict[str, Callable[[Any], FastAPI]] = {
    "kept": ours,
    "read anew": lambda root: ours(root, kept=False),
    "stock": lambda _: stock(),
    "constant": constant,
}


def serve(kind: str, argument: Any, ready: Pipe) -> None:
    app = SERVERS[kind](argument)
    server = uvicorn.Server(uvicorn.Config(app, HOST, PORT, log_config=None, access_log=False))
    ready.send(True)
    server.run()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
    headers = await reader.readuntil(b"\r\n\r\n")
    lines = headers.lower().split(b"\r\n")
    length = next(line for line in lines if line.startswith(b"content-length")).split(b":")[1]
    return await reader.readexactly(int(length))


async def _connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for _ in range(600):
        try:
            return await asyncio.open_connection(HOST, PORT, limit=1 << 22)
        except ConnectionRefusedError:
            await asyncio.sleep(0.1)
    raise TimeoutError("the server does not listen")


async def measure(requests: int, connections: int = 4) -> tuple[float, bytes]:
    """Requests per second, best of three rounds, and one answer."""
    pipes = [await _connect() for _ in range(connections)]
    answer = await _ask(*pipes[0])

    async def some(pipe: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        for _ in range(requests // connections):
            await _ask(*pipe)

    best = 0.0
    for _ in range(3):
        started = time.perf_counter()
        await asyncio.gather(*map(some, pipes))
        best = max(best, requests / (time.perf_counter() - started))
    for _, writer in pipes:
        writer.close()
    return best, answer


def run(kind: str, argument: Any, requests: int) -> tuple[float, bytes]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(kind, argument, there))
    process.start()
    try:
        here.recv()
        return asyncio.run(measure(requests))
    finally:
        process.terminate()
        process.join()


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    with tempfile.TemporaryDirectory() as root:
        mine, answer = run("kept", Path(root), requests)
    with tempfile.TemporaryDirectory() as root:
        anew, _ = run("read anew", Path(root), max(20, requests // 4))
    assert len(json.loads(answer)["data"]["trades"]["edges"]) == 1000
    plain, other = run("stock", None, max(20, requests // 10))
    assert len(json.loads(other)["data"]["trades"]["edges"]) == 1000
    ceiling, _ = run("constant", answer, requests)
    print(f"{len(answer):,} bytes per answer")
    print(f"this server, same snapshot   {mine:8.1f} /s")
    print(f"this server, read anew       {anew:8.1f} /s")
    print(f"stock Strawberry             {plain:8.1f} /s")
    print(f"constant answer              {ceiling:8.1f} /s")
    print(f"against stock     {mine / plain:6.1f} times (goal 10), read anew {anew / plain:.1f}")
    print(f"of the constant   {mine / ceiling:6.2f} (goal 0.6), read anew {anew / ceiling:.2f}")


if __name__ == "__main__":
    main()
