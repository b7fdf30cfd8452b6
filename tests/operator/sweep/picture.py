"""Namespaces as pictures that can be compared: without identities, versions and times."""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pyiceberg.catalog import load_catalog
from tapehouse_kube.objects import FIELD_MANAGER
from tapehouse_laptop.kubeapi import Kube, Manifest, Resource
from tapehouse_operator.names import API_VERSION, LABEL_OWNER

from tests.operator.sweep.stories import CHILDREN, OURS

Picture = Mapping[str, Any]
METADATA = ("labels", "annotations", "finalizers", "generation", "deletionTimestamp")
VARIABLE = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<hash>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"), "<time>"),
)


async def pictures(kube: Kube, namespaces: Iterable[str], catalog: str = "") -> dict[str, Picture]:
    """What is there of ours in each namespace, and in the catalog under its prefix."""
    found: dict[str, dict[str, Any]] = {name: {} for name in namespaces}
    owners: dict[str, str] = {}
    for resource in (*OURS.values(), *CHILDREN):
        for item in await _items(kube, resource):
            meta = item["metadata"]
            owners[meta["uid"]] = meta["name"]
            if meta["namespace"] in found:
                here = found[meta["namespace"]]
                here[f"{resource.kind}/{meta['name']}"] = _pictured(item, owners)
    if catalog:
        tables = await asyncio.to_thread(_tables, catalog, tuple(found))
        for name, some in tables.items():
            found[name] |= some
    return {name: _neutral(picture, name) for name, picture in found.items()}


async def _items(kube: Kube, resource: Resource) -> list[Manifest]:
    selector = "" if resource.api_version == API_VERSION else LABEL_OWNER
    return (await kube.list(resource, selector=selector))[0]


def _pictured(item: Manifest, owners: Mapping[str, str]) -> dict[str, Any]:
    meta = item["metadata"]
    kept = {name: meta[name] for name in METADATA if name in meta}
    if item["kind"] == "Deployment":
        kept["annotations"] = {
            k: v for k, v in kept["annotations"].items() if not k.startswith("deployment.")
        }
    kept["owners"] = [owners.get(o["uid"], "gone") for o in meta.get("ownerReferences", ())]
    kept["owned"] = [
        entry["fieldsV1"]
        for entry in meta.get("managedFields", ())
        if (entry["manager"], entry["operation"]) == (FIELD_MANAGER, "Apply")
    ]
    skipped = ("metadata", "apiVersion", "kind", "status")
    rest = {name: value for name, value in item.items() if name not in skipped}
    if item["apiVersion"] == API_VERSION:
        rest["status"] = item.get("status")
    return {"metadata": kept, **rest}


def _neutral(picture: Picture, namespace: str) -> Picture:
    """The same in every namespace and at every time."""
    text = json.dumps(picture, sort_keys=True)
    text = text.replace(namespace.replace("-", "_"), "<namespace>").replace(
        namespace, "<namespace>"
    )
    for pattern, name in VARIABLE:
        text = pattern.sub(name, text)
    neutral: Picture = json.loads(_renumbered(text))
    return neutral


def _renumbered(text: str) -> str:
    """Revisions from 1 on: a resource made anew may count on from its former namesake's."""
    owned: defaultdict[str, set[int]] = defaultdict(set)
    for owner, number in re.findall(r'"ControllerRevision/([^"]*)-(\d{5})"', text):
        owned[owner].add(int(number))
    for numbers in owned.values():
        gap = min(numbers) - 1
        for number in sorted(numbers) if gap else ():
            text = text.replace(f"-{number:05}", f"-{number - gap:05}")
            field = re.compile(rf'(revision(?:HighWater)?\\*": \\*"?){number}\b')
            text = field.sub(rf"\g<1>{number - gap}", text)
    return text


def _tables(uri: str, namespaces: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    catalog = load_catalog("sweep", type="rest", uri=uri)
    found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    by_prefix = {name.replace("-", "_"): name for name in namespaces}
    for (space,) in catalog.list_namespaces():
        home = by_prefix.get(space.rpartition("_")[0])
        for identifier in catalog.list_tables(space) if home else ():
            table = catalog.load_table(identifier)
            columns = [f"{f.name} {f.field_type}" for f in table.schema().fields]
            content = {"columns": columns, "owner": table.properties.get("tapehouse.owner")}
            found[home or ""][f"Table/{identifier[-1]}"] = content
    catalog.close()
    return found


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two pictures differ, a line each."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            line
            for key in sorted({*one, *other})
            for line in differences(one.get(key), other.get(key), f"{path}.{key}" if path else key)
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for n, (a, b) in pairs for line in differences(a, b, f"{path}[{n}]")]
    return [] if one == other else [f"{path}: {_short(one)} != {_short(other)}"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 200 else f"{text[:200]} …"
