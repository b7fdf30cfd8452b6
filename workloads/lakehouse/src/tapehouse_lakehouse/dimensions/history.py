"""Slowly changing dimensions: merges a load with the existing versions. Pure.

A key's versions are contiguous and do not overlap; the first is valid from the beginning of time,
so that data older than the dimension still matches it. Attributes of type 1 and 3 have one
value for a key, the same in all its versions. A key that is no longer declared stays as it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tapehouse_lakehouse.model import InvalidError, Scd

Row = Mapping[str, Any]

VALID_FROM, VALID_TO, IS_CURRENT, VERSION = "valid_from", "valid_to", "is_current", "version"
BOOKKEEPING = (VALID_FROM, VALID_TO, IS_CURRENT, VERSION)
PREVIOUS = "previous_"
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shape:
    """The roles of a dimension's columns."""

    key: tuple[str, ...]
    overwritten: tuple[str, ...] = ()
    versioned: tuple[str, ...] = ()
    remembered: tuple[str, ...] = ()
    """Type 3: the previous value is in `previous_<name>`."""

    @property
    def declared(self) -> tuple[str, ...]:
        """The columns that declared rows contain."""
        return (*self.key, *self.overwritten, *self.versioned, *self.remembered)


def shape(table: str, key: Sequence[str], columns: Sequence[str], scd: Scd) -> Shape:
    """Assign roles to a table's columns.

    Raises:
        InvalidError: no key, or a column that bookkeeping needs is not declared.
    """
    if not key:
        raise InvalidError(f"table {table}: spec.key: a dimension needs the columns of its key")
    kept = [c for c in columns if c not in key and c not in BOOKKEEPING]
    remembered = [c for c in kept if scd.of(c) == 3 and not _is_previous(c, columns)]
    plain = [c for c in kept if c not in remembered and not _is_previous(c, columns)]
    versioned = [c for c in plain if scd.of(c) == 2]
    needed = [PREVIOUS + c for c in remembered] + (list(BOOKKEEPING) if versioned else [])
    if missing := [c for c in needed if c not in columns]:
        raise InvalidError(f"table {table}: spec.columns: spec.scd needs {', '.join(missing)} too")
    overwritten = tuple(c for c in plain if scd.of(c) == 1)
    return Shape(tuple(key), overwritten, tuple(versioned), tuple(remembered))


def _is_previous(column: str, columns: Sequence[str]) -> bool:
    return column.startswith(PREVIOUS) and column.removeprefix(PREVIOUS) in columns


def reload(there: Iterable[Row], declared: Iterable[Row], shape: Shape, now: datetime) -> list[Row]:
    """All rows of the table after a load at `now`, by key and version.

    A declared row may contain `valid_from`, the start of its versioned attributes.

    Raises:
        InvalidError: a key that is null or twice, or a `valid_from` before the current version's.
    """
    by_key: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in there:
        by_key.setdefault(_key(row, shape), []).append(dict(row))
    for versions in by_key.values():
        versions.sort(key=lambda v: v.get(VERSION) or 0)
    seen: set[tuple[Any, ...]] = set()
    for row in declared:
        key = _key(row, shape)
        if None in key or key in seen:
            what = "is null" if None in key else "is there twice"
            raise InvalidError(f"row {_shown(row, shape)}: the key {what}; give each row its own")
        seen.add(key)
        by_key[key] = _after(by_key.get(key, []), row, shape, now)
    return [version for key in sorted(by_key, key=repr) for version in by_key[key]]


def _after(
    versions: list[dict[str, Any]], row: Row, shape: Shape, now: datetime
) -> list[dict[str, Any]]:
    given = {column: row.get(column) for column in shape.declared}
    since = row.get(VALID_FROM)
    if not versions:
        first = given | {PREVIOUS + c: None for c in shape.remembered}
        return [first | (_validity(since or BEGINNING, 1) if shape.versioned else {})]
    common = _unversioned(versions[-1], given, shape)
    changed = any(versions[-1].get(c) != given[c] for c in shape.versioned)
    updated = [version | common for version in versions]
    if not changed:
        return updated
    return _new_version(updated, given, shape, since or now)


def _unversioned(current: Row, given: Row, shape: Shape) -> dict[str, Any]:
    common = {c: given[c] for c in (*shape.overwritten, *shape.remembered)}
    for column in shape.remembered:
        same = current.get(column) == given[column]
        common[PREVIOUS + column] = current.get(PREVIOUS + column if same else column)
    return common


def _new_version(
    versions: list[dict[str, Any]], given: Row, shape: Shape, since: datetime
) -> list[dict[str, Any]]:
    *closed, current = versions
    attributes = {c: given[c] for c in shape.versioned}
    if since < current[VALID_FROM]:
        raise InvalidError(
            f"row {_shown(given, shape)}: valid_from {since.isoformat()} is before "
            f"{current[VALID_FROM].isoformat()}, since when the current version holds; give a "
            "later one"
        )
    if since == current[VALID_FROM]:
        return [*closed, current | attributes]  # A correction of the row declared for that time.
    ended = current | {VALID_TO: since, IS_CURRENT: False}
    return [*closed, ended, current | attributes | _validity(since, current[VERSION] + 1)]


def _validity(since: datetime, version: int) -> dict[str, Any]:
    return {VALID_FROM: since, VALID_TO: None, IS_CURRENT: True, VERSION: version}


def _key(row: Row, shape: Shape) -> tuple[Any, ...]:
    return tuple(row.get(column) for column in shape.key)


def _shown(row: Row, shape: Shape) -> str:
    return ", ".join(f"{c}={row.get(c)!r}" for c in shape.key)
