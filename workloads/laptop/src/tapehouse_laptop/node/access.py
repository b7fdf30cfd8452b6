"""A Pod's way to the API server: bound tokens, and a kubeconfig that uses them."""

import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from tapehouse_laptop.kubeapi import Key, Kube, Manifest
from tapehouse_laptop.state import write_atomically

MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
DEFAULT_SECONDS = 3600
WARNED_SECONDS = 3607
"""What the API server's admission asks for; it extends such tokens to a year."""
REFRESH_AT_MOST = 86400.0


class Tokens:
    """The ServiceAccount tokens a Pod's volumes ask for."""

    def __init__(self, kube: Kube, pod: Manifest) -> None:
        self._kube = kube
        self._pod = pod
        self._sources = list(_sources(pod))
        self._held: dict[str, bytes] = {}
        self._fetched = 0.0

    def get(self, source: Manifest) -> bytes:
        """The current token for a projection; empty before the first `fetch`."""
        return self._held.get(source["path"], b"")

    def due(self) -> float | None:
        """Seconds until the tokens should be fetched again; None if there are none."""
        if not self._sources:
            return None
        return max(1.0, self._fetched + self._lifetime() - time.monotonic())

    async def fetch(self) -> None:
        """Get the tokens, if they are due.

        Raises:
            ApiError: the account does not exist.
        """
        if not self._sources or (self._held and (self.due() or 0) > 1.0):
            return
        meta, spec = self._pod["metadata"], self._pod["spec"]
        account = Key(meta["namespace"], spec.get("serviceAccountName", "default"))
        for source in self._sources:
            seconds = source.get("expirationSeconds", DEFAULT_SECONDS)
            token = await self._kube.token(account, seconds, self._pod)
            self._held[source["path"]] = token.encode()
        self._fetched = time.monotonic()

    def _lifetime(self) -> float:
        asked: list[int] = [
            source.get("expirationSeconds", DEFAULT_SECONDS) for source in self._sources
        ]
        short = [0.8 * float(seconds) for seconds in asked if seconds != WARNED_SECONDS]
        return min([REFRESH_AT_MOST, *short])


def _sources(pod: Manifest) -> Iterator[Manifest]:
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "serviceAccountToken" in source:
                yield source["serviceAccountToken"]


def pod_kubeconfig(pod: Manifest, directory: Path, admin: Path) -> Path | None:
    """Write a kubeconfig of the Pod's account into `directory`; None if it mounts no token."""
    volume = _token_volume(pod)
    if volume is None:
        return None
    config = yaml.safe_load(admin.read_text())
    [cluster] = [entry["cluster"] for entry in config["clusters"][:1]]
    token = directory / "volumes" / volume / "token"
    namespace = pod["metadata"]["namespace"]
    context = {"cluster": "tapehouse", "user": "pod", "namespace": namespace}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tapehouse", "cluster": cluster}],
        "users": [{"name": "pod", "user": {"tokenFile": str(token)}}],
        "contexts": [{"name": "tapehouse", "context": context}],
        "current-context": "tapehouse",
    }
    path = directory / "kubeconfig"
    write_atomically(path, yaml.safe_dump(content, sort_keys=False))
    return path


def _token_volume(pod: Manifest) -> str | None:
    spec = pod["spec"]
    for container in [*spec["containers"], *(spec.get("initContainers") or ())]:
        for mount in container.get("volumeMounts") or ():
            if mount["mountPath"] == MOUNT:
                return str(mount["name"])
    return None
