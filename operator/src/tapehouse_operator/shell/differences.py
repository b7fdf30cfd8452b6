"""Two versions of a document, told by the leaves that differ. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 48
"""Characters of a value that are shown."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One leaf; None stands for absent."""

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        lines = _lines(self.old, self.new)
        return f"{self.path}: {lines}" if lines else f"{self.path}: {_change(self.old, self.new)}"


def differences(old: Any, new: Any, path: str = "") -> Iterator[Difference]:
    """The leaves in which two documents differ, JSON within strings included."""
    if old == new:
        return
    if isinstance(old, str) and isinstance(new, str):
        was, now = _document(old), _document(new)
        if was is not None and now is not None and was != now:
            yield from differences(was, now, f"{path}:")
            return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            yield from differences(old.get(name), new.get(name), _below(path, name))
    elif _alike(old, new):
        for index, (was, now) in enumerate(zip(old, new, strict=True)):
            yield from differences(was, now, f"{path}[{index}]")
    else:
        yield Difference(path, old, new)


def _alike(old: Any, new: Any) -> bool:
    """Whether items of two lists can be told by their places."""
    lists = isinstance(old, Sequence) and isinstance(new, Sequence)
    return lists and not isinstance(old, str) and not isinstance(new, str) and len(old) == len(new)


def _document(text: str) -> Any:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _below(path: str, name: str) -> str:
    if not path or path.endswith(":"):
        return f"{path} {name}".lstrip()
    return f"{path}.{name}"


def _lines(old: Any, new: Any) -> str:
    """Long texts are told by how many lines go and come."""
    texts = [value for value in (old, new) if isinstance(value, str)]
    if not any("\n" in text for text in texts):
        return ""
    was, now = (value.splitlines() if isinstance(value, str) else [] for value in (old, new))
    gone, come = set(was) - set(now), set(now) - set(was)
    return f"{len(gone)} lines go, {len(come)} come"


def _change(old: Any, new: Any) -> str:
    if old is None:
        return f"+ {_short(new)}"
    if new is None:
        return f"- {_short(old)}"
    return f"{_short(old)} → {_short(new)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
