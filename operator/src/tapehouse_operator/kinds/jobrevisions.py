"""The revisions of a StreamJob and the branches that they write."""

import json
from collections.abc import Mapping

from tapehouse_operator.api.base import Acknowledgement, Reason
from tapehouse_operator.emit.job import JOB_KEY
from tapehouse_operator.errors import SpecError
from tapehouse_operator.kinds.contract import Observed, World
from tapehouse_operator.kinds.jobflink import state_dir
from tapehouse_operator.kinds.jobplan import JobPlan, flink_key
from tapehouse_operator.names import LABEL_REVISION, branch_name


def check_start(plan: JobPlan) -> None:
    """Nothing is read twice into tables that hold it already, unless the author agrees."""
    spec = plan.spec
    if spec.restore_from is None and Acknowledgement.STATE_LOSS not in spec.acknowledge:
        remedy = (
            f"its tables hold what a former job wrote, up to revision {plan.published}; name the "
            f"savepoint it left in {state_dir(plan)}/savepoints to go on from there, or put "
            "StateLoss into spec.acknowledge to read all topics again: what is still in them "
            "comes twice"
        )
        raise SpecError(Reason.ACKNOWLEDGEMENT_REQUIRED, "spec.restoreFrom", None, remedy)


def started_configs(world: World) -> dict[int, Observed]:
    """The job's ConfigMaps by revision."""
    return {
        int(live.labels[LABEL_REVISION]): live
        for key, live in world.children.items()
        if key.kind == "ConfigMap" and LABEL_REVISION in live.labels and JOB_KEY in live.data
    }


def recorded_fork(config: Observed) -> str | None:
    """The branch that a started revision forked from."""
    forked: str | None = json.loads(config.data[JOB_KEY]).get("forkFrom")
    return forked


def running_revision(name: str, forks: Mapping[int, str | None], world: World) -> int | None:
    """The revision that the FlinkDeployment runs, if its ConfigMap still exists."""
    live = world.children.get(flink_key(name))
    number = int(live.labels.get(LABEL_REVISION, 0)) if live else 0
    return number if number in forks else None


def fork_branch(plan: JobPlan, number: int) -> str | None:
    """Once written it stays, or the job would restart for a change that is none."""
    if number in plan.forks:
        return plan.forks[number]
    newest = plan.running if plan.running is not None else plan.published
    return branch_name(newest) if 0 < newest < number else None
