"""The JobManager's REST API."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp

TIMEOUT = aiohttp.ClientTimeout(total=20, sock_connect=3)
POLL = 0.25


class FlinkError(Exception):
    """The JobManager refused or failed; the message is Flink's own, one line."""


class NoAnswerError(Exception):
    """The JobManager cannot be reached, or is not ready to answer."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as its JobManager sees it."""

    job_id: str
    state: str
    """`RUNNING` only once every task runs; until then `CREATED`, later `RESTARTING`, …"""
    start_ms: int


class JobManager:
    """One JobManager. All calls may raise `FlinkError` and `NoAnswerError`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def overview(self) -> dict[str, Any]:
        """Slots and versions."""
        return await self._call("GET", "/overview")

    async def job(self, job_id: str) -> Job | None:
        """The job; None where there is none."""
        found = await self._call("GET", f"/jobs/{job_id}", absent={})
        if not found:
            return None
        tasks = {vertex["status"] for vertex in found["vertices"]}
        state = found["state"]
        if state == "RUNNING" and tasks - {"RUNNING", "FINISHED"}:
            state = "CREATED"
        return Job(job_id, state, int(found["start-time"]))

    async def cancel(self, job_id: str) -> None:
        """Cancel without a savepoint."""
        await self._call("PATCH", f"/jobs/{job_id}?mode=cancel")

    async def checkpoint(self, job_id: str) -> None:
        """Have a checkpoint begin now, besides those that come by themselves."""
        await self._call("POST", f"/jobs/{job_id}/checkpoints", {})

    async def root_cause(self, job_id: str) -> str:
        """Why a job failed, in one line."""
        found = await self._call("GET", f"/jobs/{job_id}/exceptions?maxExceptions=1")
        entries = (found.get("exceptionHistory") or {}).get("entries") or ()
        return innermost(entries[0]["stacktrace"]) if entries else "no exception recorded"

    async def savepoint(self, job_id: str, target: str, *, stop: bool, timeout: float) -> str:
        """Take a savepoint below `target` and return its location; `stop` ends the job with it.

        Raises:
            FlinkError: it failed, or took longer than `timeout` seconds.
        """
        path = f"/jobs/{job_id}/{'stop' if stop else 'savepoints'}"
        body: dict[str, Any] = {"targetDirectory": target}
        body |= {"drain": False} if stop else {"cancel-job": False}
        trigger = (await self._call("POST", path, body))["request-id"]
        try:
            async with asyncio.timeout(timeout):
                return await self._completed(f"/jobs/{job_id}/savepoints/{trigger}")
        except TimeoutError as error:
            raise FlinkError(f"savepoint not complete after {timeout:.0f} s") from error

    async def _completed(self, path: str) -> str:
        while True:
            found = await self._call("GET", path)
            if found["status"]["id"] == "COMPLETED":
                break
            await asyncio.sleep(POLL)
        if failure := found["operation"].get("failure-cause"):
            raise FlinkError(innermost(failure["stack-trace"]))
        return str(found["operation"]["location"])

    async def _call(
        self, method: str, path: str, body: Any = None, absent: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """One request; `absent` is the answer when there is nothing of that name."""
        try:
            async with self._session.request(
                method, self._url + path, json=body, timeout=TIMEOUT
            ) as response:
                status = response.status
                answer: dict[str, Any] = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise NoAnswerError(f"no answer from {self._url}: {error}") from error
        if status == HTTPStatus.NOT_FOUND and absent is not None:
            return absent
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise NoAnswerError(f"{self._url} is not ready")
        if status >= HTTPStatus.BAD_REQUEST:
            raise FlinkError(innermost("\n".join(answer.get("errors") or ["unknown"])))
        return answer


def innermost(trace: str) -> str:
    """The last cause of a Java stack trace, as one line without class name."""
    causes = [line for line in trace.splitlines() if line.startswith("Caused by:")]
    line = causes[-1].removeprefix("Caused by:") if causes else trace.strip().splitlines()[0]
    kind, colon, message = line.strip().partition(": ")
    plain = message if colon and " " not in kind else line.strip()
    return plain[:500]
