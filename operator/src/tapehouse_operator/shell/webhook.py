"""What the API server must know to ask the operator, and the files that its server needs."""

import asyncio
import logging
import socket
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tapehouse_kube.errors import Rejected, Unavailable
from tapehouse_kube.objects import Body, Kube, Ref

from tapehouse_operator.names import GROUP, VERSION
from tapehouse_operator.shell.certificates import Certificates, renewed

log = logging.getLogger(__name__)
NAME = "tapehouse-operator-admission"
"""The Secret with the certificates, and, with the namespace of a namespaced installation behind
it, the webhook configuration and the ClusterRole that owns it."""
PATH = "tapehouse"
"""Of the server's URL."""
TIMEOUT = 3
"""Seconds that the API server waits for an answer before it goes on without one."""
CHECK = 3600.0
"""Seconds between two looks at certificates and configuration."""
RETRY = 30.0
"""Seconds until the next attempt after a failure."""
START = 5.0
"""Seconds that the operator's start waits at most for certificates that replicas share."""
FIELDS = {
    "authorities": "ca.crt",
    "authority_key": "ca.key",
    "certificate": "tls.crt",
    "key": "tls.key",
}
"""The Secret's key for each field of `Certificates`."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API server finds the admission server."""

    address: str
    """Where it listens."""
    port: int
    service: str = ""
    """`namespace/name` of a Service in front of it; empty: it is called by its address."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """What its certificate must name."""
        if not self.service:
            return (self.address,)
        namespace, name = self.service.split("/")
        return (f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local")

    @property
    def client(self) -> Body:
        """`clientConfig`, without the authority."""
        if not self.service:
            return {"url": f"https://{self.address}:{self.port}/{PATH}"}
        namespace, name = self.service.split("/")
        return {"service": {"namespace": namespace, "name": name, "port": 443, "path": f"/{PATH}"}}

    def check_free(self) -> None:
        """Make sure that the server can listen.

        Raises:
            OSError: it cannot.
        """
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.address, self.port))
            except OSError as error:
                where = f"{self.address}:{self.port}"
                message = f"admission cannot listen on {where}: {error.strerror}; choose another"
                raise OSError(error.errno, f"{message} --admission-port") from error


def configuration_name(namespaces: Sequence[str]) -> str:
    """Of the webhook configuration of an installation, which serves `namespaces`, or all."""
    return f"{NAME}-{namespaces[0]}" if namespaces else NAME


def configuration(
    endpoint: Endpoint, authorities: bytes, plurals: Sequence[str], namespaces: Sequence[str]
) -> dict[str, object]:
    """The ValidatingWebhookConfiguration: changed specs only, and never in the way."""
    webhook: dict[str, object] = {
        "name": f"validate.{GROUP}",
        "clientConfig": {**endpoint.client, "caBundle": b64encode(authorities).decode()},
        "rules": [
            {
                "apiGroups": [GROUP],
                "apiVersions": [VERSION],
                "operations": ["CREATE", "UPDATE"],
                "resources": list(plurals),
                "scope": "Namespaced",
            }
        ],
        "matchConditions": [
            {
                "name": "the-spec-changes",
                "expression": "request.operation == 'CREATE' || object.spec != oldObject.spec",
            }
        ],
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT,
    }
    if namespaces:
        label = {"key": "kubernetes.io/metadata.name", "operator": "In"}
        webhook["namespaceSelector"] = {"matchExpressions": [{**label, "values": [*namespaces]}]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": configuration_name(namespaces)},
        "webhooks": [webhook],
    }


class Webhook:
    """Keeps certificates and configuration current; Kopf's server reads the files."""

    def __init__(
        self,
        kube: Kube,
        endpoint: Endpoint,
        directory: Path,
        *,
        home: str,
        plurals: Sequence[str],
        namespaces: Sequence[str],
        clock: Callable[[], datetime],
    ) -> None:
        self.endpoint = endpoint
        self.certificate, self.key = directory / "tls.crt", directory / "tls.key"
        self._kube, self._clock = kube, clock
        self._secret = Ref("v1", "Secret", home, NAME)
        self._plurals, self._namespaces = tuple(plurals), tuple(namespaces)
        self._current: Certificates | None = None

    async def prepare(self) -> None:
        """Write files that a server can start with, even if the API server does not answer.

        Raises:
            OSError: the port is taken.
        """
        self.endpoint.check_free()
        try:
            async with asyncio.timeout(START):
                await self.refresh()
        except (Rejected, Unavailable, TimeoutError) as error:
            log.warning("admission is not registered yet: %s", error)
            if self._current is None:
                self._use(renewed(None, self.endpoint.hosts, self._clock()))

    async def run(self) -> None:
        """Keep everything current until cancelled."""
        while True:
            pause = CHECK
            try:
                await self.refresh()
            except (Rejected, Unavailable) as error:
                log.warning("admission is not registered: %s", error)
                pause = RETRY
            await asyncio.sleep(pause)

    async def refresh(self) -> None:
        """Renew what is due and register it.

        Raises:
            Rejected, Unavailable: the API server did not let us.
        """
        certificates = await self._shared()
        self._use(certificates)
        wanted = configuration(
            self.endpoint, certificates.authorities, self._plurals, self._namespaces
        )
        await self._kube.apply(await self._owned(wanted))

    async def _shared(self) -> Certificates:
        """The certificates of all replicas: the first that writes the Secret decides."""
        while True:
            live = await self._kube.get(self._secret)
            if live is None:
                raise Rejected(404, "NotFound", f"no Secret {self._secret.name}; see the chart")
            known = _read(live.get("data") or {})
            wanted = renewed(known, self.endpoint.hosts, self._clock())
            if wanted == known:
                return known
            version = {"resourceVersion": live["metadata"]["resourceVersion"]}
            try:
                await self._kube.merge(
                    self._secret, {"metadata": version, "data": _written(wanted)}
                )
            except Rejected as error:
                if not error.is_stale:
                    raise
            else:
                return wanted

    async def _owned(self, wanted: Mapping[str, object]) -> Body:
        """With the ClusterRole as owner, so that it leaves the cluster with the installation."""
        name = configuration_name(self._namespaces)
        role = Ref("rbac.authorization.k8s.io/v1", "ClusterRole", "", name)
        live = await self._kube.get(role)
        if live is None:
            return wanted
        owner = {"apiVersion": role.api_version, "kind": role.kind, "name": name}
        owners = [{**owner, "uid": live["metadata"]["uid"]}]
        return {**wanted, "metadata": {"name": name, "ownerReferences": owners}}

    def _use(self, certificates: Certificates) -> None:
        """Kopf starts its server again when the files change."""
        if certificates != self._current:
            self.key.touch(mode=0o600)
            self.key.write_bytes(certificates.key)
            self.certificate.write_bytes(certificates.certificate)
            self._current = certificates


def _read(data: Mapping[str, str]) -> Certificates | None:
    if not all(name in data for name in FIELDS.values()):
        return None
    return Certificates(**{field: b64decode(data[name]) for field, name in FIELDS.items()})


def _written(certificates: Certificates) -> dict[str, str]:
    return {
        name: b64encode(getattr(certificates, field)).decode() for field, name in FIELDS.items()
    }
