"""GraphQL over HTTP and WebSocket with a fast JSON encoder."""

from collections.abc import Mapping

import orjson
from starlette.websockets import WebSocketDisconnect
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.fastapi import GraphQLRouter
from strawberry.http.exceptions import WebSocketDisconnected

from tapehouse_query import metrics
from tapehouse_query.schema.context import Context


class TextWebSocket(ASGIWebSocketAdapter):
    """Sends text frames, as graphql-transport-ws wants them."""

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send one message."""
        try:
            await self.ws.send_text(orjson.dumps(message).decode())
        except WebSocketDisconnect as error:
            raise WebSocketDisconnected from error


class Router(GraphQLRouter[Context, None]):
    """The `/graphql` endpoint."""

    websocket_adapter_class = TextWebSocket

    def decode_json(self, data: str | bytes) -> object:
        """Parse a request."""
        return orjson.loads(data)

    def encode_json(self, data: object) -> bytes:
        """JSON bytes of an answer."""
        encoded = orjson.dumps(data)
        metrics.BYTES.inc(len(encoded))
        return encoded
