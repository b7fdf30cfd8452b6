"""Dotted paths into decoded JSON; numbers are indexes into lists."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

MISSING: Any = object()
"""What a path gives that leads nowhere."""
Reader = Callable[[Any], Any]
View = tuple[Any, Any]
"""A frame with one element in place of its list, and the same with a list of that element only."""


def reader(path: str) -> Reader:
    """A function that reads `path` from a value; a member of that whole name comes first."""
    steps = path.split(".")
    if len(steps) == 1:

        def read_member(value: Any) -> Any:
            return value.get(path, MISSING) if type(value) is dict else _member(value, path)

        return read_member

    def read(value: Any) -> Any:
        if isinstance(value, dict) and path in value:
            return value[path]
        for step in steps:
            value = _member(value, step)
            if value is MISSING:
                break
        return value

    return read


def views(frame: Any, path: str) -> Iterator[View]:
    """One view of `frame` for each element of the list at `path`.

    A list on the way is taken element by element too, unless the path has an index there.
    Raises `TypeError` when there is no list at `path`.
    """
    return _views(frame, tuple(path.split(".")), path)


def _views(value: Any, steps: tuple[str, ...], path: str) -> Iterator[View]:
    if isinstance(value, list) and not (steps and steps[0].isdecimal()):
        for element in value:
            inner = _views(element, steps, path) if steps else iter([(element, element)])
            yield from ((view, [alone]) for view, alone in inner)
        return
    if not steps:
        raise TypeError(f"{path}: expected a list, found {type(value).__name__}")
    step, rest = steps[0], steps[1:]
    member = _member(value, step)
    if member is MISSING:
        raise TypeError(f"{path}: expected a list, found nothing")
    for view, alone in _views(member, rest, path):
        yield _with(value, step, view), _with(value, step, alone)


def _member(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step, MISSING)
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return MISSING


def _with(value: Mapping[str, Any] | Sequence[Any], step: str, member: Any) -> Any:
    if isinstance(value, Mapping):
        return {**value, step: member}
    index = int(step)
    return [*value[:index], member, *value[index + 1 :]]
