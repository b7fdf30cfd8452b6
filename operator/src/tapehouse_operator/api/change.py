"""What a change of a field means: each field declares its class, the largest wins."""

from collections.abc import Mapping
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo


class Change(IntEnum):
    """What it takes to put a changed field into effect, from nothing to a new revision.

    Declared as `Annotated[T, Change.RESTART]`; a nested field without its own class has that of
    the field that holds it.
    """

    NONE = 0
    """Steers the operator only: never part of a revision."""
    IN_PLACE = 1
    """Children are patched while they run."""
    RESTART = 2
    """The workload restarts from its savepoint or cursor."""
    REVISION = 3
    """Results change: released as a candidate under `strategy`."""


def declared(field: FieldInfo) -> Change | None:
    """The class that `field` itself declares, if it does."""
    return next((m for m in field.metadata if isinstance(m, Change)), None)


def change_class(old: BaseModel, new: BaseModel) -> Change:
    """The largest class among the leaves in which two specs of one kind differ."""
    return _between(old, new, Change.NONE)


def revisioned(spec: BaseModel) -> dict[str, Any]:
    """The part of a spec that makes a revision, by API names, defaults and NONE fields elided.

    It parses back into an equal spec but for fields of class NONE, so a revision can be compiled
    from it; an operator that only adds defaults makes the same one.
    """
    return _elided(spec, Change.NONE)


class _Leaf(NamedTuple):
    name: str
    alias: str
    change: Change | None
    default: object


@cache
def _leaves(model: type[BaseModel]) -> tuple[_Leaf, ...]:
    """What is asked of every field of every resource, looked up once per model."""
    return tuple(
        _Leaf(name, field.alias or name, declared(field), field.get_default())
        for name, field in model.model_fields.items()
    )


def _between(old: object, new: object, change: Change) -> Change:
    if old == new:
        return Change.NONE
    if isinstance(old, BaseModel) and isinstance(new, BaseModel):
        return max(
            _between(
                getattr(old, leaf.name),
                getattr(new, leaf.name),
                change if leaf.change is None else leaf.change,
            )
            for leaf in _leaves(type(new))
        )
    if isinstance(old, tuple) and isinstance(new, tuple) and _keys(old) == _keys(new):
        return max(_between(a, b, change) for a, b in zip(old, new, strict=True))
    return change


def _keys(items: tuple[object, ...]) -> list[object]:
    """What identifies each item, so that a changed item is not taken for another one."""
    return [tuple(getattr(item, name) for name in getattr(item, "keyed_by", ())) for item in items]


def _elided(model: BaseModel, change: Change) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for leaf in _leaves(type(model)):
        value = getattr(model, leaf.name)
        own = change if leaf.change is None else leaf.change
        if value == leaf.default or (own is Change.NONE and not isinstance(value, BaseModel)):
            continue
        plain = _plain(value, own)
        if own is not Change.NONE or plain:
            out[leaf.alias] = plain
    return out


def _plain(value: object, change: Change) -> Any:
    if isinstance(value, BaseModel):
        return _elided(value, change)
    if isinstance(value, tuple | list):
        return [_plain(item, change) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item, change) for key, item in value.items()}
    return str(value) if isinstance(value, str) else value
