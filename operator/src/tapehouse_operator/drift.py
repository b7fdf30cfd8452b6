"""Whether a live object still has every field as it was applied.

Server-side apply records which manager owns which field. Whoever changes a field's value takes
the field from us, whoever removes it takes it from everybody; so a desired field we still own
still has our value, in whatever form the API server stores it. That spares the cache the bodies
of all children and the code every rule of normalisation (quantities, defaults, list keys).
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson
from tapehouse_kube.objects import FIELD_MANAGER

Fields = Mapping[str, Any]

IDENTITY = frozenset({"apiVersion", "kind"})
NEVER_OWNED = frozenset({"name", "namespace"})
NOTHING: tuple[Any, ...] = (None, {}, [])
"""The API server may drop these, and with them our claim."""
OWNERS = "f:ownerReferences"


def owned_fields(metadata: Mapping[str, Any]) -> str:
    """The `fieldsV1` our manager holds by server-side apply, as canonical JSON; empty if none.

    The UID in the owner reference is left out: with it no two objects would have the same fields,
    and the desired-hash annotation has it already.
    """
    for entry in metadata.get("managedFields") or ():
        if (
            entry.get("manager") == FIELD_MANAGER
            and entry.get("operation") == "Apply"
            and not entry.get("subresource")
        ):
            fields = _without_uids(entry.get("fieldsV1") or {})
            return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS).decode()
    return ""


def _without_uids(fields: Fields) -> Fields:
    metadata: Fields = fields.get("f:metadata", {})
    if OWNERS not in metadata:
        return fields
    references = {
        "k:{}" if name.startswith("k:") else name: owned for name, owned in metadata[OWNERS].items()
    }
    return {**fields, "f:metadata": {**metadata, OWNERS: references}}


def lost_fields(desired: Mapping[str, Any], fields: str) -> tuple[str, ...]:
    """The paths in `desired` that are no longer ours, as `spec.config.retention.ms`."""
    owned = _parsed(fields) if fields else None
    body = {k: v for k, v in desired.items() if k not in IDENTITY}
    body["metadata"] = {k: v for k, v in desired["metadata"].items() if k not in NEVER_OWNED}
    return () if owned is not None and _holds(body, owned) else tuple(_lost(body, owned, ""))


@lru_cache(maxsize=256)
def _parsed(fields: str) -> Fields:
    parsed: Fields = json.loads(fields)
    return parsed


def _holds(value: Any, owned: Fields) -> bool:
    """Whether surely nothing is lost: nearly always, and without the names of paths."""
    if not owned or not value:
        return True
    if isinstance(value, dict):
        for key, item in value.items():
            mine = owned.get(f"f:{key}")
            if mine is None or (mine and item and not _holds(item, mine)):
                return False
        return True
    return isinstance(value, list) and all(
        (mine := _element(item, owned)) is not None and _holds(item, mine) for item in value
    )


def _lost(value: Any, owned: Fields | None, path: str) -> Iterator[str]:
    if owned is not None and not owned:
        return  # a leaf, or a whole object or list owned as one value
    if isinstance(value, dict | Mapping) and value:
        for key, item in value.items():
            mine = None if owned is None else owned.get(f"f:{key}")
            yield from _lost(item, mine, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and owned is not None:
        for index, item in enumerate(value):
            yield from _lost(item, _element(item, owned), f"{path}[{index}]")
    elif owned is None and value not in NOTHING:
        yield path


def _element(item: Any, owned: Fields) -> Fields | None:
    """What we own of one item of a list that is merged by keys or as a set."""
    if not isinstance(item, Mapping):
        found: Fields | None = owned.get(f"v:{json.dumps(item, separators=(',', ':'))}")
        return found
    for name, fields in owned.items():
        if name.startswith("k:") and _matches(item, _parsed(name[2:])):
            return fields  # type: ignore[no-any-return]
    return None


def _matches(item: Mapping[str, Any], keys: Mapping[str, Any]) -> bool:
    """Keys the item leaves to their defaults (a port's protocol) match any value."""
    return all(item.get(key, value) == value for key, value in keys.items())
