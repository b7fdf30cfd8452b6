"""Vendors' statuses: readiness is bound to the generation it was seen for."""

import pytest
from tapehouse_operator.emit.health import by_condition, of_deployment, of_flink_deployment

READY = {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]}
REFUSED = {
    "observedGeneration": 2,
    "conditions": [{"type": "Ready", "status": "False", "reason": "Bad", "message": "too many"}],
}
STABLE = {
    "observedGeneration": 2,
    "lifecycleState": "STABLE",
    "jobStatus": {"state": "RUNNING", "jobId": "a" * 32},
}


@pytest.mark.parametrize(
    ("status", "generation", "ready", "reason"),
    [
        ({}, 1, False, "not observed yet"),
        (READY, 2, True, ""),
        (READY, 3, False, "not observed yet"),
        (REFUSED, 2, False, "too many"),
        ({"conditions": [{"type": "Other", "status": "True"}]}, 1, False, "not observed yet"),
    ],
)
def test_strimzi(status: dict, generation: int, ready: bool, reason: str) -> None:
    found = by_condition(status, generation)
    assert (found.ready, found.reason) == (ready, reason)


@pytest.mark.parametrize(
    ("status", "wanted", "ready"),
    [
        ({}, 1, False),
        ({"observedGeneration": 2, "updatedReplicas": 1, "readyReplicas": 1}, 1, True),
        ({"observedGeneration": 1, "updatedReplicas": 1, "readyReplicas": 1}, 1, False),
        ({"observedGeneration": 2, "readyReplicas": 1}, 1, False),
        ({"observedGeneration": 2, "updatedReplicas": 2, "readyReplicas": 1}, 2, False),
        ({"observedGeneration": 2}, 0, True),
    ],
)
def test_deployments(status: dict, wanted: int, ready: bool) -> None:
    assert of_deployment(status, 2, wanted).ready is ready


@pytest.mark.parametrize(
    ("change", "running", "failed"),
    [
        ({}, True, False),
        ({"observedGeneration": 1}, False, False),
        ({"lifecycleState": "DEPLOYED"}, False, False),
        ({"lifecycleState": "UPGRADING"}, False, False),
        ({"jobStatus": {"state": "FINISHED"}}, False, False),
        ({"jobStatus": {"state": "RESTARTING"}}, False, False),
        ({"jobStatus": {"state": "FAILED"}}, False, True),
        ({"lifecycleState": "FAILED", "error": "boom"}, False, True),
    ],
)
def test_flink_jobs(change: dict, running: bool, failed: bool) -> None:
    found = of_flink_deployment({**STABLE, **change}, 2)
    assert (found.running, found.failed) == (running, failed)
    assert found.reason if not running else True


@pytest.mark.parametrize(
    "job",
    [
        {"upgradeSavepointPath": "file:/s"},
        {"savepointInfo": {"lastSavepoint": {"location": "file:/s"}}},
        {"checkpointInfo": {"lastCheckpoint": {"location": "file:/s"}}},
    ],
)
def test_a_known_savepoint_can_be_resumed_from(job: dict) -> None:
    assert of_flink_deployment({"jobStatus": job}, 1).restorable == "file:/s"
    assert of_flink_deployment({}, 1).restorable == ""
