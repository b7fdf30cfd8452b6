"""The HTTP server: GraphQL, the console, health and metrics."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.staticfiles import StaticFiles

from tapehouse_query import tables
from tapehouse_query.errors import QueryError
from tapehouse_query.http import Router
from tapehouse_query.kube import Resources
from tapehouse_query.live.kafka import LiveTopic
from tapehouse_query.reads.engine import Session
from tapehouse_query.schema.build import build
from tapehouse_query.schema.context import Services

log = logging.getLogger(__name__)

_CONSOLE = Path(__file__).parent / "page"
_CATALOG_TIMEOUT = 3.0
"""Seconds within which the catalog must answer for the server to be ready."""


class Console(StaticFiles):
    """The console's files; their policy forbids requests to other origins."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """A file with its content security policy."""
        response = super().file_response(*args, **kwargs)
        response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app(
    services: Services, resources: Resources, live: Mapping[str, LiveTopic[Any]]
) -> FastAPI:
    """The application. It starts and stops `live` and closes the services."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        for topic in live.values():
            topic.start()
        warm = asyncio.create_task(_warm(services))
        yield
        warm.cancel()
        for topic in live.values():
            await asyncio.to_thread(topic.close)
        services.close()

    app = FastAPI(
        title="Tapehouse query", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan
    )

    Router(build(), services).serve(app)
    _add_health(app, services)
    _add_console(app, resources, live)
    return app


async def _warm(services: Services) -> None:
    """Plan the most requested tables before the first request."""
    for table in (*tables.TRADES, tables.CANDLE_PARTS, tables.CANDLES):
        with suppress(QueryError):
            await services.engine.run("warm", partial(_find, table))


def _find(table: tables.Table, session: Session) -> None:
    session.lake.find(table)


def _add_health(app: FastAPI, services: Services) -> None:
    @app.get("/healthz")
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok")

    @app.get("/readyz")
    async def readyz() -> PlainTextResponse:
        try:
            await asyncio.wait_for(asyncio.to_thread(services.engine.lake.ping), _CATALOG_TIMEOUT)
        except Exception as error:
            log.info("not ready: %s", error)
            return PlainTextResponse("the Iceberg catalog does not answer", status_code=503)
        return PlainTextResponse("ok")

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _add_console(app: FastAPI, resources: Resources, live: Mapping[str, LiveTopic[Any]]) -> None:
    @app.get("/api/resources")
    async def api_resources() -> Response:
        return _json(await resources.get())

    @app.get("/api/live")
    async def api_live() -> Response:
        streams = {
            name: {"connected": topic.connected, "received": topic.received}
            for name, topic in live.items()
        }
        return _json(streams)

    app.mount("/", Console(directory=_CONSOLE, html=True))


def _json(answer: object) -> Response:
    return Response(
        orjson.dumps(answer), media_type="application/json", headers={"Cache-Control": "no-store"}
    )
