"""What a change of children and tables does to what runs: its class, its losses, its cost. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tapehouse_kube.objects import Body
from tapehouse_operator.emit import flink
from tapehouse_operator.emit.core import ObjectKey, Table, TableState
from tapehouse_operator.emit.evolution import changes
from tapehouse_operator.emit.iceberg import property_changes
from tapehouse_operator.emit.job import JOB_KEY
from tapehouse_operator.emit.tables import TABLE_KEY

from tapehouse_cli.resources.differences import Difference, differences

CLASSES = ("none", "in place", "restart", "savepoint", "revision", "create", "waits", "refused")
"""From nothing to the most."""
POD_SECONDS = 10
"""Without a workload while its Pod is replaced, roughly."""
JOB_SECONDS = 20
"""Without a job from its savepoint to its next first row, roughly: measured on a laptop."""
_BRANCH = re.compile(r" /\*\+ OPTIONS\('branch'='[^']*'\) \*/")
_LETTERS = re.compile(r"INSERT INTO `[^`]+` \(`value`, `headers`\)")
_FLINK = (flink.API_VERSION, flink.KIND)


@dataclass(frozen=True, slots=True)
class ChildChange:
    """What becomes of one child."""

    sign: str
    """`+` created, `~` changed, `-` deleted."""
    kind: str
    name: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Impact:
    """What it takes, and what it takes away."""

    change: str = "none"
    """One of `CLASSES`."""
    loses: tuple[str, ...] = ()
    """What is gone for good, or may be."""
    seconds: int = 0
    """Without new output, roughly."""
    notes: tuple[str, ...] = ()


def child_change(at: ObjectKey, before: Body | None, after: Body | None) -> ChildChange | None:
    """How one child changes; None when it does not."""
    if before is None or after is None:
        sign = "+" if after is not None else "-"
        return None if before is after else ChildChange(sign, at.kind, at.name)
    found = tuple(differences(_content(before), _content(after)))
    return ChildChange("~", at.kind, at.name, found) if found else None


def table_changes(live: TableState, wanted: Table) -> tuple[str, ...]:
    """How one table changes, a line each; one without UUID is known by its declaration only."""
    if not live.exists:
        return (f"+ table with {len(wanted.columns)} columns",)
    known = property_changes(live.properties, wanted.properties) if live.uuid else {}
    properties = (
        f"~ property {name}: {live.properties.get(name, 'unset')} → {value}"
        for name, value in known.items()
    )
    return (*changes(live, wanted), *properties)


def impact(
    objects: Mapping[ObjectKey, tuple[Body | None, Body | None]],
    tables: Mapping[str, Sequence[str]],
) -> Impact:
    """What all changes of one resource do together; the largest class counts.

    `objects` holds what differs only, `tables` the lines of `table_changes`.
    """
    parts = [_child(at, before, after) for at, (before, after) in objects.items()]
    parts += [_table(name, lines) for name, lines in tables.items() if lines]
    parts += [_statements(objects)] if any(p.change == "savepoint" for p in parts) else []
    return Impact(
        change=max((p.change for p in parts), key=CLASSES.index, default="none"),
        loses=tuple(dict.fromkeys(text for p in parts for text in p.loses)),
        seconds=max((p.seconds for p in parts), default=0),
        notes=tuple(dict.fromkeys(text for p in parts for text in p.notes)),
    )


def _child(at: ObjectKey, before: Body | None, after: Body | None) -> Impact:
    if before is None or after is None:
        return Impact("in place")
    if at.kind == "Deployment" and before["spec"]["template"] != after["spec"]["template"]:
        return Impact("restart", seconds=POD_SECONDS)
    if (at.api_version, at.kind) == _FLINK and before["spec"] != after["spec"]:
        return _job(after["spec"]["job"])
    if at.kind == "ConfigMap" and TABLE_KEY in (after.get("data") or {}):
        return _producer(before, after)
    return Impact("in place")


def _job(job: Mapping[str, Any]) -> Impact:
    if job.get("upgradeMode") == "stateless":
        loses = ("all state of the job: windows under way, keys already seen, offsets read",)
        return Impact("restart", loses, JOB_SECONDS)
    return Impact("savepoint", seconds=JOB_SECONDS)


def _producer(before: Body, after: Body) -> Impact:
    """A transform whose query changes computes its table anew, from all of its inputs."""
    was, now = (json.loads(body["data"][TABLE_KEY])["producer"] for body in (before, after))
    recomputed = any(was.get(f) != now.get(f) for f in ("sql", "inputs", "recompute"))
    if now["type"] == "transform" and recomputed:
        return Impact("revision", notes=("the whole table is computed anew from its inputs",))
    return Impact("in place")


def _table(name: str, lines: Sequence[str]) -> Impact:
    gone = [line.removeprefix("- column ") for line in lines if line.startswith("- column ")]
    return Impact("in place", loses=tuple(f"column {c} of {name}, with its data" for c in gone))


def _statements(objects: Mapping[ObjectKey, tuple[Body | None, Body | None]]) -> Impact:
    """Flink finds state again by a statement's place and operators."""
    documents = [_program(side) for side in zip(*objects.values(), strict=True)]
    was, now = documents
    if was is None or now is None:
        return Impact("savepoint", notes=("no state is lost",))
    old, new = (_users(d) for d in documents if d is not None)
    if new[: len(old)] == old and was["ddl"] == now["ddl"][: len(was["ddl"])]:
        return Impact("savepoint", notes=("no state is lost",))
    moved = [n for n, text in enumerate(old) if n >= len(new) or new[n] != text]
    which = ", ".join(f"{n + 1} ({_target(old[n])})" for n in moved) or "whose inputs change"
    text = (
        f"state of statement {which}, where its operators differ: Flink then refuses to start, "
        "unless this is allowed"
    )
    return Impact("savepoint", loses=(text,))


def _program(side: Sequence[Body | None]) -> dict[str, Any] | None:
    """The job's program among the objects of one side."""
    for body in side:
        text = (body or {}).get("data", {}).get(JOB_KEY)
        if text and (document := json.loads(text))["revision"] != 0:
            found: dict[str, Any] = document
            return found
    return None


def _users(program: Mapping[str, Any]) -> list[str]:
    """The user's statements, the same on every branch; those for dead letters keep no state."""
    return [_BRANCH.sub("", text) for text in program["inserts"] if not _LETTERS.match(text)]


def _target(insert: str) -> str:
    return insert.split(" (", 1)[0].removeprefix("INSERT INTO ").replace("`", "")


def _content(body: Body) -> dict[str, Any]:
    return {k: v for k, v in body.items() if k not in ("metadata", "status")}
