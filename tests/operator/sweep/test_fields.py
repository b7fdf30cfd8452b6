"""Every field of every kind is deleted, emptied, pushed over its bounds, set wrong and set huge.

Each time one of three things holds: the change is refused with a field's path; what the resource
becomes is different; or the field is known to have no effect yet, with a reason, in
`docs/reference/quiet-fields.md`.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from tapehouse_operator.api.base import Reason, revisioned
from tapehouse_operator.errors import NotReady, SpecError

from tests.operator.kinds.worlds import ROOT, compiled, resource
from tests.operator.sweep.fields import (
    SPECS,
    Base,
    Change,
    Field,
    bases,
    changes_of,
    fields_of,
    has,
)

QUIET = ROOT / "docs" / "reference" / "quiet-fields.md"
"""Which fields have no effect on a child, and why: the page that users read."""
PATH = re.compile(r"^(spec|metadata)\b[\w.\[\]\-]*|^\(root\)$")


def outcome(base: Base, body: Mapping[str, Any]) -> Any:
    """What comes of it: an output, or an expected refusal. Anything else is a defect."""
    try:
        return compiled(body, base.world)
    except (SpecError, NotReady) as error:
        return error


def meaning(body: Mapping[str, Any]) -> Any:
    """A spec without its defaults."""
    return revisioned(resource(body).spec)


def chosen(one: Field) -> list[Base]:
    """Bases that set the field, or any one; few, since each costs."""
    everything = bases(one.kind)
    setting = [base for base in everything if has(base, one.path)]
    return setting[:3] or list(everything[:3])


def all_fields(kind: str) -> list[Field]:
    """One for each name, by the base that sets most of it."""
    found: dict[str, Field] = {}
    for base in bases(kind):
        for one in fields_of(kind, base.body["spec"]):
            if one.name not in found or (has(base, one.path) and not has_any(found[one.name])):
                found[one.name] = one
    return list(found.values())


def has_any(one: Field) -> bool:
    return any(has(base, one.path) for base in bases(one.kind))


def tried(one: Field) -> Iterator[tuple[Base, Change, dict[str, Any]]]:
    for base in chosen(one):
        for change in changes_of(one):
            if (body := change.of(base.body)) is not None:
                yield base, change, body


@pytest.mark.parametrize("kind", SPECS)
def test_every_change_is_refused_or_has_an_effect(kind: str) -> None:
    problems = []
    for one in all_fields(kind):
        seen, accepted, effects, wrong = 0, 0, 0, []
        for base, change, body in tried(one):
            seen += 1
            try:
                came = outcome(base, body)
            except Exception as defect:
                wrong.append(
                    f"{change} of {base.name}: {type(defect).__name__} {str(defect)[:150]}"
                )
                continue
            if isinstance(came, SpecError):
                wrong += [f"{change} of {base.name}: {text}" for text in misses(came)]
            elif isinstance(came, NotReady):
                assert isinstance(came.reason, Reason)
            elif meaning(body) != meaning(base.body):
                accepted += 1
                effects += came != outcome(base, base.body)
        problems += wrong
        if seen < 3:
            problems.append(f"{one}: only {seen} changes")
        if accepted and not effects and not is_quiet(one):
            problems.append(f"{one}: accepted without an effect, and nothing says why")
    assert problems == [], "\n".join(["", *problems])


def misses(error: SpecError) -> Iterator[str]:
    """What a refusal lacks."""
    if error.reason not in list(Reason):
        yield f"unknown reason {error.reason}"
    if not PATH.match(error.path):
        yield f"no path: {error}"
    if len(error.remedy) < 5 or "\n" in error.remedy:
        yield f"no remedy: {error}"


@cache
def quiet() -> tuple[tuple[str, str], ...]:
    """Kind and field of each row of the page."""
    rows = re.findall(r"^\| (\w+) \| `(spec[^`]*)` \| .{10,} \|$", QUIET.read_text(), re.MULTILINE)
    assert len(rows) > 5
    return tuple(rows)


def is_quiet(one: Field) -> bool:
    """Whether the page says why a field has no effect on any child."""
    return any(
        kind in ("all", one.kind)
        and (one.name == path or one.name.startswith((f"{path}.", f"{path}[")))
        for kind, path in quiet()
    )
