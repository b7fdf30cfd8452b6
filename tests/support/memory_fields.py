"""Server-side apply on plain dictionaries: who owns which field, and what follows from it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from tapehouse_kube.objects import FIELD_MANAGER

FieldSet = dict[str, Any]
Path = tuple[str, ...]
IDENTITY = frozenset({"apiVersion", "kind"})
NOT_FIELDS = frozenset({"name", "namespace", "uid", "resourceVersion", "managedFields"})
ASSIGNED = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp")


def field_set(body: Mapping[str, Any]) -> FieldSet:
    """The `fieldsV1` of everything in `body`."""
    return _nested(_leaves(body))


def apply_fields(before: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """`before` with every field of `wanted`, without those our manager no longer wants."""
    after: dict[str, Any] = _copy(before or {})
    after["apiVersion"], after["kind"] = wanted["apiVersion"], wanted["kind"]
    meta = after.setdefault("metadata", {})
    for name in ("name", "namespace"):
        if name in wanted["metadata"]:
            meta[name] = wanted["metadata"][name]
    managed = [m for m in meta.get("managedFields", ()) if not _is_ours(m)]
    former: FieldSet = next(
        (m["fieldsV1"] for m in meta.get("managedFields", ()) if _is_ours(m)), {}
    )
    leaves = dict(_leaves(wanted))
    shared = {path for m in managed for path in _paths(m["fieldsV1"])}
    for path in _paths(former):
        if path not in leaves and path not in shared:
            _remove(after, path)
    for path, value in leaves.items():
        if _get(after, path) != value:
            managed = [{**m, "fieldsV1": _without(m["fieldsV1"], path)} for m in managed]
        _set(after, path, value)
    ours = {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": _nested(leaves.items())}
    meta["managedFields"] = [*(m for m in managed if m["fieldsV1"]), ours]
    return after


def conflicts(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The fields of `wanted` that other managers have set to something else."""
    managed = before["metadata"].get("managedFields", ())
    theirs = {path for m in managed if not _is_ours(m) for path in _paths(m["fieldsV1"])}
    return [
        "".join(path).replace("f:", ".")
        for path, value in _leaves(wanted)
        if path in theirs and _get(before, path) != value
    ]


def disown(before: Mapping[str, Any], after: dict[str, Any], manager: str) -> None:
    """After an update, the client that changed a field alone owns it; a removed one has none."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    changed = [path for path, value in new.items() if old.get(path, _MISSING) != value]
    touched = [*changed, *(path for path in old if path not in new)]
    managed = _copy(after["metadata"].get("managedFields", []))
    for path in touched:
        managed = [{**m, "fieldsV1": _without(m["fieldsV1"], path)} for m in managed]
    if changed:
        theirs = _nested((path, new[path]) for path in changed)
        managed.append({"manager": manager, "operation": "Update", "fieldsV1": theirs})
    after["metadata"]["managedFields"] = [m for m in managed if m["fieldsV1"]]


_MISSING = object()


def _copy(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return bool(entry["manager"] == FIELD_MANAGER and entry["operation"] == "Apply")


def _leaves(body: Mapping[str, Any]) -> Iterable[tuple[Path, Any]]:
    for name, value in body.items():
        if name == "metadata":
            kept = {k: v for k, v in value.items() if k not in NOT_FIELDS and k not in ASSIGNED}
            yield from _below(("f:metadata",), kept)
        elif name not in IDENTITY and name != "status":
            yield from _below((f"f:{name}",), value)


def _below(path: Path, value: Any) -> Iterable[tuple[Path, Any]]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _below((*path, f"f:{name}"), item)
    elif path[-1] == "f:ownerReferences":
        for owner in value:
            key = json.dumps({"uid": owner["uid"]}, separators=(",", ":"))
            yield (*path, f"k:{key}"), owner
    else:
        yield path, value


def _nested(leaves: Iterable[tuple[Path, Any]]) -> FieldSet:
    out: FieldSet = {}
    for path, _ in leaves:
        at = out
        for part in path:
            at = at.setdefault(part, {})
    return out


def _paths(fields: Mapping[str, Any], at: Path = ()) -> list[Path]:
    if not fields:
        return [at] if at else []
    return [p for part, inner in fields.items() for p in _paths(inner, (*at, part))]


def _without(fields: Mapping[str, Any], path: Path) -> FieldSet:
    part, rest = path[0], path[1:]
    if part not in fields:
        return dict(fields)
    inner = _without(fields[part], rest) if rest and fields[part] else {}
    others = {k: v for k, v in fields.items() if k != part}
    return {**others, part: inner} if inner else others


def _get(body: Mapping[str, Any], path: Path) -> Any:
    at: Any = body
    for part in path:
        at = _item(at, part)
        if at is _MISSING:
            return _MISSING
    return at


def _item(at: Any, part: str) -> Any:
    if part.startswith("k:"):
        uid = json.loads(part[2:])["uid"]
        return next((o for o in at or () if o["uid"] == uid), _MISSING)
    return at.get(part[2:], _MISSING) if isinstance(at, Mapping) else _MISSING


def _set(body: dict[str, Any], path: Path, value: Any) -> None:
    *parents, last = path
    at: Any = body
    for part in parents:
        if part == "f:ownerReferences":
            at = at.setdefault("ownerReferences", [])
        else:
            if not isinstance(at.get(part[2:]), dict):
                at[part[2:]] = {}
            at = at[part[2:]]
    if last.startswith("k:"):
        at[:] = [*(o for o in at if o["uid"] != value["uid"]), _copy(value)]
    else:
        at[last[2:]] = _copy(value)


def _remove(body: dict[str, Any], path: Path) -> None:
    *parents, last = path
    at: Any = body
    for part in parents:
        at = _item(at, part)
        if at is _MISSING:
            return
    if last.startswith("k:"):
        uid = json.loads(last[2:])["uid"]
        at[:] = [o for o in at if o["uid"] != uid]
    else:
        at.pop(last[2:], None)
