"""Whether an object is as its spec wants it, from its status alone. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tapehouse_laptop.kubeapi import Manifest

OURS = "tapehouse.dev/"
STRIMZI = "kafka.strimzi.io/"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One object's row."""

    ready: bool
    message: str = ""


def reports(manifest: Mapping[str, Any]) -> bool:
    """Whether objects of this kind say if they are ready."""
    version, kind = manifest["apiVersion"], manifest["kind"]
    return version.startswith((OURS, STRIMZI)) or kind in {"Deployment", "FlinkDeployment"}


def verdict(item: Manifest | None) -> Verdict:
    """The verdict on a live object, None if there is none."""
    if item is None:
        return Verdict(False, "not there yet")
    if item["kind"] == "Deployment":
        return _deployment(item)
    if item["kind"] == "FlinkDeployment":
        return _flink(item)
    return _conditions(item)


def _conditions(item: Manifest) -> Verdict:
    status = item.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    ready = conditions.get("Ready")
    if ready is None:
        return Verdict(False, "waiting for its controller")
    generation = item["metadata"].get("generation", 0)
    seen = ready.get("observedGeneration", status.get("observedGeneration", generation))
    if seen < generation:
        return Verdict(False, "the newest spec has not been looked at yet")
    if ready["status"] == "True":
        refused = conditions.get("Accepted", {})
        if refused.get("status") == "False":
            return Verdict(False, _sentence(refused))
        return Verdict(True, status.get("summary", ""))
    return Verdict(False, _sentence(ready))


def _sentence(condition: Mapping[str, Any]) -> str:
    return ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))


def _deployment(item: Manifest) -> Verdict:
    status, wanted = item.get("status") or {}, item["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < item["metadata"].get("generation", 0):
        return Verdict(False, "not looked at yet")
    ready = min(status.get("readyReplicas", 0), status.get("updatedReplicas", 0))
    surplus = status.get("replicas", 0) > wanted
    return Verdict(ready >= wanted and not surplus, f"{ready} of {wanted} ready")


def _flink(item: Manifest) -> Verdict:
    status = item.get("status") or {}
    state = (status.get("jobStatus") or {}).get("state", "")
    lifecycle = status.get("lifecycleState", "")
    suspended = ((item["spec"].get("job") or {}).get("state")) == "suspended"
    good = lifecycle == "SUSPENDED" if suspended else lifecycle == "STABLE" and state == "RUNNING"
    error = str(status.get("error") or "")[:200]
    return Verdict(good, " ".join(filter(None, (lifecycle, state, error))))
