"""Reads from Kubernetes: the resources for the console and the broker's address."""

import asyncio
import json
import logging
import os
import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

log = logging.getLogger(__name__)

_GROUP, _VERSION = "tapehouse.dev", "v1alpha1"
_KINDS: dict[str, str] = json.loads((files("tapehouse_query") / "kinds.json").read_text())
"""The plural of each kind, in the order data flows; generated from the operator's kinds."""
_TIMEOUT = 5


class Kube:
    """Reads in one namespace; returns None where no Kubernetes API is configured."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._api: client.CustomObjectsApi | None = None

    def resources(self) -> list[dict[str, Any]] | None:
        """The tapehouse resources with their conditions, in the order data flows."""
        if (api := self._client()) is None:
            return None
        found: list[dict[str, Any]] = []
        for kind, plural in _KINDS.items():
            found += [_row(kind, item) for item in self._list(api, plural)]
        return found

    def bootstrap(self, cluster: str, listener: str) -> str | None:
        """`Kafka/<cluster>.status.listeners[name=<listener>].bootstrapServers`, if known yet."""
        if (api := self._client()) is None:
            return None
        try:
            kafka = api.get_namespaced_custom_object(
                "kafka.strimzi.io", "v1", self._namespace, "kafkas", cluster,
                _request_timeout=_TIMEOUT,
            )  # fmt: skip
        except ApiException as error:
            log.info("Kafka/%s: %s %s", cluster, error.status, error.reason)
            return None
        for one in kafka.get("status", {}).get("listeners", []):
            if one.get("name") == listener and one.get("bootstrapServers"):
                return str(one["bootstrapServers"])
        return None

    def _list(self, api: client.CustomObjectsApi, plural: str) -> list[Mapping[str, Any]]:
        try:
            items = api.list_namespaced_custom_object(
                _GROUP, _VERSION, self._namespace, plural, _request_timeout=_TIMEOUT
            )["items"]
        except ApiException as error:
            if error.status == 404:
                return []
            raise
        return sorted(items, key=lambda item: item["metadata"]["name"])

    def _client(self) -> client.CustomObjectsApi | None:
        """Created on use, since the API server may start later than this process."""
        if self._api is None and _configured():
            config.load_config()
            self._api = client.CustomObjectsApi()
        return self._api


def _configured() -> bool:
    """Whether this process runs in a pod or has been given a kubeconfig."""
    files = os.environ.get("KUBECONFIG", str(Path.home() / ".kube" / "config"))
    in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ
    return in_cluster or any(Path(one).is_file() for one in files.split(os.pathsep))


class Resources:
    """The console's resources, listed on request and at most every `max_age` seconds."""

    def __init__(self, kube: Kube, max_age: float = 2) -> None:
        self._kube = kube
        self._max_age = max_age
        self._lock = asyncio.Lock()
        self._checked = float("-inf")
        self._answer: dict[str, Any] = {}

    async def get(self) -> dict[str, Any]:
        """`{"resources": […], "problem": null}`; resources is null where they cannot be read."""
        async with self._lock:
            if time.monotonic() - self._checked >= self._max_age:
                self._answer = await asyncio.to_thread(self._look)
                self._checked = time.monotonic()
            return self._answer

    def _look(self) -> dict[str, Any]:
        try:
            found = self._kube.resources()
        except Exception as error:
            log.info("resources cannot be listed: %s", error)
            return {"resources": None, "problem": "the Kubernetes API does not answer"}
        problem = "no Kubernetes API is configured" if found is None else None
        return {"resources": found, "problem": problem}


def _row(kind: str, item: Mapping[str, Any]) -> dict[str, Any]:
    status = item.get("status") or {}
    keys = ("type", "status", "reason", "message", "lastTransitionTime")
    return {
        "kind": kind,
        "name": item["metadata"]["name"],
        "generation": item["metadata"].get("generation"),
        "conditions": [
            {key: condition.get(key) for key in keys} for condition in status.get("conditions", [])
        ],
    }
