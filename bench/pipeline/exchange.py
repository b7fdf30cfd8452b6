"""An exchange of trades alone, as many a second as are asked for.

    .venv/bin/python -m bench.pipeline.exchange HOST PORT RATE COUNT

After a line on standard input, every connected client is sent trades 1 to COUNT, RATE of them a
second (0: as fast as they are read), each with the time of its sending. What a reader does
not take in time is sent later: nothing is left out. It ends with its standard input.

Prices swing so that each symbol moves by 3 % about once in the 60 s for which it stays quiet after
an alert. Making a trade costs 1.5 µs, so that little of the machine goes into being measured.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

import picows
import uvloop
from tapehouse_feed.simulator.sender import Sender
from tapehouse_tape import times

SYMBOLS = 2_000
SWING = 7
"""Visits to a symbol between two of its swings: 70 s at 200 trades a second."""
TICK = 0.005
"""Seconds between bursts."""
BURST = 200
"""Trades sent before the loop looks at anything else."""
_TRADE = (
    b'{"event_type":"TradeExecuted","sequence":%d,"data":{'
    b'"event_id":"5bd1e995-7c1e-4a3f-8a11-%012x","timestamp":"%b",'
    b'"trade_id":"1b873593-9e37-4cc9-8f2b-%012x","symbol":"S%04d","price":%d.25,"quantity":%d,'
    b'"buy_order_id":"c2b2ae35-85eb-4ca7-8d2f-%012x",'
    b'"sell_order_id":"27d4eb2f-1656-467b-8e3b-%012x",'
    b'"buyer_agent_id":"agent-%03d","seller_agent_id":"agent-%03d","is_aggressive_buy":true}}'
)


def trade(number: int, now: bytes) -> bytes:
    """The frame of trade `number`, sent at `now` (ISO 8601)."""
    visit, symbol = divmod(number, SYMBOLS)
    price = 103 if (visit + symbol) % SWING == 0 else 100
    quantity, buyer, seller = 1 + number % 997, number % 120, number % 113
    return _TRADE % (
        number, number, now, number, symbol, price, quantity, number, number, buyer, seller
    )  # fmt: skip


class _Client(Sender):
    """One connection."""

    def __init__(self, go: asyncio.Event, rate: float, count: int) -> None:
        super().__init__()
        self._go = go
        self._rate = rate
        self._count = count

    async def send(self, transport: picows.WSTransport) -> None:
        await self._go.wait()
        began, sent = time.monotonic(), 0
        while sent < self._count:
            await self.writable.wait()
            due = self._count
            if self._rate:
                due = min(due, int((time.monotonic() - began) * self._rate))
            for number in range(sent + 1, min(due, sent + BURST) + 1):
                now = times.from_micros(time.time_ns() // 1000).encode()
                transport.send(picows.WSMsgType.TEXT, trade(number, now))
                sent = number
            await asyncio.sleep(0 if sent < due else TICK)
        print(f"sent {sent:,} in {time.monotonic() - began:.1f} s", flush=True)


async def _serve(host: str, port: int, rate: float, count: int) -> None:
    go = asyncio.Event()
    make: Callable[..., Any] = lambda _: _Client(go, rate, count)  # noqa: E731
    await picows.ws_create_server(make, host, port, enable_auto_ping=True)
    while await asyncio.to_thread(sys.stdin.readline):
        go.set()


def main() -> None:
    host, port, rate, count = sys.argv[1:]
    uvloop.run(_serve(host, int(port), float(rate), int(count)))


if __name__ == "__main__":
    main()
