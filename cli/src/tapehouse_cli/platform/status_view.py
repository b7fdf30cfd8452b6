"""The state of an installation as rows: components, resources, failing Pods."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tapehouse_laptop import repository, vendorcrds
from tapehouse_laptop.components import read_components
from tapehouse_laptop.controller import Mirror
from tapehouse_laptop.kubeapi import FLINK_DEPLOYMENTS, PODS, Key, Kube, Manifest, Resource
from tapehouse_laptop.state import State

from tapehouse_cli.platform.readiness import reports, verdict

DEPLOYMENTS = Resource("apps/v1", "Deployment", "deployments")
COMPONENT = "component"
CLOSING_SECONDS = 3.0
"""A watch that does not end when told must not keep the command from ending."""
SETTLE_SECONDS = 1.0
QUIET_REASONS = {"ContainerCreating", "PodInitializing"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    kind: str
    name: str
    ready: bool
    message: str = ""
    failed: bool = False


def known_resources() -> dict[tuple[str, str], Resource]:
    """The kinds that say whether they are ready, by apiVersion and kind."""
    found = [DEPLOYMENTS]
    for crd in [*vendorcrds.manifests(), *repository.crds()]:
        spec = crd["spec"]
        names = spec["names"]
        for version in spec["versions"]:
            api_version = f"{spec['group']}/{version['name']}"
            found.append(Resource(api_version, names["kind"], names["plural"]))
    return {(each.api_version, each.kind): each for each in found}


def component_rows(state: State) -> list[Row]:
    """What the supervisor keeps running."""
    return [
        Row(COMPONENT, row.name, row.phase == "Ready", row.message, row.phase == "Failed")
        for row in read_components(state).values()
    ]


class Transitions:
    """Readiness as last seen, to print only what changes it."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._ready = {(row.kind, row.name): row.ready for row in rows}

    def of(self, rows: Iterable[Row]) -> list[str]:
        """One line for each row that is new, or became ready or not ready."""
        seen = {(row.kind, row.name): row for row in rows}
        lines = [
            f"{row.kind} {row.name}: {'ready' if row.ready else 'not ready'} {row.message}".strip()
            for key, row in seen.items()
            if self._ready.get(key) is not row.ready
        ]
        lines += [f"{kind} {name}: gone" for kind, name in self._ready.keys() - seen.keys()]
        self._ready = {key: row.ready for key, row in seen.items()}
        return lines


class StatusView:
    """A live view of the resources of some namespaces."""

    def __init__(self, kube: Kube, state: State | None, namespaces: Iterable[str]) -> None:
        self._state = state
        self._namespaces = set(namespaces)
        self._mirrors = {
            (each.api_version, each.kind): Mirror(kube, each) for each in known_resources().values()
        }
        self._pods = Mirror(kube, PODS)
        self._changed = asyncio.Event()
        for mirror in (*self._mirrors.values(), self._pods):
            mirror.on_change(lambda *_: self._changed.set())

    async def changed(self, timeout: float) -> None:
        """Return a second after a change, so that what changes together is one; or at `timeout`."""
        with contextlib.suppress(TimeoutError):
            # Not wait_for: Python 3.11's loses an interrupt that comes together with a change.
            async with asyncio.timeout(timeout):
                await self._changed.wait()
            await asyncio.sleep(SETTLE_SECONDS)
        self._changed.clear()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Keep the view up to date for as long as the block runs."""
        mirrors = [*self._mirrors.values(), self._pods]
        tasks = [asyncio.create_task(mirror.run()) for mirror in mirrors]
        try:
            await asyncio.gather(*(mirror.synced() for mirror in mirrors))
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=CLOSING_SECONDS)

    def rows(self, wanted: Iterable[Manifest]) -> list[Row]:
        """Components, then the `wanted` objects, Flink deployments and Pods in trouble."""
        rows = component_rows(self._state) if self._state else []
        rows += [self._row(item) for item in wanted if reports(item)]
        rows += [
            _row_of(item, item)
            for item in self._mirrors[FLINK_DEPLOYMENTS.api_version, FLINK_DEPLOYMENTS.kind]
            if self._ours(item)
        ]
        return rows + [row for pod in self._pods if self._ours(pod) for row in pod_trouble(pod)]

    def everything(self) -> list[Row]:
        """Components and all objects there are."""
        live = [item for mirror in self._mirrors.values() for item in mirror if self._ours(item)]
        return self.rows(item for item in live if item["kind"] != FLINK_DEPLOYMENTS.kind)

    def _ours(self, item: Manifest) -> bool:
        return item["metadata"].get("namespace") in self._namespaces

    def _row(self, wanted: Manifest) -> Row:
        key = Key.of(wanted)
        live = self._mirrors[wanted["apiVersion"], wanted["kind"]].get(
            key.namespace or "default", key.name
        )
        return _row_of(wanted, live)


def _row_of(wanted: Manifest, live: Manifest | None) -> Row:
    found = verdict(live)
    return Row(wanted["kind"], wanted["metadata"]["name"], found.ready, found.message)


def pod_trouble(pod: Manifest) -> Iterator[Row]:
    """A row for each container that waits for a reason worth showing."""
    status = pod.get("status") or {}
    if status.get("phase") == "Failed":
        return
    entries = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    for entry in entries:
        waiting = (entry.get("state") or {}).get("waiting") or {}
        if waiting.get("message") or waiting.get("reason", "") not in {"", *QUIET_REASONS}:
            message = f"{waiting['reason']}: {waiting.get('message', '')}"
            last = ((entry.get("lastState") or {}).get("terminated") or {}).get("message", "")
            yield Row("Pod", pod["metadata"]["name"], False, f"{message} {last}".strip(), True)


def unready(rows: Iterable[Row]) -> list[Row]:
    """Those that are not as they should be."""
    return [row for row in rows if not row.ready]


def all_ready(rows: list[Row], enough: Callable[[Row], bool] = lambda row: True) -> bool:
    """Whether there is something and all of it is ready."""
    return bool(rows) and all(row.ready for row in rows if enough(row))
