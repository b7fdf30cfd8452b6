"""Writes the feed's state for the operator, into one key of one ConfigMap.

The client library costs 60 MB and a second of processor time; one PATCH needs neither.
"""

import asyncio
import base64
import http.client
import logging
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml

from tapehouse_feed.watch import Report

KEY = "continuity.json"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TIMEOUT = 10.0
RETRY = (1.0, 60.0)
"""Seconds before the second and at most before any later attempt."""

log = logging.getLogger("tapehouse.report")


@dataclass(frozen=True, slots=True)
class Access:
    """An API server and the credentials for it; tokens rotate, so they are read each time."""

    host: str
    port: int
    tls: ssl.SSLContext
    token: Callable[[], str]

    def patch(self, path: str, body: bytes) -> None:
        """Merge `body` into an object.

        Raises `OSError` when the server does not answer or refuses.
        """
        connection = http.client.HTTPSConnection(
            self.host, self.port, context=self.tls, timeout=TIMEOUT
        )
        headers = {
            "Authorization": f"Bearer {self.token()}",
            "Content-Type": "application/merge-patch+json",
        }
        try:
            connection.request("PATCH", path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
        except http.client.HTTPException as error:
            raise OSError(str(error) or type(error).__name__) from error
        finally:
            connection.close()
        if answer.status != 200:
            raise OSError(f"{answer.status}: {said[:500].decode('utf-8', 'replace')}")


def load_access(environment: Mapping[str, str] = os.environ) -> Access | None:
    """The Pod's own way to the API server: `KUBECONFIG`, or what a cluster mounts; None if neither.

    Raises `OSError` or `ValueError` when it cannot be read.
    """
    if path := environment.get("KUBECONFIG"):
        try:
            return _of_kubeconfig(Path(path))
        except (yaml.YAMLError, LookupError, TypeError) as error:
            raise ValueError(f"{path}: no cluster and user with a token file: {error}") from error
    host, port = (environment.get(f"KUBERNETES_SERVICE_{part}", "") for part in ("HOST", "PORT"))
    if not host or not (ACCOUNT / "token").exists():
        return None
    tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    return Access(host, int(port), tls, _reader(ACCOUNT / "token"))


def _of_kubeconfig(path: Path) -> Access:
    """A kubeconfig of one cluster and one user with a token file, as Pods get it on a laptop."""
    config: dict[str, Any] = yaml.safe_load(path.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster.get("certificate-authority-data", "")).decode()
    file = cluster.get("certificate-authority")
    tls = ssl.create_default_context(cafile=file, cadata=authority or None)
    url = urlsplit(cluster["server"])
    return Access(url.hostname or "", url.port or 443, tls, _reader(Path(user["tokenFile"])))


def _reader(path: Path) -> Callable[[], str]:
    return lambda: path.read_text().strip()


class Reporter:
    """Writes the newest report, however long that takes; older ones are left out."""

    def __init__(self, namespace: str, name: str, access: Access) -> None:
        self._path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
        self._access = access
        self._newest: Report | None = None
        self._writing: asyncio.Task[None] | None = None

    def write(self, report: Report) -> None:
        """Write `report` in the background."""
        self._newest = report
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write_newest())

    async def _write_newest(self) -> None:
        wait = RETRY[0]
        while (report := self._newest) is not None:
            body = msgspec.json.encode({"data": {KEY: msgspec.json.encode(report).decode()}})
            try:
                await asyncio.to_thread(self._access.patch, self._path, body)
            except OSError as error:
                log.warning("report not written", extra={"error": str(error), "retry_in": wait})
                await asyncio.sleep(wait)
                wait = min(RETRY[1], wait * 2)
                continue
            if self._newest is report:
                return

    def stop(self) -> None:
        """Give up what is not written yet: the next process writes its own."""
        if self._writing:
            self._writing.cancel()
