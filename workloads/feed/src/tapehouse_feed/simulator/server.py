"""Serves the exchange over a WebSocket: `ws://host:8765/?from=n`."""

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import picows
from tapehouse_tape import times

from tapehouse_feed.config import SimulatorSource
from tapehouse_feed.simulator.block import BLOCK, HALTED_AT, NOW, TRADES, SimulatedEvent
from tapehouse_feed.simulator.exchange import Exchange
from tapehouse_feed.simulator.faults import Misbehaviour
from tapehouse_feed.simulator.sender import Sender

PORT = 8765
TICK = 0.01
"""Seconds between bursts; at lower rates the time between two frames."""
BURST = 500
"""Most frames sent before others get their turn."""

log = logging.getLogger("tapehouse.simulator")


def encode(event: SimulatedEvent) -> bytes:
    """The frame of an event, with its placeholders; a halt's time stands on the envelope."""
    frame: dict[str, Any] = {"event_type": event.event_type, "sequence": event.sequence}
    if "timestamp" not in event.data:
        frame["timestamp"] = NOW
    frame["data"] = event.data
    return msgspec.json.encode(frame)


def stamp(frame: bytes, event: SimulatedEvent, now: int) -> bytes:
    """The frame as sent at `now`, µs since 1970."""
    frame = frame.replace(NOW.encode(), times.from_micros(now).encode())
    if event.event_type == "TradingResume":
        began = now - event.data["halt_duration_secs"] * 1_000_000
        frame = frame.replace(HALTED_AT.encode(), times.from_micros(began).encode())
    return frame


class Simulator:
    """The exchange and how far it has been heard."""

    def __init__(self, source: SimulatorSource) -> None:
        self.exchange = Exchange(source.seed, source.symbols)
        self.misbehaviour = Misbehaviour(source)
        self.rate = source.trades_per_second * BLOCK / TRADES
        """Frames per second: the other events come with the trades."""
        self.last = self.exchange.last_of(source.limit) if source.limit else None
        self.heard = 0
        """The highest number sent to any client: faults hit only what is sent first."""

    def frames(self, first: int) -> Iterator[bytes]:
        """Frames from event `first` on, stamped as they are taken."""
        held: list[bytes] = []
        for event in self.exchange.events(first):
            if self.last is not None and event.sequence > self.last:
                break
            fresh = event.sequence > self.heard
            self.heard = max(self.heard, event.sequence)
            if not (fresh and self.misbehaviour.any):
                yield stamp(encode(event), event, time.time_ns() // 1000)
                continue
            before, sent = self._faulty(event)
            yield from before
            if not held and self.misbehaviour.reorders(event.sequence):
                held = sent
                continue
            yield from sent
            yield from held
            held = []
        yield from held

    def _faulty(self, event: SimulatedEvent) -> tuple[list[bytes], list[bytes]]:
        """A broken frame to send before, if any, and the frame itself: never, once or twice."""
        faults, sequence = self.misbehaviour, event.sequence
        now = time.time_ns() // 1000 - faults.lateness(sequence)
        frame = stamp(encode(event), event, now)
        broken = faults.broken(sequence, frame)
        copies = 0 if faults.drops(sequence) else 2 if faults.duplicates(sequence) else 1
        return [broken] if broken else [], [frame] * copies


class _Client(Sender):
    """One connection."""

    def __init__(self, simulator: Simulator, first: int | None) -> None:
        super().__init__()
        self._simulator = simulator
        self._asked = first
        self._first = 0

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._first = self._asked or self._simulator.heard + 1
        log.info("client connected", extra={"from": self._first})
        welcome = msgspec.json.encode({"type": "welcome", "from": self._first})
        transport.send(picows.WSMsgType.TEXT, welcome)
        super().on_ws_connected(transport)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        log.info("client disconnected")
        super().on_ws_disconnected(transport)

    async def send(self, transport: picows.WSTransport) -> None:
        """Send at the rate, never ahead of the client: what it does not read is not made."""
        rate = self._simulator.rate
        if rate <= 0:
            return
        frames = self._simulator.frames(self._first)
        loop = asyncio.get_running_loop()
        started, sent = loop.time(), 0
        while not transport.underlying_transport.is_closing():
            due = int((loop.time() - started) * rate) + 1 - sent
            for _ in range(min(due, BURST)):
                frame = next(frames, None)
                if frame is None:
                    return
                sent += 1
                if self._cut(transport, frame, sent):
                    return
                transport.send(picows.WSMsgType.TEXT, frame)
            if not self.writable.is_set():
                await self.writable.wait()
                started, sent = self._caught_up(loop.time(), started, sent, rate)
            await asyncio.sleep(0 if due > BURST else max(TICK, 1 / rate))

    def _caught_up(self, now: float, started: float, sent: int, rate: float) -> tuple[float, int]:
        """After a client made us wait, go on at the rate rather than in a flood."""
        behind = (now - started) * rate - sent
        return (now - sent / rate, sent) if behind > rate else (started, sent)

    def _cut(self, transport: picows.WSTransport, frame: bytes, sent: int) -> bool:
        """Break the connection in the middle of a frame, if that is due."""
        every = self._simulator.misbehaviour.faults.disconnect_every
        if not every or sent % every:
            return False
        head = bytes((0x81, 126)) + len(frame).to_bytes(2)
        transport.underlying_transport.write(head + frame[: len(frame) // 2])
        transport.underlying_transport.close()
        return True


def _first(path: bytes) -> int | None:
    """The `from=` of a request, if there is a good one."""
    values = parse_qs(urlsplit(path.decode("ascii", "replace")).query).get("from", [""])
    return int(values[0]) if values[0].isdecimal() and int(values[0]) > 0 else None


async def serve(source: SimulatorSource, host: str, port: int = PORT) -> asyncio.Server:
    """Start serving; `port` 0 takes a free one.

    Raises `OSError` when the address is taken.
    """
    simulator = Simulator(source)

    def listener(request: picows.WSUpgradeRequest) -> picows.WSListener:
        return _Client(simulator, _first(request.path))

    return await picows.ws_create_server(listener, host, port, enable_auto_ping=True)
