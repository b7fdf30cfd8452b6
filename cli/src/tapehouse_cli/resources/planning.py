"""Plans of documents for as many namespaces as they name."""

from collections.abc import Mapping, Sequence
from typing import Any

from tapehouse_kube.client import HttpKube
from tapehouse_operator.emit.core import ObjectKey, Table, TableState
from tapehouse_operator.errors import NotReady
from tapehouse_operator.kinds import KINDS
from tapehouse_operator.kinds.contract import Key
from tapehouse_operator.names import API_VERSION, SETTINGS
from tapehouse_operator.ports import Catalog
from tapehouse_operator.reasons import Reason

from tapehouse_cli.resources.dry_run import Rehearsal
from tapehouse_cli.resources.plan import Plan, make_plans
from tapehouse_cli.target import Target, connected

CATALOG_TIMEOUT = 10.0
"""Seconds for the catalog to answer; a plan goes on without it."""
SETTINGS_KEY = ObjectKey("v1", "ConfigMap", SETTINGS)


async def plan_everywhere(
    cluster: Target, documents: Sequence[Mapping[str, Any]], catalog: str = ""
) -> list[Plan]:
    """What applying `documents` would do, each in its own namespace or in that of `cluster`.

    `catalog` is the URI at which the Iceberg catalog is reached from here.
    """
    async with connected(cluster) as (kube, namespace):
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for document in documents:
            named = cluster.namespace or document["metadata"].get("namespace") or namespace
            groups.setdefault(named, []).append(document)
        return [
            plan
            for where, group in groups.items()
            if any(document.get("apiVersion") == API_VERSION for document in group)
            for plan in await _plans(kube, where, group, catalog)
        ]


async def _plans(
    kube: HttpKube, namespace: str, documents: Sequence[Mapping[str, Any]], catalog: str
) -> list[Plan]:
    rehearsal = Rehearsal(kube, KINDS, namespace)
    await rehearsal.load()
    return await make_plans(rehearsal, documents, await _catalog(rehearsal, documents, catalog))


async def _catalog(
    rehearsal: Rehearsal, documents: Sequence[Mapping[str, Any]], uri: str
) -> Catalog:
    """The catalog of the settings, as they would be."""
    planned = [d for d in documents if d["kind"] == SETTINGS_KEY.kind]
    data = next((d["data"] for d in planned if d["metadata"]["name"] == SETTINGS), None)
    if data is None:
        live = await rehearsal.settings(Key("", rehearsal.namespace, ""))
        data = live or {}
    if found := uri or data.get("catalogUri", ""):
        from tapehouse_operator.backends.catalog import rest_catalog

        return rest_catalog(found, CATALOG_TIMEOUT)
    return Nowhere()


class Nowhere:
    """The catalog of settings that name none."""

    async def ensure(self, table: Table) -> TableState:
        """Never answers."""
        raise NotReady(Reason.CATALOG_UNAVAILABLE, "no catalog is named")

    async def state(self, identifier: str) -> TableState:
        """Never answers."""
        raise NotReady(Reason.CATALOG_UNAVAILABLE, "no catalog is named")

    async def drop(self, identifier: str, owner: str) -> None:
        """Never answers."""
        raise NotReady(Reason.CATALOG_UNAVAILABLE, "no catalog is named")
