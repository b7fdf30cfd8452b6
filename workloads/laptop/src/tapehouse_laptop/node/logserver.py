"""The part of a kubelet's API that `kubectl logs` and k9s need."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from tapehouse_laptop.controlplane.pki import Pki
from tapehouse_laptop.state import State

PORT = 10250
POLL_SECONDS = 0.3
CHUNK = 1 << 16
ROUTE = "/containerLogs/{namespace}/{pod}/{container}"


def possible(state: State) -> bool:
    """Whether there are certificates: not with an API server of the user's own."""
    return Pki(state.pki).file("apiserver.crt").exists()


@asynccontextmanager
async def serving(state: State, address: str, runs: Callable[[str], bool]) -> AsyncIterator[None]:
    """Serve logs to the API server alone, which shows its certificate; `runs` says whether
    `<namespace>/<pod>/<container>` still does, as a followed log ends with its container.

    Raises:
        OSError: the port is taken.
    """

    async def logs(request: web.Request) -> web.StreamResponse:
        parts = request.match_info
        name = f"{parts['namespace']}/{parts['pod']}/{parts['container']}"
        path = state.logs / f"{name}.log"
        if not path.exists():
            raise web.HTTPNotFound(text=f"no log of {name}")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        offset = _start(path, request.query.get("tailLines"))
        offset = await _send(response, path, offset)
        while request.query.get("follow") == "true" and runs(name):
            await asyncio.sleep(POLL_SECONDS)
            offset = await _send(response, path, offset)
        return response

    app = web.Application()
    app.add_routes([web.get(ROUTE, logs)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, PORT, ssl_context=_tls(Pki(state.pki))).start()
        yield
    finally:
        await runner.cleanup()


def _tls(pki: Pki) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pki.file("ca.crt"))
    context.load_cert_chain(pki.file("apiserver.crt"), pki.file("apiserver.key"))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _start(path: Path, lines: str | None) -> int:
    """The offset of the last so many lines."""
    if lines is None:
        return 0
    content = path.read_bytes()
    wanted = content.splitlines(keepends=True)[-int(lines) :] if int(lines) else []
    return len(content) - sum(map(len, wanted))


async def _send(response: web.StreamResponse, path: Path, offset: int) -> int:
    """Send what was written since `offset`; the new one."""
    with path.open("rb") as file:
        if file.seek(0, 2) < offset:  # rotated
            offset = 0
        file.seek(offset)
        while chunk := file.read(CHUNK):
            await response.write(chunk)
            offset += len(chunk)
    return offset
