"""GraphQL over HTTP and WebSocket with a fast JSON encoder, and responses cached by snapshot."""

from collections.abc import Mapping
from contextlib import suppress

import orjson
from cross_web import HTTPException
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.websockets import WebSocketDisconnect
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.fastapi import GraphQLRouter
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from tapehouse_query import metrics
from tapehouse_query.reads.read_tracking import only_tables, snapshots, tracked_reads
from tapehouse_query.schema.answers import Answer
from tapehouse_query.schema.build import Schema
from tapehouse_query.schema.context import Context, Services

PATH = "/graphql"
MAX_REQUEST = 1 << 16
"""Bytes of a request: a thousand tokens and their variables are far fewer."""
SNAPSHOTS = "Tapehouse-Snapshots"
"""The header that names the snapshots an answer was computed from, as in `silver.trades=71…`."""


class TextWebSocket(ASGIWebSocketAdapter):
    """Sends text frames, as graphql-transport-ws requires."""

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send one message; a disconnected client is handled by the receiving side."""
        with suppress(WebSocketDisconnect):
            await self.ws.send_text(orjson.dumps(message).decode())


class Router(GraphQLRouter[Context, None]):
    """The endpoint.

    HTTP requests come to `respond` straight from Starlette; Strawberry's own routes only serve
    WebSockets.
    """

    websocket_adapter_class = TextWebSocket

    def __init__(self, schema: Schema, services: Services) -> None:
        async def context() -> Context:
            return Context(services, writes_json=True)

        super().__init__(
            schema,
            path=PATH,
            graphql_ide=None,
            context_getter=context,
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
        )
        self._services = services

    def serve(self, app: FastAPI) -> None:
        """Register the route."""

        async def answer(request: Request) -> Response:
            return await self.respond(request, Context(self._services, writes_json=True))

        app.add_route(PATH, answer, methods=["GET", "POST"])
        app.include_router(self)

    async def respond(self, request: Request, context: Context) -> Response:
        """Answer a query or a mutation, from the cache if its snapshots are current."""
        if refused := _refused(request):
            return refused
        answers = self._services.answers
        key = (
            request.method,
            request.url.query,
            request.headers.get("content-type"),
            await request.body(),
            context.user,
        )
        if answers and (kept := answers.get(key)):
            with metrics.OPERATIONS.labels(kept.operation).time():
                return _response(kept.data, kept.seen)
        with tracked_reads() as reads:
            response = await self._run(request, context)
        metrics.BYTES.inc(len(response.body))
        if reads:
            response.headers[SNAPSHOTS] = snapshots(reads)
        if answers and context.succeeded and only_tables(reads):
            data = bytes(response.body)
            answers.put(key, Answer(data, context.operation, frozenset(reads), snapshots(reads)))
        return response

    async def _run(self, request: Request, context: Context) -> Response:
        try:
            return await self.run(request, context=context, root_value=None)
        except HTTPException as error:
            return PlainTextResponse(error.reason, status_code=error.status_code)

    async def get_sub_response(self, request: Request) -> Response:
        """The response whose headers are merged into the answer, without its length."""
        response = Response()
        del response.headers["content-length"]
        return response

    def decode_json(self, data: str | bytes) -> object:
        """Parse a request."""
        return orjson.loads(data)

    def encode_json(self, data: object) -> bytes:
        """JSON bytes of an answer."""
        return orjson.dumps(data)


def _refused(request: Request) -> Response | None:
    """The refusal of a request by its headers, before its body is read."""
    length = request.headers.get("content-length", "")
    if request.method != "POST" or (length.isdigit() and int(length) <= MAX_REQUEST):
        return None
    status = 413 if length.isdigit() else 411
    return PlainTextResponse(
        f"Content-Length: {length!r}: must be from 0 to {MAX_REQUEST}", status_code=status
    )


def _response(data: bytes, seen: str) -> Response:
    metrics.BYTES.inc(len(data))
    return Response(data, media_type="application/json", headers={SNAPSHOTS: seen})
