"""`/healthz` and `/metrics`: alive means that work gets done, not that a socket answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tapehouse_operator.shell.engine import Engine

OLDEST = 180.0
"""Seconds after which a resource that waits, or is being looked at, tells of a stuck operator."""


@asynccontextmanager
async def serve_health(engine: Engine, address: str, port: int) -> AsyncIterator[None]:
    """Serve while the context lasts.

    Raises:
        OSError: the port is taken.
    """

    async def healthz(_: web.Request) -> web.Response:
        age = engine.queue.oldest()
        status = 200 if age < OLDEST else 503
        return web.Response(status=status, text=f"oldest resource in work: {age:.0f} s\n")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(status=200 if engine.synced else 503, text="caches filled\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=engine.metrics.render(), content_type="text/plain")

    app = web.Application()
    routes = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}
    app.add_routes([web.get(path, handler) for path, handler in routes.items()])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port).start()
        yield
    finally:
        await runner.cleanup()
