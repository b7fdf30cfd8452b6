"""Probes of a container that has not been ready yet."""

import asyncio
import time
from pathlib import Path

from tapehouse_laptop.node.probes import Target, watch


async def test_readiness_is_seen_soon_and_looked_at_as_asked_from_then_on() -> None:
    calls = 0

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    verdicts: asyncio.Queue[bool] = asyncio.Queue()

    async def report(passed: bool, _: str) -> None:
        verdicts.put_nowait(passed)

    probe = {"tcpSocket": {"host": "127.0.0.1", "port": port}, "periodSeconds": 30}
    watching = asyncio.create_task(watch(probe, Target({}, "", {}, Path()), report, eager=0.05))
    try:
        async with asyncio.timeout(20):
            assert await verdicts.get() is False
            began = time.monotonic()
            server = await asyncio.start_server(serve, "127.0.0.1", port)
            assert await verdicts.get() is True
            assert time.monotonic() - began < 10
            await asyncio.sleep(0.5)
            assert calls == 1
    finally:
        watching.cancel()
        server.close()
