"""A proxy in front of a real API server that knows what passes through it and can spoil it.

Every request is a `Call`: verb, resource, namespace, name. What happens to it is decided by the
faults that are in place, in order: a fault may delay, refuse or lose a request, and drop, repeat,
cut or hold the lines of a watch. Without a fault everything passes as it is. `log` has every call
with its times, so that a test can say what may not happen.

Faults are plain objects put in place with `with proxy.fault(...)` and taken away when the block
ends: those of `apifaults`, or a test's own.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator

import aiohttp
import yarl
from aiohttp import web
from tapehouse_kube.access import Access

from tests.support.calls import CUT, Answer, Call, Cut, Fault, parse, refusal

PASSED_ON = ("Authorization", "Accept", "Content-Type", "User-Agent")


class FaultProxy:
    """Serves `http://host:port` until the context ends."""

    def __init__(self, upstream: Access, host: str, port: int = 6443) -> None:
        self.log: list[Call] = []
        self.faults: list[Fault] = []
        self.address = f"http://{host}:{port}"
        self._upstream, self._host, self._port = upstream, host, port
        self._watches: dict[asyncio.Queue[bytes | None], Call] = {}
        self._session: aiohttp.ClientSession

    @contextlib.contextmanager
    def fault(self, *faults: Fault) -> Iterator[None]:
        """Put `faults` in place for the block."""
        self.faults += faults
        try:
            yield
        finally:
            for fault in faults:
                self.faults.remove(fault)

    def end_watches(self, code: int = 0) -> None:
        """End every watch: quietly, or with an ERROR event of that `code`."""
        status = json.loads(refusal(code, "Expired" if code == 410 else "InternalError").body)
        event = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
        for queue in self._watches:
            if code:
                queue.put_nowait(event)
            queue.put_nowait(None)

    def writes(self, since: int = 0) -> list[Call]:
        """The writes logged after the first `since` entries of the log, leases aside."""
        return [call for call in self.log[since:] if call.is_write]

    async def __aenter__(self) -> "FaultProxy":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._upstream.tls or False, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            read_bufsize=2**18,
        )
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        # A client that goes away takes its requests with it, as with the API server itself.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = parse(request.method, request.path, "watch" in request.query)
        self.log.append(call)
        try:
            response = await (self._watch if call.watch else self._answer)(request, call)
            call.status = response.status
            return response
        except Cut:
            if request.transport is not None:
                request.transport.close()
            return web.Response()
        finally:
            call.ended = time.monotonic()

    async def _answer(self, request: web.Request, call: Call) -> web.Response:
        body = await request.read()
        forward: Callable[[], Awaitable[Answer]] = lambda: self._forward(request, call, body)  # noqa: E731
        for fault in reversed(self.faults):
            forward = _around(fault, call, forward)
        answer = await forward()
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def _forward(self, request: web.Request, call: Call, body: bytes) -> Answer:
        async with self._request(request, body) as response:
            raw = await response.read()
            call.forwarded = response.status
            return Answer(response.status, _passed_back(response), raw)

    async def _watch(self, request: web.Request, call: Call) -> web.StreamResponse:
        for fault in tuple(self.faults):
            if answer := await fault.open(call):
                return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        async with self._request(request, b"") as upstream:
            call.forwarded = upstream.status
            response = web.StreamResponse(status=upstream.status, headers=_passed_back(upstream))
            await response.prepare(request)
            queue: asyncio.Queue[bytes | None] = asyncio.Queue()
            self._watches[queue] = call
            pump = asyncio.create_task(_pump(upstream.content, queue))
            try:
                while (line := await queue.get()) is not None:
                    for part in await self._spoilt(call, line):
                        if part == CUT:
                            raise Cut
                        await response.write(part)
            except ConnectionError as e:
                raise Cut from e
            finally:
                pump.cancel()
                del self._watches[queue]
        await response.write_eof()
        return response

    async def _spoilt(self, call: Call, line: bytes) -> Iterable[bytes]:
        lines: Iterable[bytes] = (line,)
        for fault in tuple(self.faults):
            lines = [part for one in lines for part in await fault.line(call, one)]
        return lines

    def _request(
        self, request: web.Request, body: bytes
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        url = yarl.URL(f"{self._upstream.server}{request.raw_path}", encoded=True)
        headers = {n: request.headers[n] for n in PASSED_ON if n in request.headers}
        return self._session.request(request.method, url, data=body or None, headers=headers)


def _around(
    fault: Fault, call: Call, forward: Callable[[], Awaitable[Answer]]
) -> Callable[[], Awaitable[Answer]]:
    return lambda: fault.call(call, forward)


def _passed_back(response: aiohttp.ClientResponse) -> dict[str, str]:
    names = ("Content-Type", "Retry-After")
    return {name: response.headers[name] for name in names if name in response.headers}


async def _pump(stream: aiohttp.StreamReader, queue: "asyncio.Queue[bytes | None]") -> None:
    """Lines of any length, then None."""
    rest = b""
    with contextlib.suppress(aiohttp.ClientError):
        async for chunk in stream.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                queue.put_nowait(line + b"\n")
    queue.put_nowait(None)
