"""A FlinkDeployment's status in the Flink Kubernetes Operator's own shape."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tapehouse_laptop.flink.record import Record
from tapehouse_laptop.flink.rest import Job
from tapehouse_laptop.flink.spec import Wanted
from tapehouse_laptop.kubeapi import Manifest

RECONCILING = "RECONCILING"


class Doing(StrEnum):
    """What the controller is in the middle of."""

    NOTHING = ""
    STARTING = "starting"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a status is made from."""

    wanted: Wanted
    record: Record
    doing: Doing
    alive: bool
    job: Job | None
    error: str
    version: str


def compose(now: Situation) -> Manifest:
    """The status."""
    return {
        "lifecycleState": _lifecycle(now),
        "jobManagerDeploymentStatus": _deployment(now),
        "jobStatus": _job(now),
        "reconciliationStatus": _reconciliation(now),
        "observedGeneration": now.wanted.generation,
        "error": now.error or None,
        "clusterInfo": {"flink-version": now.version} if now.version else {},
        "taskManager": _task_managers(now),
    }


def _lifecycle(now: Situation) -> str:
    if now.wanted.deleting:
        return "DELETING"
    if now.error and (now.job is None or now.job.state in ("FAILED", "CANCELED")):
        return "FAILED"
    if not now.record.job_id and not now.wanted.running:
        return "SUSPENDED"
    if now.record.digest and not _settled(now):
        return "UPGRADING"
    if now.doing is Doing.STARTING or now.job is None:
        return "DEPLOYED" if now.record.job_id else "CREATED"
    return "DEPLOYED" if now.job.state in ("CREATED", "INITIALIZING") else "STABLE"


def _settled(now: Situation) -> bool:
    """Whether the attempt is what is wanted."""
    return now.wanted.running and now.wanted.digest == now.record.digest


def _deployment(now: Situation) -> str:
    if now.alive:
        return "DEPLOYING" if now.doing is Doing.STARTING else "READY"
    if now.doing is Doing.STARTING:
        return "DEPLOYING"
    return "ERROR" if now.error else "MISSING"


def _job(now: Situation) -> dict[str, Any]:
    record = now.record
    found: dict[str, Any] = {
        "jobId": record.job_id,
        "jobName": now.wanted.key.name,
        "state": _state(now),
        "startTime": str(record.started_ms),
        "upgradeSavepointPath": record.savepoint or record.restore,
        "savepointInfo": {
            "lastPeriodicSavepointTimestamp": 0,
            "savepointHistory": list(record.savepoints),
        },
    }
    if record.savepoints:
        found["savepointInfo"]["lastSavepoint"] = record.savepoints[-1]
    return found


def _state(now: Situation) -> str:
    if not now.record.job_id:
        return RECONCILING if now.wanted.running else "FINISHED"
    return now.job.state if now.job else RECONCILING


def _reconciliation(now: Situation) -> dict[str, Any]:
    record = now.record
    spec = {
        "spec": record.spec,
        "resource_metadata": {
            "apiVersion": now.wanted.item["apiVersion"],
            "metadata": {"generation": record.generation},
        },
    }
    last = json.dumps(spec, sort_keys=True) if record.spec else ""
    stable = _settled(now) and now.job is not None and now.job.state == "RUNNING"
    return {
        "state": "DEPLOYED" if _settled(now) or not now.wanted.running else "UPGRADING",
        "lastReconciledSpec": last,
        "lastStableSpec": last if stable else "",
        "reconciliationTimestamp": record.started_ms,
    }


def _task_managers(now: Situation) -> dict[str, Any]:
    replicas = now.wanted.task_managers if now.alive else 0
    name = now.wanted.key.name
    return {"labelSelector": f"component=taskmanager,app={name}", "replicas": replicas}
