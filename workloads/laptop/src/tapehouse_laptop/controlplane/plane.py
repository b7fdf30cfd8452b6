"""The control plane of one installation: which programs, with which flags, in which order."""

import asyncio
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from tapehouse_kube.access import load_access

from tapehouse_laptop.components import Components
from tapehouse_laptop.controlplane import pki
from tapehouse_laptop.controlplane.binaries import Binaries
from tapehouse_laptop.net import Net
from tapehouse_laptop.services import Keeper, Service, answers, at_once
from tapehouse_laptop.state import State, write_atomically

API_PORT, ETCD_PORT, ETCD_PEER_PORT = 6443, 2379, 2380
START_TIMEOUT = 120.0
DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
"""Made by the controller manager once it works."""
ISSUER = "https://kubernetes.default.svc"
SERVICES = "10.96.0.0/16"
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "statefulset-controller",
    "ttl-after-finished-controller",
)
"""The endpoint controllers are left out: they refuse loopback addresses. Those of nodes too: the
laptop's only node has no kubelet that renews its lease."""


@dataclass(slots=True)
class ControlPlane:
    """etcd, API server, controller manager and scheduler, on one loopback address."""

    state: State
    net: Net
    binaries: Binaries
    components: Components
    namespace: str = "default"
    """The namespace of the administrator's kubeconfig."""
    _keepers: list[Keeper] = field(default_factory=list)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.net.control_plane}:{API_PORT}"

    @property
    def _pki(self) -> pki.Pki:
        return pki.Pki(self.state.pki)

    def _tls(self) -> ssl.SSLContext | None:
        return load_access(str(self.state.kubeconfig)).tls

    async def start(self) -> None:
        """Start all four; returns when they are ready.

        Raises:
            LaptopError: one of them did not become ready.
        """
        await self.serve()
        await self.control()

    async def serve(self) -> None:
        """Start etcd and the API server; returns when it serves and the kubeconfig is written.

        Raises:
            LaptopError: one of them did not become ready.
        """
        self.state.ensure()
        self._pki.ensure(self.net.control_plane)
        admin = self._pki.kubeconfig(self.server, pki.ADMIN, self.namespace)
        write_atomically(self.state.kubeconfig, admin)
        for client in (pki.CONTROLLER_MANAGER, pki.SCHEDULER):
            write_atomically(self._kubeconfig_of(client), self._pki.kubeconfig(self.server, client))
        await self._start(self._etcd())
        await self._start(self._api_server())

    async def control(self) -> None:
        """Start controller manager and scheduler; returns when they work.

        Raises:
            LaptopError: one of them did not become ready.
        """
        await asyncio.gather(
            self._start(self._controller_manager()), self._start(self._scheduler())
        )

    async def stop(self) -> None:
        """Stop them, clients before servers."""
        while self._keepers:
            await self._keepers.pop().stop()

    async def _start(self, service: Service) -> None:
        keeper = Keeper(service, self.state, self.components)
        self._keepers.append(keeper)
        await keeper.start(START_TIMEOUT)

    def _kubeconfig_of(self, client: pki.Identity) -> Path:
        return self.state.pki / f"{client.name}.kubeconfig"

    def _program(self, name: str, flags: dict[str, str]) -> list[str | Path]:
        return [self.binaries[name], *(f"--{flag}={value}" for flag, value in flags.items())]

    def _etcd(self) -> Service:
        client = f"http://{self.net.control_plane}:{ETCD_PORT}"
        peer = f"http://{self.net.control_plane}:{ETCD_PEER_PORT}"
        flags = {
            "data-dir": str(self.state.data / "etcd"),
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            # Survives a killed process, whose writes the system keeps; not a power failure.
            "unsafe-no-fsync": "true",
            "log-level": "warn",
            "auto-compaction-retention": "1h",
        }
        return Service(
            "etcd", self._program("etcd", flags), answers(f"{client}/readyz"), _environment()
        )

    def _api_server(self) -> Service:
        address, file = self.net.control_plane, self._pki.file
        flags = {
            "etcd-servers": f"http://{address}:{ETCD_PORT}",
            "bind-address": address,
            "advertise-address": address,
            "secure-port": str(API_PORT),
            "endpoint-reconciler-type": "none",
            "service-cluster-ip-range": SERVICES,
            "cert-dir": str(self.state.pki),
            "client-ca-file": str(file("ca.crt")),
            "tls-cert-file": str(file("apiserver.crt")),
            "tls-private-key-file": str(file("apiserver.key")),
            "service-account-key-file": str(file("service-accounts.pub")),
            "service-account-signing-key-file": str(file("service-accounts.key")),
            "service-account-issuer": ISSUER,
            "kubelet-client-certificate": str(file(f"{pki.KUBELET_CLIENT.name}.crt")),
            "kubelet-client-key": str(file(f"{pki.KUBELET_CLIENT.name}.key")),
            "kubelet-certificate-authority": str(file("ca.crt")),
            "kubelet-preferred-address-types": "InternalIP",
            "authorization-mode": "RBAC",
            "anonymous-auth": "false",
            # Only the node controllers, which do not run here, would take the taint off again.
            "disable-admission-plugins": "TaintNodesByCondition",
            "profiling": "false",
        }
        ready = answers(f"{self.server}/readyz", self._tls)
        return Service(
            "kube-apiserver", self._program("kube-apiserver", flags), ready, _environment(), 15
        )

    def _controller_manager(self) -> Service:
        flags = {
            **self._client_flags(pki.CONTROLLER_MANAGER),
            "use-service-account-credentials": "true",
            "service-account-private-key-file": str(self._pki.file("service-accounts.key")),
            "root-ca-file": str(self._pki.file("ca.crt")),
            "controllers": ",".join(CONTROLLERS),
            "concurrent-namespace-syncs": "20",
        }
        ready = answers(f"{self.server}{DEFAULT_ACCOUNT}", self._tls)
        program = self._program("kube-controller-manager", flags)
        return Service("kube-controller-manager", program, ready, _environment())

    def _scheduler(self) -> Service:
        program = self._program("kube-scheduler", self._client_flags(pki.SCHEDULER))
        return Service("kube-scheduler", program, at_once, _environment())

    def _client_flags(self, who: pki.Identity) -> dict[str, str]:
        kubeconfig = str(self._kubeconfig_of(who))
        return {
            "kubeconfig": kubeconfig,
            "authentication-kubeconfig": kubeconfig,
            "authorization-kubeconfig": kubeconfig,
            "secure-port": "0",
            "leader-elect": "false",
            "kube-api-qps": "1000",
            "kube-api-burst": "2000",
            "profiling": "false",
        }


def _environment() -> dict[str, str]:
    # Smaller heaps for a little more work of the collector.
    return {**os.environ, "GOGC": "40"}
