"""Status as Strimzi writes it: one `Ready` condition whose time moves only when it flips."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tapehouse_laptop.kubeapi import Key, Kube, Manifest, Resource


def now() -> str:
    """The time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def compose(item: Manifest, fields: Mapping[str, Any], *conditions: Mapping[str, str]) -> Manifest:
    """The status of `item`: `fields`, the conditions and the generation they speak of."""
    old = {c["type"]: c for c in item.get("status", {}).get("conditions") or ()}
    return {
        **fields,
        "observedGeneration": item["metadata"]["generation"],
        "conditions": [_dated(condition, old.get(condition["type"])) for condition in conditions],
    }


def _dated(new: Mapping[str, str], old: Mapping[str, str] | None) -> Manifest:
    kept = old is not None and old["status"] == new["status"]
    return {**new, "lastTransitionTime": old["lastTransitionTime"] if old and kept else now()}


def ready() -> dict[str, str]:
    """All is as asked."""
    return {"type": "Ready", "status": "True"}


def not_ready(reason: str, message: str) -> dict[str, str]:
    """It is not, and why."""
    return {"type": "Ready", "status": "False", "reason": reason, "message": message}


def warning(reason: str, message: str) -> dict[str, str]:
    """Something asked for is not followed here."""
    return {"type": "Warning", "status": "True", "reason": reason, "message": message}


async def report(kube: Kube, resource: Resource, item: Manifest, status: Manifest) -> None:
    """Write `status` if it differs from what is there; fields it lacks are removed."""
    old: Manifest = item.get("status") or {}
    changed = {k: v for k, v in status.items() if old.get(k) != v}
    gone = dict.fromkeys(old.keys() - status.keys())
    if changed or gone:
        await kube.patch_status(resource, Key.of(item), changed | gone)
