"""What to do next about one job, from what is wanted, remembered and seen. Nothing else decides."""

from dataclasses import dataclass
from enum import Enum, auto

from tapehouse_laptop.flink.record import Record
from tapehouse_laptop.flink.rest import Job
from tapehouse_laptop.flink.spec import LAST_STATE, STATELESS, Wanted


class Action(Enum):
    """One step."""

    NOTHING = auto()
    RELEASE = auto()
    """End the processes; no attempt is running."""
    START = auto()
    """Begin a new attempt from the record's savepoint."""
    STOP = auto()
    """Stop the attempt with a savepoint, which the next one starts from."""
    ABANDON = auto()
    """End the attempt as it is; the next one starts from its newest state."""
    DISCARD = auto()
    """End the attempt; the next one starts without state."""
    REWIND = auto()
    """End the attempt; the next one starts from `initialSavepointPath`."""
    SAVEPOINT = auto()
    """Take a savepoint and go on."""
    RETRY = auto()
    """The attempt has failed for good: after a pause, as ABANDON."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is certain about the attempt; a JobManager that does not answer is no knowledge."""

    alive: bool
    """Whether the JobManager's process lives."""
    job: Job | None = None
    """The attempt's job, None when its JobManager knows none."""


def decide(wanted: Wanted, record: Record, seen: Seen) -> Action:
    """The next step."""
    if not record.job_id:
        if wanted.running:
            return Action.START
        return Action.RELEASE if seen.alive else Action.NOTHING
    if not seen.alive or seen.job is None:
        return Action.ABANDON
    if not wanted.running:
        return _end(wanted, seen.job)
    if wanted.redeploy_nonce not in (None, record.redeploy_nonce):
        return Action.REWIND
    if wanted.digest != record.digest:
        return _end(wanted, seen.job)
    if seen.job.state == "FAILED":
        return Action.RETRY
    asked = wanted.savepoint_nonce not in (None, record.savepoint_nonce)
    return Action.SAVEPOINT if asked and seen.job.state == "RUNNING" else Action.NOTHING


def _end(wanted: Wanted, job: Job) -> Action:
    if wanted.upgrade_mode == STATELESS and not wanted.deleting:
        return Action.DISCARD
    if wanted.upgrade_mode == LAST_STATE or job.state != "RUNNING":
        return Action.ABANDON
    return Action.STOP
