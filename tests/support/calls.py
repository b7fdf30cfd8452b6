"""Calls of the Kubernetes API as a fault sees them, and what a fault is."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
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
    """Whether it will never be answered, nor may it be taken for work that is done."""

    @property
    def is_write(self) -> bool:
        """Leases aside, which are written all the time, and events, on which nothing waits."""
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


def parse(verb: str, path: str, watch: bool) -> Call:
    """`/apis/apps/v1/namespaces/n/deployments/d/status` and its like."""
    parts = [part for part in path.split("/") if part]
    parts = parts[3:] if parts[:1] == ["apis"] else parts[2:]
    namespace = ""
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    resource, name, sub, *_ = [*parts, "", "", ""]
    return Call(verb, resource, namespace, name, sub, watch, time.monotonic())
