"""A catalog that commits and then says that it failed: a proxy in front of the real one."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import aiohttp
from aiohttp import web

Fault = Literal["500 after", "500 before", "hang up after"]
HOP = {"connection", "transfer-encoding", "content-length", "content-encoding", "host"}
LIMIT = 64 * 1024**2


class CatalogProxy:
    """Forwards everything; the next commits of a table meet the faults that are due."""

    def __init__(self, listen: str, target: str, port: int = 8181) -> None:
        self.uri = f"http://{listen}:{port}"
        self.struck: Counter[Fault] = Counter()
        self._listen, self._port = listen, port
        self._target = f"http://{target}:{port}"
        self._due: list[Fault] = []

    def fail(self, fault: Fault, times: int) -> None:
        """The next `times` commits fail so."""
        self._due += [fault] * times

    @contextmanager
    def serving(self) -> Iterator["CatalogProxy"]:
        """Serve, in a thread of its own, for as long as the block runs."""
        loop, stopping, up = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
        serving = self._serve(stopping, up)
        thread = threading.Thread(target=loop.run_until_complete, args=(serving,), daemon=True)
        thread.start()
        try:
            assert up.wait(10), f"nothing listens on {self.uri}"
            yield self
        finally:
            loop.call_soon_threadsafe(stopping.set)
            thread.join()
            loop.close()

    async def _serve(self, stopping: asyncio.Event, up: threading.Event) -> None:
        app = web.Application(client_max_size=LIMIT)
        app.router.add_route("*", "/{path:.*}", self._answer)
        async with aiohttp.ClientSession() as self._session:
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, self._listen, self._port).start()
            up.set()
            await stopping.wait()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        fault = self._take(request)
        if fault == "500 before":
            return web.json_response({}, status=500)
        kept = {k: v for k, v in request.headers.items() if k.lower() not in HOP}
        url, body = f"{self._target}{request.path_qs}", await request.read()
        try:
            async with self._session.request(
                request.method, url, data=body, headers=kept
            ) as answer:
                content = await answer.read()
        except aiohttp.ClientError:
            return web.json_response({}, status=503)
        if fault == "500 after":
            return web.json_response({}, status=500)
        if fault == "hang up after" and request.transport:
            request.transport.close()
        back = {k: v for k, v in answer.headers.items() if k.lower() not in HOP}
        return web.Response(status=answer.status, body=content, headers=back)

    def _take(self, request: web.Request) -> Fault | None:
        path = request.path
        commit = "/tables/" in path or path.endswith("/transactions/commit")
        if request.method != "POST" or not commit or not self._due:
            return None
        fault = self._due.pop(0)
        self.struck[fault] += 1
        return fault
