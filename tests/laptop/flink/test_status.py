from typing import Any

import pytest
from tapehouse_laptop.flink.record import Record
from tapehouse_laptop.flink.rest import Job
from tapehouse_laptop.flink.spec import Wanted
from tapehouse_laptop.flink.status import Doing, Situation, compose


def wanted(deleting: bool = False, **job: Any) -> Wanted:
    meta: dict[str, Any] = {"name": "j", "namespace": "n", "uid": "u", "generation": 7}
    if deleting:
        meta["deletionTimestamp"] = "x"
    spec = {"job": {"upgradeMode": "savepoint", "parallelism": 1, **job}}
    return Wanted({"apiVersion": "v", "metadata": meta, "spec": spec})


def status(want: Wanted, record: Record, **changes: Any) -> dict[str, Any]:
    fields = {"doing": Doing.NOTHING, "alive": True, "job": None, "error": "", "version": "2.1.3"}
    return compose(Situation(want, record, **{**fields, **changes}))


def attempt(want: Wanted) -> Record:
    record = Record(slot=0)
    record.begin(want)
    return record


RUNNING = Job("a", "RUNNING", 0)


@pytest.mark.parametrize(
    ("changes", "lifecycle", "manager"),
    [
        ({"job": RUNNING}, "STABLE", "READY"),
        ({"job": Job("a", "CREATED", 0)}, "DEPLOYED", "READY"),
        ({"job": Job("a", "RESTARTING", 0)}, "STABLE", "READY"),
        ({"doing": Doing.STARTING}, "DEPLOYED", "DEPLOYING"),
        ({"error": "boom", "alive": False}, "FAILED", "ERROR"),
        ({"alive": False}, "DEPLOYED", "MISSING"),
    ],
)
def test_lifecycle_of_what_is_wanted(changes: dict[str, Any], lifecycle: str, manager: str) -> None:
    found = status(wanted(), attempt(wanted()), **changes)
    assert (found["lifecycleState"], found["jobManagerDeploymentStatus"]) == (lifecycle, manager)
    assert found["observedGeneration"] == 7


def test_another_spec_is_upgrading_until_its_attempt_runs() -> None:
    found = status(wanted(parallelism=2), attempt(wanted()), job=RUNNING)
    assert found["lifecycleState"] == "UPGRADING"
    assert found["reconciliationStatus"]["state"] == "UPGRADING"


def test_suspended_tells_where_to_go_on() -> None:
    record = attempt(wanted())
    record.job_id, record.savepoint = "", "file:///s"
    found = status(wanted(state="suspended"), record, alive=False)
    assert found["lifecycleState"] == "SUSPENDED"
    assert found["jobStatus"]["state"] == "FINISHED"
    assert found["jobStatus"]["upgradeSavepointPath"] == "file:///s"


def test_before_the_first_attempt_it_is_created() -> None:
    assert status(wanted(), Record(slot=0), alive=False)["lifecycleState"] == "CREATED"


def test_going_away() -> None:
    found = status(wanted(deleting=True), attempt(wanted()), job=RUNNING)
    assert found["lifecycleState"] == "DELETING"
