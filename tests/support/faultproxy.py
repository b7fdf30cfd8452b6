"""A proxy in front of a real API server that knows what passes through it and can spoil it.

Every request is a `Call`: verb, resource, namespace, name. What happens to it is decided by the
faults that are in place, in order: a fault may delay, refuse or lose a request, and drop, repeat,
cut or hold the lines of a watch. Without a fault everything passes as it is. `log` has every call
with its times, so that a test can say what may not happen.

Faults are plain objects put in place with `with proxy.fault(...)` and taken away when the block
ends; each is documented where it is defined. They decide at random only by a generator that the
test seeds.
"""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

import aiohttp
import yarl
from aiohttp import web
from tapehouse_laptop.kubeaccess import Access

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
PASSED_ON = ("Authorization", "Accept", "Content-Type", "User-Agent")
CUT = b""
"""As a line of a watch: the connection ends here."""


class Cut(Exception):  # noqa: N818
    """The connection ends here and now, without an answer or in the middle of one."""


@dataclass(eq=False)
class Call:
    """One request, and what became of it."""

    verb: str
    resource: str
    """Plural, as in the path; empty for discovery."""
    namespace: str
    name: str
    sub: str
    watch: bool
    started: float
    """Monotonic seconds."""
    ended: float = 0.0
    status: int = 0
    """The answer the client got; 0: none."""
    forwarded: int = 0
    """The answer of the API server; 0: it never got the request, or not yet answered it."""
    held: bool = False
    """Whether it will never be answered."""

    @property
    def is_write(self) -> bool:
        """Leases aside, which are written all the time, and events, which nobody waits for."""
        return self.verb in WRITES and self.resource not in ("leases", "events")

    def __str__(self) -> str:
        path = "/".join(filter(None, (self.resource, self.name, self.sub)))
        return f"{'WATCH' if self.watch else self.verb} {path}"


@dataclass(frozen=True)
class Answer:
    """A whole answer, but of watches."""

    status: int
    headers: dict[str, str]
    body: bytes


async def hold(call: Call) -> Answer:
    """No answer, until the client gives up."""
    call.held = True
    return await asyncio.Future()


def refusal(status: int, reason: str, **headers: str) -> Answer:
    """An answer as the API server refuses."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": status,
        "reason": reason,
        "message": f"{reason}, says the fault proxy",
    }
    return Answer(
        status, {"Content-Type": "application/json", **headers}, json.dumps(body).encode()
    )


class Fault:
    """What happens to calls while it is in place: by default, nothing."""

    async def call(self, call: Call, forward: Callable[[], Awaitable[Answer]]) -> Answer:
        """Answer `call`, with or without the API server. `Cut` leaves it without an answer."""
        return await forward()

    async def open(self, call: Call) -> Answer | None:
        """Refuse a watch when it begins."""
        return None

    async def line(self, call: Call, line: bytes) -> Iterable[bytes]:
        """What to send instead of one line of a watch. `Cut` ends it after what was sent."""
        return (line,)


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
            connector=aiohttp.TCPConnector(ssl=self._upstream.tls, limit=0),
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


def parse(verb: str, path: str, watch: bool) -> Call:
    """`/apis/apps/v1/namespaces/n/deployments/d/status` and its like."""
    parts = [part for part in path.split("/") if part]
    parts = parts[3:] if parts[:1] == ["apis"] else parts[2:]
    namespace = ""
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    resource, name, sub, *_ = [*parts, "", "", ""]
    return Call(verb, resource, namespace, name, sub, watch, time.monotonic())


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


# -- faults --------------------------------------------------------------------------------------


@dataclass
class Refuse(Fault):
    """Answers every chosen request itself: `Refuse(409, "Conflict")` refuses every write."""

    status: int
    reason: str
    chosen: Callable[[Call], bool] = field(default=lambda call: call.is_write)
    headers: dict[str, str] = field(default_factory=dict)
    count: int = 0
    """How many it has refused."""

    async def call(self, call: Call, forward: Callable[[], Awaitable[Answer]]) -> Answer:
        if not self.chosen(call):
            return await forward()
        self.count += 1
        return refusal(self.status, self.reason, **self.headers)

    async def open(self, call: Call) -> Answer | None:
        if not self.chosen(call):
            return None
        self.count += 1
        return refusal(self.status, self.reason, **self.headers)


class Down(Fault):
    """Nobody answers; watches are cut at their next line, or by `end_watches`."""

    async def call(self, call: Call, forward: Callable[[], Awaitable[Answer]]) -> Answer:
        raise Cut

    async def open(self, call: Call) -> Answer | None:
        raise Cut

    async def line(self, call: Call, line: bytes) -> Iterable[bytes]:
        raise Cut


@dataclass
class Slow(Fault):
    """Chosen requests reach the API server late."""

    seconds: float
    chosen: Callable[[Call], bool] = field(default=lambda call: True)

    async def call(self, call: Call, forward: Callable[[], Awaitable[Answer]]) -> Answer:
        if self.chosen(call):
            await asyncio.sleep(self.seconds)
        return await forward()


@dataclass
class Silent(Fault):
    """Chosen requests are taken and never answered, nor passed on: a hole in the network."""

    chosen: Callable[[Call], bool]

    async def call(self, call: Call, forward: Callable[[], Awaitable[Answer]]) -> Answer:
        return await (hold(call) if self.chosen(call) else forward())


@dataclass
class Lossy(Fault):
    """Requests are lost at random, on their way or their answers on the way back."""

    rng: random.Random
    rate: float

    async def call(self, call: Call, forward: Callable[[], Awaitable[Answer]]) -> Answer:
        if self.rng.random() < self.rate / 2:
            raise Cut
        answer = await forward()
        if self.rng.random() < self.rate / 2:
            raise Cut
        return answer


class Frozen(Fault):
    """Watches are accepted and say nothing more, not even bookmarks."""

    async def line(self, call: Call, line: bytes) -> Iterable[bytes]:
        await asyncio.Future()
        return ()


@dataclass
class Truncated(Fault):
    """Every `nth` line of all watches ends in its middle, and the connection with it."""

    nth: int = 2
    count: int = 0

    async def line(self, call: Call, line: bytes) -> Iterable[bytes]:
        self.count += 1
        return (line,) if self.count % self.nth else (line[: len(line) // 2], CUT)


@dataclass
class Muddled(Fault):
    """Events are dropped, told twice, and told again long after newer ones.

    What is dropped nobody can know of, until a list: end the watches with a 410 afterwards.
    """

    rng: random.Random
    dropped: int = 0
    replayed: int = 0
    _past: dict[str, list[bytes]] = field(default_factory=dict)

    async def line(self, call: Call, line: bytes) -> Iterable[bytes]:
        past = self._past.setdefault(call.resource, [])
        past.append(line)
        if self.rng.random() < 0.3:
            self.dropped += 1
            return ()
        again = self.rng.choices(past, k=self.rng.randint(0, 2))
        self.replayed += len(again)
        return (line, *again)


@dataclass
class Stop:
    """Where one namespace's writes end, or one of them is lost."""

    index: int
    """Which write, from 0."""
    forwarded: bool
    """Whether that write still reaches the API server."""
    goes_on: bool = False
    """Only the answer is lost: the client is cut off and may try again."""
    seen: int = 0
    at: str = ""
    """The write at which it stopped."""


class Stops(Fault):
    """Stops the writes of each of many namespaces at a point of its own.

    Whatever comes after that point is cut off. Killing the client then leaves every namespace as a
    kill at that very write would have: one process serves many cases.
    """

    def __init__(self, stops: dict[str, Stop]) -> None:
        self.stops = stops

    async def call(self, call: Call, forward: Callable[[], Awaitable[Answer]]) -> Answer:
        stop = self.stops.get(call.namespace)
        if stop is None or not call.is_write or (stop.at and stop.goes_on):
            return await forward()
        if stop.at:
            raise Cut
        stop.seen += 1
        if stop.seen <= stop.index:
            return await forward()
        stop.at = str(call)
        if stop.forwarded:
            await forward()
        raise Cut
