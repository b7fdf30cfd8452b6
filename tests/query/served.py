"""The server on a loopback address of its own, and clients of its HTTP and WebSocket."""

import asyncio
import json
import os
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
import websockets
from tapehouse_query.app import create_app
from tapehouse_query.kube import Resources
from tapehouse_query.live.kafka import LiveTopic
from tapehouse_query.schema.context import Services

HOST = f"127.87.{128 + os.getpid() // 250 % 100}.{os.getpid() % 250 + 1}"
PORT = 8080
URL = f"http://{HOST}:{PORT}"


class NoKube:
    """A location without Kubernetes."""

    def resources(self) -> None:
        return None


@asynccontextmanager
async def served(
    services: Services, live: Mapping[str, LiveTopic[Any]] | None = None, kube: Any = None
) -> AsyncIterator[None]:
    app = create_app(services, Resources(kube or NoKube()), live or {})
    config = uvicorn.Config(
        app, host=HOST, port=PORT, log_config=None, ws_per_message_deflate=False
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), task.exception()
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task


def _get(path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, Any, bytes]:
    request = urllib.request.Request(URL + path, body, dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


async def get(path: str) -> tuple[int, Any, bytes]:
    return await asyncio.to_thread(_get, path, None, {})


async def post(query: str, **variables: Any) -> Any:
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json"}
    _, _, answer = await asyncio.to_thread(_get, "/graphql", body, headers)
    return json.loads(answer)


@asynccontextmanager
async def follow(query: str, **variables: Any) -> AsyncIterator[websockets.ClientConnection]:
    """A subscription over graphql-transport-ws; gives the socket after the subscription began."""
    address = f"ws://{HOST}:{PORT}/graphql"
    protocols = [websockets.Subprotocol("graphql-transport-ws")]
    async with websockets.connect(address, subprotocols=protocols) as socket:
        await socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        payload = {"query": query, "variables": variables}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        yield socket
