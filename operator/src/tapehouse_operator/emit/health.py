"""What a vendor's status says of its object, each in the vendor's own shape."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Status = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether an object is there and works, and why not."""

    ready: bool
    reason: str = ""


def by_condition(status: Status, generation: int) -> Health:
    """Strimzi's objects: the condition Ready, seen for this generation."""
    ready = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), None)
    if ready is None or status.get("observedGeneration", 0) < generation:
        return Health(False, "not observed yet")
    if ready.get("status") == "True":
        return Health(True)
    return Health(False, ready.get("message") or ready.get("reason") or "not ready")


def of_deployment(status: Status, generation: int, replicas: int) -> Health:
    """apps/v1 Deployment: every wanted Pod is new, and ready."""
    if status.get("observedGeneration", 0) < generation:
        return Health(False, "not observed yet")
    updated, ready = status.get("updatedReplicas", 0), status.get("readyReplicas", 0)
    if updated >= replicas and ready >= replicas:
        return Health(True)
    return Health(False, f"{min(updated, ready)} of {replicas} Pods are ready")


@dataclass(frozen=True, slots=True)
class JobHealth:
    """What a FlinkDeployment says of its job."""

    running: bool
    failed: bool
    upgrading: bool
    state: str
    job_id: str
    restorable: str
    """Where its newest known savepoint or checkpoint is; empty when none is known."""
    reason: str


def of_flink_deployment(status: Status, generation: int) -> JobHealth:
    """flink.apache.org FlinkDeployment.

    `jobStatus.state` passes through FINISHED during an upgrade, so only `lifecycleState` STABLE
    together with it means that the job of this generation runs.
    """
    job: Status = status.get("jobStatus") or {}
    lifecycle, state = status.get("lifecycleState", ""), job.get("state", "")
    # Older versions of the Flink operator do not tell the generation.
    seen = status.get("observedGeneration", generation) >= generation
    error = str(status.get("error") or "")
    return JobHealth(
        running=seen and lifecycle == "STABLE" and state == "RUNNING",
        upgrading=lifecycle in ("UPGRADING", "ROLLING_BACK"),
        failed=lifecycle == "FAILED" or state == "FAILED",
        state=state,
        job_id=job.get("jobId", ""),
        restorable=_restorable(job),
        reason=error
        or (
            f"{lifecycle or 'CREATED'}, job {state or 'not started'}"
            if seen
            else "not observed yet"
        ),
    )


def _restorable(job: Status) -> str:
    savepoint = (job.get("savepointInfo") or {}).get("lastSavepoint") or {}
    checkpoint = (job.get("checkpointInfo") or {}).get("lastCheckpoint") or {}
    found = (
        job.get("upgradeSavepointPath"),
        savepoint.get("location"),
        checkpoint.get("location"),
    )
    return next((path for path in found if path), "")
