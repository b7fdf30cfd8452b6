"""What a Pod's environment and volumes are filled from: ConfigMaps, Secrets, itself."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tapehouse_laptop.controller import Mirror
from tapehouse_laptop.kubeapi import Manifest


class SourceError(Exception):
    """Something a Pod refers to is not there, or cannot be had on a laptop."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The namespace's ConfigMaps and Secrets, as last seen."""

    config_maps: Mirror
    secrets: Mirror

    def config_map(self, namespace: str, name: str) -> dict[str, bytes] | None:
        """Its data, or None where there is no such ConfigMap."""
        found = self.config_maps.get(namespace, name)
        if found is None:
            return None
        plain = {key: value.encode() for key, value in (found.get("data") or {}).items()}
        return plain | _decoded(found.get("binaryData"))

    def secret(self, namespace: str, name: str) -> dict[str, bytes] | None:
        """Its data, decoded, or None where there is no such Secret."""
        found = self.secrets.get(namespace, name)
        return None if found is None else _decoded(found.get("data"))


def _decoded(data: Mapping[str, str] | None) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (data or {}).items()}


def pick(
    data: Mapping[str, bytes] | None, kind: str, name: str, key: str, *, optional: bool
) -> bytes | None:
    """One key of a ConfigMap or Secret; None where it is optional and absent.

    Raises:
        SourceError: it is absent and not optional.
    """
    if data is not None and key in data:
        return data[key]
    if optional:
        return None
    if data is None:
        raise SourceError(f'{kind} "{name}" not found')
    raise SourceError(f'couldn\'t find key {key} in {kind} "{name}"')


def field(pod: Manifest, path: str, address: str) -> str:
    """A field of the Pod, as `fieldRef` names it.

    Raises:
        SourceError: not a field of the downward API.
    """
    meta, spec = pod["metadata"], pod["spec"]
    if path.endswith("']"):
        holder, _, key = path[:-2].partition("['")
        return str((meta.get(holder.removeprefix("metadata.")) or {}).get(key, ""))
    known: dict[str, Any] = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "metadata.labels": _lines(meta.get("labels")),
        "metadata.annotations": _lines(meta.get("annotations")),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.podIP": address,
        "status.podIPs": address,
        "status.hostIP": address,
        "status.hostIPs": address,
    }
    if path not in known:
        raise SourceError(f"fieldRef {path!r} is not one of {', '.join(known)}")
    return str(known[path])


def _lines(mapping: Mapping[str, str] | None) -> str:
    return "\n".join(f'{key}="{value}"' for key, value in sorted((mapping or {}).items()))
