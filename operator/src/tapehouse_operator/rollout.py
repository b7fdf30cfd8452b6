"""Revisions: one immutable ControllerRevision for each accepted spec, and the step between two."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tapehouse_operator.api.base import Change, Spec, change_class, revisioned
from tapehouse_operator.emit.core import Child, ObjectKey
from tapehouse_operator.kinds.contract import Key, Observed, RevisionRef
from tapehouse_operator.names import LABEL_REVISION, digest, owner_label, revision_name

REVISION_API, REVISION_KIND = "apps/v1", "ControllerRevision"
STEERING = ("suspend", "deletionPolicy", "driftPolicy", "revisionHistoryLimit")
"""Fields of every spec that steer the engine and are part of no revision."""


@dataclass(frozen=True, slots=True)
class History:
    """The revisions that exist, oldest first, and the highest number ever given."""

    revisions: tuple[RevisionRef, ...] = ()
    high_water: int = 0

    @property
    def latest(self) -> RevisionRef | None:
        """The one that was accepted last."""
        return self.revisions[-1] if self.revisions else None

    def find(self, number: int) -> RevisionRef | None:
        """Revision `number`, if it is still kept."""
        return next((r for r in self.revisions if r.number == number), None)

    def twin(self, revision: RevisionRef) -> int:
        """The number of the newest older revision with the spec of `revision`, else 0."""
        same = (r.number for r in self.revisions if r.digest == revision.digest)
        return max((number for number in same if number < revision.number), default=0)


@dataclass(frozen=True, slots=True)
class Step:
    """What runs next and what it takes to get there."""

    revision: RevisionRef
    is_new: bool
    change: Change


def read_history(
    children: Mapping[ObjectKey, Observed], status: Mapping[str, Any], owner: str = ""
) -> History:
    """The revisions among a resource's children.

    With `owner`, a UID, those of a former resource of the same name, which are about to be
    collected, count for nothing but their numbers.
    """
    live = [seen for key, seen in children.items() if key.kind == REVISION_KIND]
    ours = [seen for seen in live if not seen.deleting and (not owner or owner in seen.owners)]
    found = sorted(map(_revision, ours), key=lambda revision: revision.number)
    numbers = (_number(seen) for seen in live)
    high_water = max([int(status.get("revisionHighWater", 0)), *numbers])
    return History(tuple(found), high_water)


def _revision(live: Observed) -> RevisionRef:
    spec = live.data.get("spec", {})
    return RevisionRef(_number(live), digest(spec), spec)


def _number(live: Observed) -> int:
    return int(live.labels[LABEL_REVISION])


def fingerprint(spec: Spec) -> str:
    """What identifies an accepted spec: key order, white space and defaults do not count."""
    return digest(revisioned(spec))


def step(history: History, spec: Spec, former: Spec | None = None) -> Step:
    """From the newest revision to `spec`; going back to an older spec is a new revision as well.

    `former` is the newest revision's spec as its type, to tell how much changes.
    """
    wanted, latest = revisioned(spec), history.latest
    if latest is not None and latest.digest == digest(wanted):
        return Step(latest, is_new=False, change=Change.NONE)
    change = Change.REVISION if former is None else change_class(former, spec)
    return Step(RevisionRef(history.high_water + 1, digest(wanted), wanted), True, change)


def runnable_spec(revision: RevisionRef, current: Mapping[str, Any]) -> dict[str, Any]:
    """An accepted spec, steered as the current one says: suspending works on a refused spec."""
    return {**revision.spec, **{f: current[f] for f in STEERING if f in current}}


def revision_child(key: Key, revision: RevisionRef) -> Child:
    """The ControllerRevision that records `revision`: creating it is the intent to run it."""
    return Child(
        {
            "apiVersion": REVISION_API,
            "kind": REVISION_KIND,
            "metadata": {
                "name": revision_object_name(key, revision.number),
                "labels": {LABEL_REVISION: str(revision.number)},
            },
            "revision": revision.number,
            "data": {"spec": revision.spec},
        }
    )


def revision_object_name(key: Key, number: int) -> str:
    """`streamjob.land-00012`: two kinds may use the same name in one namespace."""
    return revision_name(owner_label(key.kind, key.name), number)


def expired(history: History, limit: int, running: int) -> Iterable[int]:
    """The numbers of revisions beyond the `limit` newest old ones."""
    old = [r.number for r in history.revisions if r.number != running]
    return old[: max(0, len(old) - limit)]
