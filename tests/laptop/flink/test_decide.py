from typing import Any

import pytest
from tapehouse_laptop.flink.decide import Action, Seen, decide
from tapehouse_laptop.flink.record import Record
from tapehouse_laptop.flink.rest import Job
from tapehouse_laptop.flink.spec import Wanted


def wanted(deleting: bool = False, flink: str = "1s", **job: Any) -> Wanted:
    meta: dict[str, Any] = {"name": "j", "namespace": "n", "uid": "u", "generation": 1}
    if deleting:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    spec = {
        "flinkConfiguration": {"execution.checkpointing.interval": flink},
        "job": {"state": "running", "upgradeMode": "savepoint", "parallelism": 1, **job},
    }
    return Wanted({"metadata": meta, "spec": spec})


def attempt(**changes: Any) -> Record:
    return Record(**{"slot": 0, "job_id": "a", "digest": wanted().digest, **changes})


def running(state: str = "RUNNING") -> Seen:
    return Seen(True, Job("a", state, 0))


NO_ATTEMPT: dict[str, Any] = {"job_id": "", "savepoint": "file:///s"}
DEAD = Seen(False)
NO_JOB = Seen(True, None)
CASES = [
    # nothing runs
    (wanted(), attempt(**NO_ATTEMPT), DEAD, Action.START),
    (wanted(state="suspended"), attempt(**NO_ATTEMPT), DEAD, Action.NOTHING),
    (wanted(state="suspended"), attempt(**NO_ATTEMPT), NO_JOB, Action.RELEASE),
    (wanted(deleting=True), attempt(**NO_ATTEMPT), DEAD, Action.NOTHING),
    # all is well
    (wanted(), attempt(), running(), Action.NOTHING),
    (wanted(), attempt(), running("RESTARTING"), Action.NOTHING),
    (wanted(), attempt(), running("FINISHED"), Action.NOTHING),
    (wanted(), attempt(), running("CANCELED"), Action.NOTHING),
    # processes or job lost: always the newest state
    (wanted(), attempt(), DEAD, Action.ABANDON),
    (wanted(), attempt(), NO_JOB, Action.ABANDON),
    (wanted(upgradeMode="stateless"), attempt(), DEAD, Action.ABANDON),
    (wanted(deleting=True), attempt(), DEAD, Action.ABANDON),
    (wanted(), attempt(), running("FAILED"), Action.RETRY),
    # an end that is asked for
    (wanted(state="suspended"), attempt(), running(), Action.STOP),
    (wanted(deleting=True), attempt(), running(), Action.STOP),
    (wanted(deleting=True, upgradeMode="stateless"), attempt(), running(), Action.STOP),
    (wanted(state="suspended"), attempt(), running("RESTARTING"), Action.ABANDON),
    (wanted(state="suspended", upgradeMode="last-state"), attempt(), running(), Action.ABANDON),
    (wanted(state="suspended", upgradeMode="stateless"), attempt(), running(), Action.DISCARD),
    # another spec
    (wanted(flink="2s"), attempt(), running(), Action.STOP),
    (wanted(parallelism=2), attempt(), running(), Action.STOP),
    (wanted(flink="2s", upgradeMode="stateless"), attempt(), running(), Action.DISCARD),
    (wanted(flink="2s"), attempt(), running("FAILED"), Action.ABANDON),
    (wanted(flink="2s", upgradeMode="last-state"), attempt(), running(), Action.ABANDON),
    (wanted(initialSavepointPath="x"), attempt(), running(), Action.NOTHING),
    # nonces
    (wanted(savepointTriggerNonce=1), attempt(), running(), Action.SAVEPOINT),
    (wanted(savepointTriggerNonce=1), attempt(savepoint_nonce=1), running(), Action.NOTHING),
    (wanted(savepointTriggerNonce=1), attempt(), running("CREATED"), Action.NOTHING),
    (wanted(savepointRedeployNonce=1), attempt(), running(), Action.REWIND),
    (wanted(savepointRedeployNonce=1), attempt(redeploy_nonce=1), running(), Action.NOTHING),
]


@pytest.mark.parametrize(("want", "record", "seen", "action"), CASES)
def test_next_step(want: Wanted, record: Record, seen: Seen, action: Action) -> None:
    assert decide(want, record, seen) is action


def test_every_action_is_decided_somewhere() -> None:
    assert {case[3] for case in CASES} == set(Action)
