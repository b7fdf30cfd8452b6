"""Looking back and stepping in: `history`, `rollback`, `suspend`, `resume`."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tapehouse_operator.backends.access import load_access
from tapehouse_operator.backends.client import HttpKube
from tapehouse_operator.backends.kube import Body, Ref
from tapehouse_operator.decision import AnyKind
from tapehouse_operator.kinds.contract import Key, RevisionRef
from tapehouse_operator.names import API_VERSION
from tapehouse_operator.report import difference
from tapehouse_operator.rollout import STEERING, read_history, runnable_spec
from tapehouse_operator.shell.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Past:
    """One row of a history."""

    revision: RevisionRef
    is_current: bool
    changed: tuple[str, ...]
    """The fields that differ from the revision before."""


@asynccontextmanager
async def connected(namespace: str) -> AsyncIterator[tuple[HttpKube, str]]:
    """A client and the namespace to work in: the one given or the context's."""
    access = load_access()
    async with HttpKube(access) as kube:
        yield kube, namespace or access.namespace


def find_key(kinds: Sequence[AnyKind], text: str, namespace: str) -> Key:
    """`tradefeed/market`, `tradefeeds/market` or `tf/market`.

    Raises:
        ValueError: it is none of these.
    """
    word, _, name = text.partition("/")
    for kind in kinds:
        model = kind.model
        if word.lower() in (model.__name__.lower(), model.names.plural, model.names.short) and name:
            return Key(model.__name__, namespace, name)
    known = ", ".join(f"{k.model.__name__.lower()} ({k.model.names.short})" for k in kinds)
    raise ValueError(f"{text}: KIND/NAME is expected, where KIND is one of {known}")


async def history(snapshot: Snapshot, key: Key) -> list[Past]:
    """The revisions that are kept, oldest first.

    Raises:
        ValueError: there is no such resource.
    """
    subject = snapshot.subject(key)
    if subject is None:
        raise ValueError(f"there is no {key.kind} {key.name} in namespace {key.namespace}")
    revisions = read_history(snapshot.children(key), subject.status).revisions
    current = int(subject.status.get("revision", 0))
    before: Mapping[str, Any] = {}
    rows: list[Past] = []
    for one in revisions:
        changed = tuple(changed_paths(before, one.spec)) if before else ()
        rows.append(Past(one, one.number == current, changed))
        before = one.spec
    return rows


async def rollback(snapshot: Snapshot, key: Key, number: int) -> Body:
    """Give the resource the spec of revision `number`; how it is steered stays.

    Raises:
        ValueError: that revision is not kept.
    """
    rows = await history(snapshot, key)
    wanted = next((row.revision for row in rows if row.revision.number == number), None)
    if wanted is None:
        kept = ", ".join(str(row.revision.number) for row in rows) or "none"
        raise ValueError(f"revision {number} of {key.kind} {key.name} is not kept; kept: {kept}")
    spec = snapshot.bodies[key]["spec"]
    target = {**runnable_spec(wanted, spec), **{f: spec[f] for f in STEERING if f in spec}}
    patch = {"spec": difference(spec, target)}
    return await snapshot.kube.merge(_ref(key), patch)


async def set_suspended(kube: HttpKube, key: Key, suspended: bool) -> Body:
    """Stop the workload, or let it go on."""
    return await kube.merge(_ref(key), {"spec": {"suspend": suspended}})


def changed_paths(old: Any, new: Any, path: str = "") -> Iterable[str]:
    """The paths of the leaves in which two documents differ; a list is told by its own path."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            below = f"{path}.{name}" if path else name
            yield from changed_paths(old.get(name), new.get(name), below)
    elif old != new:
        yield path


def _ref(key: Key) -> Ref:
    return Ref(API_VERSION, key.kind, key.namespace, key.name)
