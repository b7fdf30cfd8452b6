"""Live trades to many clients over graphql-transport-ws, some of which never read.

    python -m bench.query.live [clients] [trades per second] [seconds]

The server is a process of its own whose hub is fed so many trades a second; every client follows
all of them, and one in ten stops reading at once. Prints what readers get, how late, what was
dropped, and the server's CPU and memory before, at most and at the end.
"""

import asyncio
import json
import multiprocessing
import re
import statistics
import sys
import time
import urllib.request
from datetime import UTC, datetime

import psutil
import uvicorn
import websockets
from tapehouse_query.app import create_app
from tapehouse_query.kube import Kube, Resources
from tapehouse_query.live.events import TradeEvent
from tapehouse_query.live.hub import Hub
from tapehouse_query.reads.engine import Engine
from tapehouse_query.reads.lake import Lake
from tapehouse_query.schema.context import Services
from tapehouse_query.watchlists import open_watchlists

from tests.query.catalog import MemoryCatalog

HOST, PORT = "127.85.200.2", 8080
QUERY = """subscription { onNewTrade { tradeId symbol price quantity isAggressiveBuy timestamp
  buyerAgentId sellerAgentId companyName sector } }"""


def serve(rate: int) -> None:
    hub: Hub[TradeEvent] = Hub("onNewTrade")
    engine = Engine(Lake(lambda: MemoryCatalog(None)))  # type: ignore[arg-type]
    services = Services(engine, hub, Hub("onTradeAlert"), open_watchlists(""))
    app = create_app(services, Resources(Kube("none")), {})
    config = uvicorn.Config(app, HOST, PORT, log_config=None, ws_per_message_deflate=False)

    async def feed() -> None:
        number, began = 0, time.monotonic()
        while True:
            await asyncio.sleep(0.05)
            due = int((time.monotonic() - began) * rate)
            now = datetime.now(UTC)
            hub.publish(trade(n, now) for n in range(number, due))
            number = due

    async def both() -> None:
        feeding = asyncio.create_task(feed())
        await uvicorn.Server(config).serve()
        feeding.cancel()

    asyncio.run(both())


def trade(number: int, now: datetime) -> TradeEvent:
    return TradeEvent(
        f"{number:036}", f"S{number % 10}", 100 + number % 7, 100, now, "b", "s", "agent-1",
        "agent-2", True, "Company Inc.", "Technology",
    )  # fmt: skip


async def client(reads: bool, until: float, lags: list[float]) -> int:
    """How many trades came."""
    protocols = [websockets.Subprotocol("graphql-transport-ws")]
    address = f"ws://{HOST}:{PORT}/graphql"
    async with websockets.connect(address, subprotocols=protocols, open_timeout=60) as socket:
        await socket.send('{"type": "connection_init"}')
        await socket.recv()
        asked = {"id": "1", "type": "subscribe", "payload": {"query": QUERY}}
        await socket.send(json.dumps(asked))
        count = 0
        while (left := until - time.monotonic()) > 0:
            if not reads:
                await asyncio.sleep(left)
                break
            message = await asyncio.wait_for(socket.recv(), left + 10)
            count += 1
            if count % 50 == 0:
                sent = json.loads(message)["payload"]["data"]["onNewTrade"]["timestamp"]
                lags.append((datetime.now(UTC) - datetime.fromisoformat(sent)).total_seconds())
        socket.transport.abort()
        return count


async def watch(server: psutil.Process, until: float) -> int:
    most = 0
    while time.monotonic() < until:
        most = max(most, server.memory_info().rss)
        await asyncio.sleep(0.2)
    return most


async def run(server: psutil.Process, clients: int, rate: int, seconds: float) -> None:
    before, until = server.memory_info().rss, time.monotonic() + seconds
    lags: list[float] = []
    *counts, most = await asyncio.gather(
        *(client(number % 10 > 0, until, lags) for number in range(clients)),
        watch(server, until),
    )
    read = [count for number, count in enumerate(counts) if number % 10]
    spent = server.cpu_times()
    print(f"{clients} clients, {rate} trades/s, {seconds:g} s")
    print(
        f"a reader got {statistics.median(read) / seconds:.0f} /s (least {min(read) / seconds:.0f})"
    )
    print(f"lag: median {statistics.median(lags or [0]):.2f} s, worst {max(lags or [0]):.2f} s")
    print(f"server: {spent.user + spent.system:.1f} CPU-seconds, RSS {before / 1e6:.0f} MB before,"
          f" {most / 1e6:.0f} at most, {server.memory_info().rss / 1e6:.0f} after")  # fmt: skip


def await_server() -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://{HOST}:{PORT}/healthz", timeout=5).read()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the server does not listen")


def dropped() -> float:
    with urllib.request.urlopen(f"http://{HOST}:{PORT}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found = re.findall(r"^tapehouse_query_dropped_events_total.* (\S+)$", text, re.MULTILINE)
    return sum(map(float, found))


def main(clients: int = 200, rate: int = 100, seconds: int = 20) -> None:
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(rate,))
    process.start()
    try:
        await_server()
        asyncio.run(run(psutil.Process(process.pid), clients, rate, seconds))
        time.sleep(1)
        print(f"dropped for those who do not read: {dropped():.0f}")
    finally:
        process.terminate()
        process.join()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
