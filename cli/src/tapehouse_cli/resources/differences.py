"""Two versions of a document, told by the leaves that differ. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

NAMES = ("name", "as", "title", "event", "table", "topic", "field", "column")
"""Fields by which items of lists are known."""
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
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_lists(old, new, path)
    else:
        yield Difference(path, old, new)


def _of_lists(old: list[Any], new: list[Any], path: str) -> Iterator[Difference]:
    """By what names the items where something does, else by their places."""
    if key := next((k for k in NAMES if _names(old, k) and _names(new, k)), None):
        was, now = ({item[key]: item for item in items} for items in (old, new))
        for name in dict.fromkeys((*was, *now)):
            yield from differences(was.get(name), now.get(name), f"{path}[{name}]")
        kept = [name for name in was if name in now]
        if kept != [name for name in now if name in was]:
            yield Difference(f"{path}, in order", list(was), list(now))
    elif len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    else:
        yield Difference(path, old, new)


def _names(items: list[Any], key: str) -> bool:
    """Whether `key` tells all items apart."""
    names = [item.get(key) for item in items if isinstance(item, Mapping)]
    told = all(isinstance(name, str) for name in names)
    return told and len({*names}) == len(items)


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
    return f"-{len(gone)} +{len(come)} lines"


def _change(old: Any, new: Any) -> str:
    if old is None:
        return f"+ {_short(new)}"
    if new is None:
        return f"- {_short(old)}"
    return f"{_short(old)} → {_short(new)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
