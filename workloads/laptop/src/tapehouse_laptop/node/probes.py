"""Probes: HTTP, TCP and commands, with the kubelet's thresholds."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tapehouse_laptop.kubeapi import Manifest
from tapehouse_laptop.node.expand import expand
from tapehouse_laptop.processes import MARKER, die_with_parent, signal_group


@dataclass(frozen=True, slots=True)
class Target:
    """The container that is probed."""

    container: Manifest
    address: str
    env: Mapping[str, str]
    root: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one probe found."""

    passed: bool
    message: str = ""


Report = Callable[[bool, str], Awaitable[None]]
"""Called with the new verdict and the last message whenever the verdict changes."""


async def watch(probe: Manifest, target: Target, report: Report, eager: float = 0.0) -> None:
    """Probe for ever; report each time a threshold turns the verdict, at first from unknown.

    Until it first passes it is tried every `eager` seconds, if given: someone waits for it.
    """
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    needed = {
        True: probe.get("successThreshold", 1),
        False: probe.get("failureThreshold", 3),
    }
    verdict: bool | None = None
    row, last = 0, None
    while True:
        outcome = await once(probe, target)
        row = row + 1 if outcome.passed == last else 1
        last = outcome.passed
        if outcome.passed != verdict and row >= needed[outcome.passed]:
            verdict = outcome.passed
            await report(verdict, outcome.message)
        usual = probe.get("periodSeconds", 10)
        if verdict:
            eager = 0.0
        await asyncio.sleep(min(eager, usual) if eager else usual)


async def once(probe: Manifest, target: Target) -> Outcome:
    """Probe one time."""
    timeout = float(probe.get("timeoutSeconds", 1))
    try:
        async with asyncio.timeout(timeout):
            return await _probe(probe, target)
    except TimeoutError:
        return Outcome(False, f"no answer in {timeout:g} s")
    except (aiohttp.ClientError, OSError) as error:
        return Outcome(False, str(error))


async def _probe(probe: Manifest, target: Target) -> Outcome:
    if http := probe.get("httpGet"):
        return await _http(http, target)
    if tcp := probe.get("tcpSocket"):
        return await _tcp(tcp.get("host") or target.address, port(tcp["port"], target.container))
    if grpc := probe.get("grpc"):
        return await _tcp(target.address, grpc["port"])
    return await _command(probe["exec"]["command"], target)


async def _http(http: Manifest, target: Target) -> Outcome:
    scheme = http.get("scheme", "HTTP").lower()
    host = http.get("host") or target.address
    where = f"{scheme}://{host}:{port(http['port'], target.container)}{http.get('path', '/')}"
    headers = {"User-Agent": "kube-probe/tapehouse"}
    headers |= {entry["name"]: entry["value"] for entry in http.get("httpHeaders") or ()}
    async with (
        aiohttp.ClientSession() as session,
        session.get(where, headers=headers, ssl=False, allow_redirects=False) as response,
    ):
        good = 200 <= response.status < 400
        return Outcome(good, f"HTTP probe failed with statuscode: {response.status}")


async def _tcp(host: str, number: int) -> Outcome:
    _, writer = await asyncio.open_connection(host, number)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Outcome(True)


async def _command(command: list[str], target: Target) -> Outcome:
    process = await asyncio.create_subprocess_exec(
        *(expand(word, target.env) for word in command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**target.env, MARKER: os.environ.get(MARKER, "")},
        cwd=target.root,
        start_new_session=True,
        preexec_fn=die_with_parent(signal.SIGKILL),
    )
    try:
        output, _ = await process.communicate()
    finally:
        signal_group(process.pid, signal.SIGKILL)
    return Outcome(process.returncode == 0, output.decode(errors="replace")[-1000:])


def port(value: int | str, container: Manifest) -> int:
    """A port by number or by its name in the container.

    Raises:
        OSError: no port of this name.
    """
    if isinstance(value, int) or value.isdigit():
        return int(value)
    for declared in container.get("ports") or ():
        if declared.get("name") == value:
            return int(declared["containerPort"])
    raise OSError(f"container {container['name']} has no port named {value!r}")
