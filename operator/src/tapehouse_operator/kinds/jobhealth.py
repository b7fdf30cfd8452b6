"""The conditions of a StreamJob."""

from tapehouse_operator.api.base import Condition, ConditionType, Reason, condition
from tapehouse_operator.emit.health import JobHealth
from tapehouse_operator.kinds.jobplan import JobPlan
from tapehouse_operator.names import branch_revision

MISFITS = (
    "StateMigrationException",
    "must be compatible with the previous",
    "must not be incompatible with the old",
    "Cannot map checkpoint/savepoint state",
)
"""What Flink writes when a job cannot use the state that it is to resume from."""


def running_condition(plan: JobPlan, job: JobHealth | None) -> Condition:
    """Whether the job runs."""
    if job is None:
        return condition(ConditionType.RUNNING, False, Reason.STARTING, "not there yet")
    if job.running:
        return condition(ConditionType.RUNNING, True, Reason.RUNNING)
    if any(text in job.reason for text in MISFITS):
        message = _misfit(plan, job.reason)
        return condition(ConditionType.RUNNING, False, Reason.STATE_INCOMPATIBLE, message)
    if job.failed:
        return condition(ConditionType.RUNNING, False, Reason.JOB_FAILED, job.reason)
    why = Reason.UPGRADING if job.upgrading else Reason.STARTING
    return condition(ConditionType.RUNNING, False, why, job.reason)


def job_health(plan: JobPlan, job: JobHealth | None) -> tuple[bool, str]:
    """Whether the job runs and does its work; if not, why."""
    if job is None or not job.running:
        return False, job.reason if job else ""
    return (False, f"{Reason.COMMIT_STALLED}: {_stall(plan)}") if plan.stalled else (True, "")


def commit_condition(plan: JobPlan) -> Condition:
    """Whether the tables receive what checkpoints complete."""
    kind = ConditionType.COMMIT_STALLED
    if not plan.stalled:
        return condition(kind, False, Reason.COMMITTING)
    return condition(kind, True, Reason.COMMIT_STALLED, _stall(plan))


def _misfit(plan: JobPlan, cause: str) -> str:
    target = f"streamjob/{plan.name}"
    fork = plan.forks.get(max(plan.forks, default=0))
    remedy = (
        f"run: tapehouse rollback {target} {branch_revision(fork)}"
        if fork
        else f"see: tapehouse history {target}"
    )
    return f"the state of the running revision does not fit the new SQL ({cause}); {remedy}"


def _stall(plan: JobPlan) -> str:
    return (
        f"checkpoints complete, but are not committed to {', '.join(plan.stalled)}; "
        f"run: tapehouse repair streamjob/{plan.name}"
    )
