"""A scene for a spec that is not stored yet, read from the caches."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from tapehouse_kube.errors import Rejected, Unavailable
from tapehouse_kube.objects import Body

from tapehouse_operator.backends.cluster import ClusterBackend
from tapehouse_operator.backends.resync import CachedCatalog
from tapehouse_operator.decision import AnyKind, Scene, read_versions
from tapehouse_operator.emit.core import ObjectKey, TableState
from tapehouse_operator.errors import NotReady
from tapehouse_operator.kinds.contract import Key, Observed, Refs, Subject, World
from tapehouse_operator.names import API_VERSION, SETTINGS
from tapehouse_operator.ports import Catalog
from tapehouse_operator.reasons import Reason
from tapehouse_operator.rollout import REVISION_KIND, read_history

SHARED_KINDS = frozenset({"Kafka"})
"""Objects that all resources of a namespace refer to: read once for each namespace."""
READ_TIMEOUT = 1.0
"""Seconds for such a read; the API server waits for the answer."""
SETTINGS_KEY = ObjectKey("v1", "ConfigMap", SETTINGS)


class Preview:
    """Reads for admission.

    Nothing is asked of the API server for a request, but for the objects that a whole namespace
    shares, once. What is not cached counts as missing, which at most gives a warning.
    """

    def __init__(
        self,
        kinds: Sequence[AnyKind],
        backend: ClusterBackend,
        catalogs: Callable[[Mapping[str, str]], Catalog],
    ) -> None:
        self._kinds = {kind.name: kind for kind in kinds}
        self._backend, self._catalogs = backend, catalogs

    async def scene(self, body: Body) -> Scene:
        """All that judging the resource `body` takes."""
        subject = _subject(body)
        kind = self._kinds[subject.key.kind]
        children = self._backend.children(subject.key)
        history = read_history(children, subject.status, subject.uid)
        versions = read_versions(kind, subject, history)
        try:
            settings = await self._settings(subject.key.namespace)
            refs = [kind.refs(resource, settings) for resource in versions.resources]
            world: World | NotReady = await self._world(subject.key, settings, children, refs)
        except NotReady as error:
            world = error
        return Scene(kind, subject, history, versions, children, world, self._backend.now())

    async def _settings(self, namespace: str) -> Mapping[str, str]:
        await self._share(namespace, {SETTINGS_KEY})
        found = self._backend.cached(namespace, {SETTINGS_KEY}).get(SETTINGS_KEY)
        if found is None:
            message = f"namespace {namespace} has no ConfigMap {SETTINGS}"
            raise NotReady(Reason.SETTINGS_MISSING, message)
        return found.data

    async def _share(self, namespace: str, wanted: Iterable[ObjectKey]) -> None:
        try:
            async with asyncio.timeout(READ_TIMEOUT):
                await self._backend.share(namespace, wanted)
        except (Rejected, Unavailable, TimeoutError):
            pass  # it counts as missing

    async def _world(
        self,
        key: Key,
        settings: Mapping[str, str],
        children: Mapping[ObjectKey, Observed],
        refs: Sequence[Refs],
    ) -> World:
        objects = frozenset({SETTINGS_KEY}).union(*(r.objects for r in refs))
        claims = frozenset[ObjectKey]().union(*(r.claims for r in refs))
        await self._share(key.namespace, {k for k in objects if k.kind in SHARED_KINDS})
        consumers = self._backend.consumers(key) if any(r.consumers for r in refs) else frozenset()
        cached = self._backend.cached
        return World(
            namespace=key.namespace,
            settings=settings,
            objects=cached(key.namespace, objects),
            children={k: v for k, v in children.items() if k.kind != REVISION_KIND},
            claims=self._backend.claims(key, claims),
            tables=self._tables(settings, refs),
            consumers=None if consumers is None else cached(key.namespace, consumers),
        )

    def _tables(
        self, settings: Mapping[str, str], refs: Sequence[Refs]
    ) -> Mapping[str, TableState]:
        wanted = frozenset[str]().union(*(r.tables for r in refs))
        catalog = self._catalogs(settings) if wanted else None
        if not isinstance(catalog, CachedCatalog):
            return {}
        known = {identifier: catalog.known(identifier) for identifier in sorted(wanted)}
        return {identifier: state for identifier, state in known.items() if state is not None}


def _subject(body: Body) -> Subject:
    meta = body["metadata"]
    name = meta.get("name") or meta.get("generateName", "")
    namespace = meta.get("namespace", "")
    shown = ("labels", "annotations", "creationTimestamp")
    metadata = {"name": name, "namespace": namespace, "uid": meta.get("uid", "")}
    metadata |= {field: meta[field] for field in shown if field in meta}
    generation = int(meta.get("generation") or 0)
    return Subject(
        key=Key(body["kind"], namespace, name),
        uid=meta.get("uid", ""),
        resource_version=meta.get("resourceVersion", ""),
        generation=generation,
        manifest={
            "apiVersion": API_VERSION,
            "kind": body["kind"],
            "metadata": {**metadata, "generation": generation},
            "spec": body.get("spec") or {},
        },
        status=body.get("status") or {},
    )
