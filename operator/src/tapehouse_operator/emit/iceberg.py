"""The desired Iceberg table, and the grammar of its partitions and sort order."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tapehouse_contracts.types import IceType, Primitive

from tapehouse_operator.emit.core import Column, Table

PROPERTIES: Mapping[str, str] = {
    "format-version": "2",
    # Every checkpoint leaves a snapshot, so that "empty" differs from "not yet".
    "flink.max-continuous-empty-commits": "1",
    "write.parquet.compression-codec": "zstd",
    # Jobs, publisher and maintenance commit to one table.
    "commit.retry.num-retries": "20",
    # A commit every few seconds would otherwise leave gigabytes of old metadata a day.
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}
AT_CREATION = frozenset({"format-version"})
"""Properties that a catalog takes when it creates a table and does not list afterwards."""
OWNER_PROPERTY = "tapehouse.owner"
"""`<namespace>/<resource>` of the LakehouseTable that may change the table."""
KEY_PROPERTY = "tapehouse.key"
"""The declared key. Iceberg's identifier fields stay empty: they would make Flink's sink write
deletes for keys that repeat within a checkpoint."""

_TRANSFORM = re.compile(
    r"^(?:(?P<name>[a-z]+)\(\s*(?:(?P<arg>\d+)\s*,\s*)?(?P<inner>[\w.]+)\s*\)"
    r"|(?P<column>[\w.]+))$"
)
_SORT = re.compile(
    r"^(?P<term>.+?)(?:\s+(?P<direction>asc|desc))?(?:\s+nulls\s+(?P<nulls>first|last))?$"
)
_DATES = ("date", "timestamp", "timestamptz")
_BUCKETABLE = (
    "int",
    "long",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "string",
    "uuid",
    "binary",
)
_SOURCES: Mapping[str, tuple[str, ...]] = {
    "year": _DATES,
    "month": _DATES,
    "day": _DATES,
    "hour": ("timestamp", "timestamptz"),
    "bucket": (*_BUCKETABLE, "decimal"),
    "truncate": ("int", "long", "string", "binary", "decimal"),
}
_WITH_ARGUMENT = ("bucket", "truncate")
TRANSFORM_FORM = (
    "a column, year(column), month(column), day(column), hour(column), bucket(16, column) "
    "or truncate(8, column)"
)


def property_changes(live: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """The properties to set on a table that exists, by name."""
    return {
        name: value
        for name, value in wanted.items()
        if name not in AT_CREATION and live.get(name) != value
    }


@dataclass(frozen=True, slots=True)
class Transform:
    """A partition or sort term: a column and what is done to it."""

    column: str
    name: str = "identity"
    argument: int | None = None

    def __str__(self) -> str:
        if self.name == "identity":
            return self.column
        argument = "" if self.argument is None else f"{self.argument}, "
        return f"{self.name}({argument}{self.column})"

    def takes(self, type_: IceType) -> bool:
        """Whether values of `type_` can be transformed."""
        if not isinstance(type_, Primitive):
            return False
        return self.name == "identity" or type_.name in _SOURCES[self.name]


@dataclass(frozen=True, slots=True)
class SortTerm:
    """One term of a sort order."""

    transform: Transform
    descending: bool = False
    nulls_first: bool = True
    """By default first when ascending and last when descending, as in Iceberg."""

    def __str__(self) -> str:
        direction = " desc" if self.descending else ""
        if self.nulls_first != self.descending:
            return f"{self.transform}{direction}"
        return f"{self.transform}{direction} nulls {'first' if self.nulls_first else 'last'}"


def transform(text: str) -> Transform:
    """Read `day(timestamp)`, `bucket(16, symbol)` or `symbol`.

    Raises:
        ValueError: no such transform, or its argument is missing or too much.
    """
    found = _TRANSFORM.match(text.strip())
    if found is None:
        raise ValueError(f"{text!r}: use {TRANSFORM_FORM}")
    if found["column"]:
        return Transform(found["column"])
    name, argument = found["name"], found["arg"]
    known = name in _SOURCES and (argument is not None) == (name in _WITH_ARGUMENT)
    if not known or (argument is not None and int(argument) < 1):
        raise ValueError(f"{text!r}: use {TRANSFORM_FORM}")
    return Transform(found["inner"], name, int(argument) if argument else None)


def sort_term(text: str) -> SortTerm:
    """Read `symbol`, `timestamp desc` or `bucket(16, symbol) asc nulls last`.

    Raises:
        ValueError: not a transform with an optional direction and place of nulls.
    """
    found = _SORT.match(text.strip())
    if found is None:
        raise ValueError(f"{text!r}: use {TRANSFORM_FORM}, then asc or desc, nulls first or last")
    descending = found["direction"] == "desc"
    nulls_first = found["nulls"] == "first" if found["nulls"] else not descending
    return SortTerm(transform(found["term"]), descending, nulls_first)


def table(
    identifier: str,
    columns: Iterable[Column],
    *,
    owner: str,
    key: tuple[str, ...] = (),
    partition: tuple[str, ...] = (),
    sort: tuple[str, ...] = (),
    allow_drop: bool = False,
) -> Table:
    """The desired table, in canonical spelling, with the properties every table has."""
    return Table(
        identifier=identifier,
        columns=tuple(columns),
        key=key,
        partition=tuple(str(transform(term)) for term in partition),
        sort=tuple(str(sort_term(term)) for term in sort),
        properties={**PROPERTIES, KEY_PROPERTY: ",".join(key), OWNER_PROPERTY: owner},
        allow_drop=allow_drop,
        owner=owner,
    )
