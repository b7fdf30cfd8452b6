"""What a status has come to say that it did not say before: the Events of a resource. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tapehouse_operator.api.base import ABNORMAL, ConditionType, Reason
from tapehouse_operator.reasons import EventReason

Status = Mapping[str, Any]
Told = Mapping[str, Any]
"""One condition, as it stands in a status."""

_FIRST = (
    ConditionType.ACCEPTED,
    ConditionType.STALLED,
    ConditionType.DEGRADED,
    ConditionType.READY,
)
"""Of several conditions that give one reason, the first of these is told."""
_SILENT = frozenset({ConditionType.PROGRESSING})
_SAID_BY_READY = frozenset({ConditionType.STALLED, ConditionType.DEGRADED})
"""Their end is told by `Ready` alone."""
_TROUBLE = frozenset({Reason.APPLY_FAILED, Reason.DELETE_FAILED, Reason.INTERNAL_ERROR})
"""Reasons that are told even of what has never been ready."""
_DOCS = {reason.value: reason.doc for reason in Reason}


@dataclass(frozen=True, slots=True)
class Notice:
    """One Event: `reason` is in CamelCase, `message` for people."""

    reason: str
    message: str
    warning: bool = False


def notices(former: Status, status: Status, returns_to: int = 0) -> tuple[Notice, ...]:
    """What to tell of the step from one status to the next; each reason once.

    `returns_to` is the number of an older revision with the spec of the current one, if any.
    """
    before = {c["type"]: c for c in former.get("conditions") or ()}
    now = sorted(status.get("conditions") or (), key=_rank)
    told = (_told(one, before.get(one["type"]), status.get("revision", 0)) for one in now)
    found: dict[str, Notice] = {}
    for notice in (*_revision(former, status, returns_to), *told):
        if notice is not None:
            found.setdefault(notice.reason, notice)
    return tuple(found.values())


def _revision(former: Status, status: Status, returns_to: int) -> Iterator[Notice]:
    number, old = status.get("revision", 0), former.get("revision", 0)
    if number in (0, old):
        return
    if returns_to:
        text = f"revision {number} has the spec of revision {returns_to} again"
        yield Notice(EventReason.ROLLED_BACK, text)
    else:
        text = f"revision {number}" + (f" replaces revision {old}" if old else " is the first")
        yield Notice(EventReason.REVISION_CREATED, text)


def _told(one: Told, before: Told | None, revision: int) -> Notice | None:
    kind: str = one["type"]
    if kind in _SILENT:
        return None
    good = (one["status"] == "True") != (kind in ABNORMAL)
    if good and one["status"] != "Unknown":
        return _improved(kind, one, before, revision)
    if kind == ConditionType.READY:
        return _unready(one, before)
    if kind in _FIRST:
        changed = before is None or any(
            before.get(field) != one.get(field) for field in ("status", "reason", "message")
        )
        return _notice(one, warning=one["status"] != "Unknown") if changed else None
    known_good = before is not None or kind in ABNORMAL
    return _notice(one, warning=True) if known_good and _flipped(one, before) else None


def _improved(kind: str, one: Told, before: Told | None, revision: int) -> Notice | None:
    if not _flipped(one, before):
        return None
    if kind == ConditionType.READY:
        return Notice(Reason.READY, f"revision {revision} is there and works")
    # That a new resource has nothing wrong yet is no news.
    return None if before is None or kind in _SAID_BY_READY else _notice(one)


def _unready(one: Told, before: Told | None) -> Notice | None:
    if one["reason"] in _TROUBLE:
        changed = before is None or before.get("message") != one.get("message")
        return _notice(one, warning=True) if changed else None
    was_ready = before is not None and before["status"] == "True"
    return _notice(one) if was_ready else None


def _flipped(one: Told, before: Told | None) -> bool:
    return before is None or before["status"] != one["status"]


def _notice(one: Told, *, warning: bool = False) -> Notice:
    reason: str = one["reason"]
    return Notice(reason, one.get("message") or _DOCS.get(reason, ""), warning)


def _rank(one: Told) -> int:
    return _FIRST.index(one["type"]) if one["type"] in _FIRST else len(_FIRST)
