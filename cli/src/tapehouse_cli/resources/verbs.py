"""Looking back and stepping in: `history`, `rollback`, `suspend`, `resume`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tapehouse_kube.objects import Body, Ref
from tapehouse_operator.decision import AnyKind
from tapehouse_operator.emit.core import ObjectKey
from tapehouse_operator.kinds.contract import Key, RevisionRef, Subject
from tapehouse_operator.names import API_VERSION
from tapehouse_operator.report import difference
from tapehouse_operator.rollout import (
    REVISION_API,
    REVISION_KIND,
    STEERING,
    read_history,
    revision_object_name,
    runnable_spec,
)

from tapehouse_cli.resources.differences import differences
from tapehouse_cli.resources.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Past:
    """One row of a history."""

    revision: RevisionRef
    is_current: bool
    created: str
    """When it was accepted, RFC 3339."""
    changed: tuple[str, ...]
    """The fields that differ from the revision before."""


def find_key(kinds: Sequence[AnyKind], text: str, namespace: str) -> Key:
    """`tradefeed/market`, `tradefeeds/market` or `tf/market`.

    Raises:
        ValueError: it is none of these.
    """
    word, _, name = text.partition("/")
    spellings = {
        spelling: kind.model.__name__
        for kind in kinds
        for spelling in (
            kind.model.__name__.lower(),
            kind.model.names.plural,
            kind.model.names.short,
        )
    }
    if name and (kind_name := spellings.get(word.lower())):
        return Key(kind_name, namespace, name)
    near = get_close_matches(word.lower(), spellings, n=1)
    if name and near:
        raise ValueError(f"{text}: there is no kind {word}; did you mean {near[0]}/{name}?")
    known = ", ".join(f"{k.model.__name__.lower()} ({k.model.names.short})" for k in kinds)
    raise ValueError(f"{text}: KIND/NAME is expected, where KIND is one of {known}")


async def history(snapshot: Snapshot, key: Key) -> list[Past]:
    """The revisions that are kept, oldest first.

    Raises:
        ValueError: there is no such resource.
    """
    subject = _subject(snapshot, key)
    revisions = read_history(snapshot.children(key), subject.status).revisions
    current = int(subject.status.get("revision", 0))
    before: Mapping[str, Any] = {}
    rows: list[Past] = []
    for one in revisions:
        at = ObjectKey(REVISION_API, REVISION_KIND, revision_object_name(key, one.number))
        changed = tuple(d.path for d in differences(before, one.spec)) if before else ()
        rows.append(Past(one, one.number == current, snapshot.created(at), changed))
        before = one.spec
    return rows


async def rollback(snapshot: Snapshot, key: Key, number: int) -> Body:
    """Give the resource the spec of revision `number`; how it is steered stays.

    Raises:
        ValueError: that revision is not kept, or is what the resource says already.
    """
    rows = await history(snapshot, key)
    wanted = next((row.revision for row in rows if row.revision.number == number), None)
    if wanted is None:
        kept = ", ".join(str(row.revision.number) for row in rows) or "none"
        raise ValueError(f"revision {number} of {key.kind} {key.name} is not kept; kept: {kept}")
    spec = snapshot.bodies[key]["spec"]
    target = {**runnable_spec(wanted, spec), **{f: spec[f] for f in STEERING if f in spec}}
    model = snapshot.kinds[key.kind].model.model_fields["spec"].annotation
    patch = difference(spec, target)
    if model.model_validate(spec) == model.model_validate(target):
        raise ValueError(f"{key.kind} {key.name} has the spec of revision {number} already")
    return await snapshot.kube.merge(_ref(key), {"spec": patch})


async def set_suspended(snapshot: Snapshot, key: Key, suspended: bool) -> bool:
    """Stop the workload, or let it go on; tells whether that changed anything.

    Raises:
        ValueError: there is no such resource, or it has nothing that could be stopped.
    """
    subject = _subject(snapshot, key)
    kind = snapshot.kinds[key.kind]
    if not kind.owned:
        raise ValueError(f"a {key.kind} runs nothing of its own that could be stopped")
    if bool(subject.manifest["spec"].get("suspend")) is suspended:
        return False
    await snapshot.kube.merge(_ref(key), {"spec": {"suspend": suspended}})
    return True


def _subject(snapshot: Snapshot, key: Key) -> Subject:
    subject = snapshot.subject(key)
    if subject is None:
        raise ValueError(snapshot.missing(key))
    return subject


def _ref(key: Key) -> Ref:
    return Ref(API_VERSION, key.kind, key.namespace, key.name)
