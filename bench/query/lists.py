"""A list of 1,000 trades over HTTP: this server, stock Strawberry, and a constant answer.

    python -m bench.query.lists [requests] [rounds]

Each server runs in a process of its own under uvicorn, on loopback; this process asks them by
turns over kept-alive connections and takes the CPU-seconds of the server alone. The stock schema
has the same types and resolves the same rows from memory, so it is spared the reading. This server
runs twice: as it is, keeping answers until the snapshot changes, and reading every answer
from the files. The constant answer is the same bytes from a bare handler.
Prints the median of answers per CPU-second and the ratios.
"""

import asyncio
import dataclasses
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import strawberry
import uvicorn
from fastapi import FastAPI, Response
from strawberry.fastapi import GraphQLRouter
from tapehouse_query.app import create_app
from tapehouse_query.kube import Kube, Resources
from tapehouse_query.live.hub import Hub
from tapehouse_query.reads.engine import Engine
from tapehouse_query.reads.lake import Lake
from tapehouse_query.reads.slices import SliceCache
from tapehouse_query.schema.answers import Answers
from tapehouse_query.schema.context import Services
from tapehouse_query.watchlists import open_watchlists

from tests.query.catalog import BRONZE_TRADES, DAILY, MemoryCatalog, append, trades

HOST, PORT = "127.85.200.1", 8080
FIELDS = (
    "tradeId symbol price quantity buyOrderId sellOrderId buyerAgentId sellerAgentId"
    " isAggressiveBuy timestamp"
)
QUERY = (
    f"{{ trades(first: 1000) {{ edges {{ node {{ {FIELDS} }} cursor }}"
    " pageInfo { hasNextPage endCursor } } }"
)
BODY = json.dumps({"query": QUERY}).encode()


def fill(root: Path) -> None:
    """20,000 trades in 20 commits."""
    catalog = MemoryCatalog(root)
    table = catalog.create_table("bronze.trades", BRONZE_TRADES, partition_spec=DAILY)
    rows = trades(20_000)
    for at in range(0, len(rows), 1000):
        append(table, rows[at : at + 1000])
    (root / "catalog.json").write_text(json.dumps(catalog.locations))


def ours(root: Path, kept: bool = True) -> FastAPI:
    catalog = MemoryCatalog(root)
    catalog.locations = json.loads((root / "catalog.json").read_text())
    engine = Engine(Lake(lambda: catalog), slices=None if kept else SliceCache(max_rows=0))
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


def constant(root: Path) -> FastAPI:
    answer = (root / "answer.json").read_bytes()
    app = FastAPI()

    @app.post("/graphql")
    async def graphql() -> Response:
        return Response(answer, media_type="application/json")

    return app


SERVERS: dict[str, Callable[[Path], FastAPI]] = {
    "kept": ours,
    "uncached": lambda root: ours(root, kept=False),
    "stock": lambda _: stock(),
    "constant": constant,
}


def serve(kind: str, port: int, root: Path) -> None:
    app = SERVERS[kind](root)
    config = uvicorn.Config(
        app, HOST, port, log_config=None, access_log=False, timeout_keep_alive=600
    )
    uvicorn.Server(config).run()


class Client:
    """Asks one server for the list over a few kept-alive connections."""

    def __init__(self, port: int, process: BaseProcess) -> None:
        self.port = port
        self.server = psutil.Process(process.pid)
        self.pipes: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.speeds: list[float] = []

    async def connect(self, connections: int = 4) -> bytes:
        """An answer, once the server gives one."""
        deadline = time.monotonic() + 120
        while len(self.pipes) < connections:
            try:
                self.pipes.append(await asyncio.open_connection(HOST, self.port, limit=1 << 22))
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, "the server does not listen"
                await asyncio.sleep(0.1)
        return await self.ask(*self.pipes[0])

    async def measure(self, requests: int) -> None:
        """Note the answers per CPU-second of the server."""

        async def some(pipe: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
            for _ in range(requests // len(self.pipes)):
                await self.ask(*pipe)

        before = self._cpu()
        await asyncio.gather(*map(some, self.pipes))
        self.speeds.append(requests / (self._cpu() - before))

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
        headers = await reader.readuntil(b"\r\n\r\n")
        lines = headers.lower().split(b"\r\n")
        length = next(line for line in lines if line.startswith(b"content-length"))
        return await reader.readexactly(int(length.split(b":")[1]))

    def _cpu(self) -> float:
        times = self.server.cpu_times()
        return times.user + times.system


async def compare(servers: "Servers", requests: int, rounds: int) -> dict[str, Client]:
    """Measure by turns; the cheap ones answer more often."""
    clients = {}
    for kind in SERVERS:
        clients[kind] = servers.start(kind)
        answer = await clients[kind].connect()
        assert len(json.loads(answer)["data"]["trades"]["edges"]) == 1000, kind
        if kind == "kept":
            (servers.root / "answer.json").write_bytes(answer)
            print(f"{len(answer):,} bytes per answer")
    share = {"uncached": 4, "stock": 16}
    for _ in range(rounds):
        for kind, client in clients.items():
            await client.measure(max(16, requests // share.get(kind, 1)))
    return clients


class Servers:
    """Processes that end with the block."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._processes: list[BaseProcess] = []

    def start(self, kind: str) -> Client:
        port = PORT + len(self._processes)
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=serve, args=(kind, port, self.root))
        process.start()
        self._processes.append(process)
        return Client(port, process)

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            process.join()


def main(requests: int = 800, rounds: int = 7) -> None:
    with tempfile.TemporaryDirectory() as root, Servers(Path(root)) as servers:
        fill(Path(root))
        clients = asyncio.run(compare(servers, requests, rounds))
    speed = {kind: statistics.median(client.speeds) for kind, client in clients.items()}
    print("answers per CPU-second of the server")
    for kind, per_second in speed.items():
        stock, constant = per_second / speed["stock"], per_second / speed["constant"]
        print(f"{kind:10} {per_second:9.1f}   {stock:6.1f} x stock   {constant:5.2f} of constant")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
