"""What applying documents would do to a namespace: rehearsed, then told."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tapehouse_kube.errors import Rejected
from tapehouse_kube.objects import Body, Ref
from tapehouse_operator.api.base import parse
from tapehouse_operator.emit.core import ObjectKey
from tapehouse_operator.errors import SpecError
from tapehouse_operator.kinds.contract import Key
from tapehouse_operator.names import API_VERSION
from tapehouse_operator.ports import Catalog
from tapehouse_operator.rollout import REVISION_KIND

from tapehouse_cli.resources.differences import Difference, differences
from tapehouse_cli.resources.dry_run import Deeds, Rehearsal
from tapehouse_cli.resources.impact import (
    CLASSES,
    ChildChange,
    Impact,
    child_change,
    impact,
    table_changes,
)

SHOWN = 12
"""Differences of one object that are shown to people."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one resource."""

    key: Key
    change: str
    """`none`, `in place`, `restart`, `savepoint`, `revision`, `create`, `waits` or `refused`."""
    reason: str = ""
    """Why it is refused, what it waits for, or what else to know."""
    applied: bool = True
    """Whether it is among the documents; others follow what these change."""
    revision: tuple[int, int] = (0, 0)
    """The number that runs, and the one that would."""
    fields: tuple[Difference, ...] = ()
    """How the spec changes."""
    children: tuple[ChildChange, ...] = ()
    tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    impact: Impact = field(default_factory=Impact)

    @property
    def changes_something(self) -> bool:
        """Whether anything would be written but a status."""
        return bool(self.fields or self.children or any(self.tables.values()))

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "kind": self.key.kind,
            "namespace": self.key.namespace,
            "name": self.key.name,
            "applied": self.applied,
            "change": self.change,
            "reason": self.reason,
            "revision": {"from": self.revision[0], "to": self.revision[1]},
            "fields": [_plain(d) for d in self.fields],
            "children": [
                {
                    "action": {"+": "create", "~": "update", "-": "delete"}[c.sign],
                    "kind": c.kind,
                    "name": c.name,
                    "differences": [_plain(d) for d in c.differences],
                }
                for c in self.children
            ],
            "tables": {name: list(changed) for name, changed in self.tables.items() if changed},
            "loses": list(self.impact.loses),
            "seconds": self.impact.seconds,
            "notes": list(self.impact.notes),
        }


async def make_plans(
    rehearsal: Rehearsal, documents: Sequence[Mapping[str, Any]], catalog: Catalog
) -> list[Plan]:
    """What applying `documents` together would do: theirs in their order, then what follows."""
    before = dict(rehearsal.bodies)
    refused: dict[Key, str] = {}
    for document in documents:
        if document.get("apiVersion") == API_VERSION:
            placed = _placed(document, rehearsal.namespace)
            key = Key(placed["kind"], rehearsal.namespace, placed["metadata"]["name"])
            body, refused[key] = await _examined(rehearsal, placed)
            if not refused[key]:  # else the operator never sees it
                rehearsal.put(body)
        elif document["kind"] == "ConfigMap":
            rehearsal.lay_over(document)
    await rehearsal.play(catalog)
    plans = [
        Plan(key, "refused", no) if no else _plan(rehearsal, key, before.get(key), applied=True)
        for key, no in refused.items()
    ]
    others = (k for k in rehearsal.bodies if k not in refused)
    follow = (_plan(rehearsal, key, before[key], applied=False) for key in others)
    return [*plans, *(plan for plan in follow if plan.changes_something)]


def _plan(rehearsal: Rehearsal, key: Key, live: Body | None, *, applied: bool) -> Plan:
    deeds, body = rehearsal.deeds[key], rehearsal.bodies[key]
    status = body.get("status") or {}
    refusal = _refusal(status, deeds)
    objects = {
        at: (deed.before, deed.after)
        for at, deed in deeds.objects.items()
        if at.kind != REVISION_KIND and child_change(at, deed.before, deed.after)
    }
    tables = {name: table_changes(t.before, t.wanted) for name, t in deeds.tables.items()}
    made = impact(objects, tables)
    word = "create" if live is None else made.change
    if refusal:
        word = "waits" if _is_open(status) and not deeds.trouble else "refused"
    old = (live or {}).get("status") or {}
    return Plan(
        key,
        word,
        reason=refusal,
        applied=applied,
        revision=(old.get("revision", 0), status.get("revision", 0)),
        fields=tuple(differences(live["spec"], body["spec"])) if live else (),
        children=tuple(_changes(objects)),
        tables={name: changed for name, changed in tables.items() if changed},
        impact=made,
    )


def _changes(objects: Mapping[ObjectKey, tuple[Body | None, Body | None]]) -> Iterator[ChildChange]:
    for at, (before, after) in objects.items():
        change = child_change(at, before, after)
        if change is not None:
            yield change


def _refusal(status: Mapping[str, Any], deeds: Deeds) -> str:
    """Why the newest spec would not be what runs."""
    if deeds.trouble:
        return deeds.trouble
    for one in status.get("conditions") or ():
        stalled = one["type"] == "Stalled" and one["status"] == "True"
        if stalled or (one["type"] == "Accepted" and one["status"] != "True"):
            message: str = one.get("message") or one["reason"]
            return message
    return ""


def _is_open(status: Mapping[str, Any]) -> bool:
    return any(
        one["type"] == "Accepted" and one["status"] == "Unknown"
        for one in status.get("conditions") or ()
    )


async def _examined(rehearsal: Rehearsal, body: dict[str, Any]) -> tuple[Body, str]:
    """The resource with its defaults, and what is said against it, if anything."""
    kind = rehearsal.kinds.get(body["kind"])
    if kind is None:
        return body, f"{body['kind']} is not a kind of {API_VERSION}"
    try:
        parse(kind.model, body)
        return await _dry_written(rehearsal, body), ""
    except SpecError as e:
        return body, str(e)
    except Rejected as e:
        return body, e.message


async def _dry_written(rehearsal: Rehearsal, body: dict[str, Any]) -> Body:
    """What the API server itself makes of it: its schema, its rules, its admission."""
    meta = body["metadata"]
    ref = Ref(body["apiVersion"], body["kind"], rehearsal.namespace, meta["name"])
    live = await rehearsal.kube.get(ref)
    if live is None:
        return await rehearsal.kube.create(body, dry_run=True)
    version = live["metadata"]["resourceVersion"]
    guarded = {**body, "metadata": {**meta, "resourceVersion": version}}
    return await rehearsal.kube.replace(guarded, dry_run=True)


def _placed(document: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    metadata = {**document["metadata"], "namespace": namespace}
    return {**document, "metadata": metadata}


# -- for people ----------------------------------------------------------------------------------


def lines(plans: Iterable[Plan]) -> Iterator[str]:
    """The plans that change something, and a line that counts all of them."""
    plans = list(plans)
    for plan in plans:
        shown = list(_lines(plan))
        if plan.change != "none" or len(shown) > 1:
            yield from shown
    counts = {word: sum(p.change == word for p in plans) for word in CLASSES}
    yield "Plan: " + ", ".join(f"{n} {word}" for word, n in counts.items() if n)


def _lines(plan: Plan) -> Iterator[str]:
    old, new = plan.revision
    number = f" (revision {old} → {new})" if old != new and old else ""
    follows = "" if plan.applied else ", follows"
    yield f"{plan.key.kind}/{plan.key.name}: {plan.change}{follows}{number}"
    if plan.reason:
        yield f"    {plan.reason}"
    yield from _some([f"    spec.{d}" for d in plan.fields], "    ")
    for name, changed in plan.tables.items():
        yield f"  ~ Table {name}"
        yield from (f"      {line}" for line in changed)
    for child in plan.children:
        yield f"  {child.sign} {child.kind} {child.name}"
        yield from _some([f"      {d}" for d in child.differences], "      ")
    yield from (f"  ! loses {loss}" for loss in plan.impact.loses)
    if plan.impact.seconds:
        yield f"  ! about {plan.impact.seconds} s without new output"
    yield from (f"    {note}" for note in plan.impact.notes)


def _some(shown: Sequence[str], indent: str) -> Iterator[str]:
    yield from shown[:SHOWN]
    if len(shown) > SHOWN:
        yield f"{indent}and {len(shown) - SHOWN} more"


def _plain(one: Difference) -> dict[str, Any]:
    return {"path": one.path, "old": one.old, "new": one.new}
