"""Slowly changing dimensions: merges a load with the existing versions. Pure.

A key's versions are contiguous and do not overlap; the first is valid from the beginning of time,
so that data older than the dimension still matches it. Attributes of type 1 and 3 have one
value for a key, the same in all its versions. A key that is no longer declared stays as it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tapehouse_contracts import dimensions
from tapehouse_contracts.dimensions import (
    IS_CURRENT,
    PREVIOUS,
    VALID_FROM,
    VALID_TO,
    VERSION,
    Shape,
)

from tapehouse_lakehouse.model import InvalidError, Scd

Row = Mapping[str, Any]

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def shape(table: str, key: Sequence[str], columns: Sequence[str], scd: Scd) -> Shape:
    """Assign roles to a table's columns.

    Raises:
        InvalidError: no key, or a column that bookkeeping needs is not declared.
    """
    try:
        return dimensions.shape(key, columns, scd.of)
    except dimensions.ShapeError as error:
        raise InvalidError(f"table {table}: {error}") from None


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
