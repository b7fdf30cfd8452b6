"""Reads intents from ConfigMaps and writes results to ConfigMaps."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from kubernetes import client, config, watch
from urllib3.exceptions import HTTPError

from tapehouse_lakehouse.model import (
    PUBLISH,
    PUBLISHED,
    ROLE,
    TABLE,
    InvalidError,
    Published,
    PublishIntent,
    TableSpec,
    parse,
)

log = logging.getLogger(__name__)

_WATCH_SECONDS = 290
_RETRY_SECONDS = 2.0
GONE = 410
"""The API server no longer has this resourceVersion: list again."""
_FAILURES = (client.ApiException, HTTPError, OSError)


class World:
    """The operator's current intents by ConfigMap name; replaced as a whole, never mutated."""

    def __init__(self) -> None:
        self.intents: Mapping[str, PublishIntent] = {}
        self.tables: Mapping[str, TableSpec] = {}
        """By identifier."""
        self.uids: Mapping[str, str] = {}
        """UID of the ConfigMap that declares a table, by identifier: it owns the result."""


class Results(Protocol):
    """Where transitions are reported."""

    def write(self, spec: TableSpec, uid: str, result: Published) -> None:
        """Record `result` for the table; may raise, and is then called again."""
        ...


def core_api() -> client.CoreV1Api:
    """A client from `KUBECONFIG`, or the Pod's service account."""
    config.load_config()
    return client.CoreV1Api()


class Watcher:
    """Keeps `world` up to date with the namespace's ConfigMaps, in its own thread."""

    def __init__(
        self, api: client.CoreV1Api, namespace: str, changed: Callable[[], None] = lambda: None
    ) -> None:
        self.world = World()
        self.synced = threading.Event()
        self._api = api
        self._namespace = namespace
        self._changed = changed
        self._maps: dict[str, Any] = {}
        self._watch = watch.Watch()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; a request in flight is abandoned with the process."""
        self._stop.set()
        self._watch.stop()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow(self._relist())
            except Exception as error:
                # Any exception: a watch that stops permanently would not be noticed.
                if not self._stop.is_set() and getattr(error, "status", None) != GONE:
                    expected = isinstance(error, _FAILURES)
                    log.warning("watching failed, again: %s", error, exc_info=not expected)
                self._stop.wait(_RETRY_SECONDS)

    def _relist(self) -> str:
        found = self._api.list_namespaced_config_map(self._namespace, label_selector=_SELECTOR)
        self._maps = {item.metadata.name: item for item in found.items}
        self._rebuild()
        self.synced.set()
        return str(found.metadata.resource_version)

    def _follow(self, version: str) -> None:
        while not self._stop.is_set():
            for event in self._watch.stream(
                self._api.list_namespaced_config_map,
                self._namespace,
                label_selector=_SELECTOR,
                resource_version=version,
                timeout_seconds=_WATCH_SECONDS,
            ):
                item = event["object"]
                version = item.metadata.resource_version
                if event["type"] == "DELETED":
                    self._maps.pop(item.metadata.name, None)
                else:
                    self._maps[item.metadata.name] = item
                self._rebuild()

    def _rebuild(self) -> None:
        self.world = read_world(self._maps)
        self._changed()


_SELECTOR = f"{ROLE} in ({PUBLISH}, {TABLE})"


def read_world(maps: Mapping[str, Any]) -> World:
    """Parse the ConfigMaps; an unreadable one is logged and skipped."""
    intents: dict[str, PublishIntent] = {}
    tables: dict[str, TableSpec] = {}
    uids: dict[str, str] = {}
    for name, item in sorted(maps.items()):
        try:
            if item.metadata.labels.get(ROLE) == PUBLISH:
                intents[name] = parse(item.data["publish.json"], PublishIntent)
            else:
                spec = parse(item.data["table.json"], TableSpec)
                tables[spec.identifier] = spec
                uids[spec.identifier] = item.metadata.uid
        except (InvalidError, KeyError, TypeError) as error:
            log.error("ConfigMap %s is left out: %s", name, error)
    world = World()
    world.intents, world.tables, world.uids = intents, tables, uids
    return world


class ConfigMapResults:
    """Writes `<table>-published`, only when it differs from what is there."""

    def __init__(self, api: client.CoreV1Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._written: dict[str, str] | None = None

    def write(self, spec: TableSpec, uid: str, result: Published) -> None:
        """Create or replace the ConfigMap; the one that declares the table owns it."""
        written = self._load()
        name = f"{spec.table}-published"
        text = msgspec.json.encode(result).decode()
        if written.get(name) == text:
            return
        body = _published(name, spec, uid, text)
        try:
            if name in written:
                self._api.replace_namespaced_config_map(name, self._namespace, body)
            else:
                self._api.create_namespaced_config_map(self._namespace, body)
        except client.ApiException as error:
            if error.status in (404, 409):
                self._written = None
            raise
        written[name] = text

    def _load(self) -> dict[str, str]:
        if self._written is None:
            found = self._api.list_namespaced_config_map(
                self._namespace, label_selector=f"{ROLE}={PUBLISHED}"
            )
            self._written = {
                item.metadata.name: (item.data or {}).get("published.json", "")
                for item in found.items
            }
        return self._written


def _published(name: str, spec: TableSpec, uid: str, text: str) -> dict[str, Any]:
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": f"{spec.table}-table",
        "uid": uid,
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {ROLE: PUBLISHED}, "ownerReferences": [owner]},
        "data": {"published.json": text},
    }
