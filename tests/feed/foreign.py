"""Exchanges of the tests' own: real WebSocket servers with manners, good and bad."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import picows
from tapehouse_feed.simulator.sender import Sender

from tests.feed.test_session import TRADE

SYMBOLS = ("AAPL", "MSFT", "GOOG", "AMZN", "META")


def trade(number: int, **changes: Any) -> bytes:
    """Frame `number` of an exchange that numbers everything."""
    data = TRADE | {"trade_id": f"t-{number}", "symbol": SYMBOLS[number % len(SYMBOLS)]} | changes
    return json.dumps({"event_type": "TradeExecuted", "sequence": number, "data": data}).encode()


@dataclass
class Exchange:
    """Sends frames `1..last`, and cuts a connection in the middle of every `cut`th frame.

    A lossless one begins where the client asks, a few frames earlier to be sure; a lossy one goes
    on, and what it would have sent meanwhile is gone. With a `rate`, it sends so many frames a
    second and does not wait: what a client does not read in time is gone too.
    """

    last: int
    """May grow."""
    lossless: bool = True
    cut: int = 0
    rate: float = 0.0
    frame: Callable[[int], bytes] = trade
    overlap: int = 3
    missed: int = 5
    """How many frames of a lossy one go by while no client listens."""
    position: int = 0
    connections: int = 0
    lost: set[int] = field(default_factory=set)

    def first(self, path: bytes) -> int:
        """The number a connection begins with."""
        asked = parse_qs(urlsplit(path.decode()).query).get("from")
        self.connections += 1
        if self.lossless:
            return max(1, int(asked[0]) - self.overlap) if asked else 1
        start = self.position + (1 if self.connections == 1 else self.missed + 1)
        self.lost.update(range(self.position + 1, min(start, self.last + 1)))
        return start


class _Client(Sender):
    def __init__(self, exchange: Exchange, path: bytes) -> None:
        super().__init__()
        self._exchange = exchange
        self._first = exchange.first(path)

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        transport.send(picows.WSMsgType.TEXT, b'{"type":"welcome"}')
        super().on_ws_connected(transport)

    async def send(self, transport: picows.WSTransport) -> None:
        one, loop = self._exchange, asyncio.get_running_loop()
        began, sent = loop.time(), 0
        for number in count(self._first):
            while number > one.last:
                await asyncio.sleep(0.05)
            if one.rate and not self.writable.is_set():
                one.lost.add(number)
                continue
            await self.writable.wait()
            frame = one.frame(number)
            sent += 1
            if one.cut and sent % one.cut == 0:
                _tear(transport, frame)
                one.position = number - 1 if one.lossless else number
                one.lost.update(() if one.lossless else (number,))
                return
            transport.send(picows.WSMsgType.TEXT, frame)
            one.position = number
            if one.rate and sent / one.rate > loop.time() - began:
                await asyncio.sleep(0.005)
            elif sent % 100 == 0:
                await asyncio.sleep(0)


def _tear(transport: picows.WSTransport, frame: bytes) -> None:
    head = bytes((0x81, 126)) + len(frame).to_bytes(2)
    transport.underlying_transport.write(head + frame[: len(frame) // 2])
    transport.underlying_transport.close()


@contextmanager
def serving(host: str, exchange: Exchange) -> Iterator[str]:
    """The URL of a running exchange."""
    loop = asyncio.new_event_loop()
    make: Callable[..., Any] = lambda request: _Client(exchange, request.path)  # noqa: E731
    server = loop.run_until_complete(picows.ws_create_server(make, host, 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    address, port = server.sockets[0].getsockname()
    try:
        yield f"ws://{address}:{port}/stream"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
