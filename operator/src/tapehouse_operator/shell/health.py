"""`/healthz` and `/metrics`: alive means that work gets done, not that a socket answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tapehouse_operator.backends.canary import PATIENCE
from tapehouse_operator.shell.engine import Engine

OLDEST = 180.0
"""Seconds after which a resource that waits, or is being looked at, tells of a stuck operator."""


def troubles(engine: Engine) -> list[str]:
    """Why the process should be started again; empty while it does its work."""
    age = engine.queue.oldest()
    stuck = [f"a resource has been waiting or in work for {age:.0f} s"] if age >= OLDEST else []
    deaf = [
        f"watch of {stream} is deaf: nothing of a known change for {seconds:.0f} s"
        for stream, seconds in engine.backend.canary.unheard().items()
        if seconds >= PATIENCE
    ]
    return stuck + deaf


@asynccontextmanager
async def serve_health(engine: Engine, address: str, port: int) -> AsyncIterator[None]:
    """Serve while the context lasts.

    Raises:
        OSError: the port is taken.
    """

    async def healthz(_: web.Request) -> web.Response:
        wrong = troubles(engine)
        return web.Response(status=503 if wrong else 200, text="\n".join(wrong or ["ok"]) + "\n")

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
