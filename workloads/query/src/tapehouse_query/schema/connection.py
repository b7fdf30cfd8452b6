"""Relay connections over rows.

A connection keeps the rows it was made of and makes nodes only when a field needs them, so that
`fast.py` can answer plain selections from the rows.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import strawberry
from strawberry.utils.str_converters import to_camel_case

from tapehouse_query import cursor
from tapehouse_query.reads.slices import Slice
from tapehouse_query.schema import typed
from tapehouse_query.schema.scalars import BigInt

_ELSEWHERE = ("company_name", "sector")

NodeT = TypeVar("NodeT")
RowT = TypeVar("RowT", bound=tuple[Any, ...])


@dataclass(frozen=True, slots=True)
class Column:
    """A field of a node that is a value of its row: where, and how it is written."""

    position: int
    convert: Callable[[Sequence[Any]], Sequence[Any]] | None = None
    """Makes what is written of the values of a column."""
    certain: bool = True
    """False when a null in the row makes the field's resolver look elsewhere."""


@strawberry.type(description="Where a page ends and whether there is more.")
class PageInfo:
    """Relay's page information."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[NodeT]):
    """A node and its cursor."""

    node: NodeT
    cursor: str


@dataclass(frozen=True, slots=True)
class Rows(Generic[RowT, NodeT]):
    """The edges of a page: makes them when iterated over."""

    slice: Slice[RowT]
    kind: str
    """The list to which cursors belong."""
    key: Callable[[RowT], cursor.Key]
    """The sort key of a row."""
    node: Callable[[RowT], NodeT]
    columns: Mapping[str, Column]
    """By the node's GraphQL field: those that come straight from the row."""

    def cursor(self, row: RowT) -> str:
        """The cursor of a row."""
        return cursor.encode(self.kind, self.key(row))

    def raw_cursors(self) -> list[bytes]:
        """Every row's, as the bytes that it is the base64 of."""
        return cursor.raw(self.kind, map(self.key, self.slice.rows))

    def __iter__(self) -> "Iterator[Edge[NodeT]]":
        """The edges."""
        for row in self.slice.rows:
            yield Edge(node=self.node(row), cursor=self.cursor(row))


@strawberry.type
class Connection(Generic[NodeT]):
    """One page of a list."""

    rows: strawberry.Private[Rows[Any, NodeT]]
    after: strawberry.Private[str | None]
    counter: strawberry.Private[Callable[[], Awaitable[int]]]

    @typed.field
    def edges(self) -> list[Edge[NodeT]]:
        """The rows of this page."""
        return cast("list[Edge[NodeT]]", self.rows)

    @typed.field
    def page_info(self) -> PageInfo:
        """Where this page ends."""
        rows, found = self.rows, self.rows.slice
        return PageInfo(
            has_next_page=found.more,
            has_previous_page=self.after is not None,
            start_cursor=rows.cursor(found.rows[0]) if found.rows else None,
            end_cursor=rows.cursor(found.rows[-1]) if found.rows else None,
        )

    @typed.field
    async def total_count(self) -> BigInt:
        """How many there are on all pages; counted only when asked for."""
        return BigInt(await self.counter())


def plain_columns(
    row: type[tuple[Any, ...]], **converters: Callable[[Sequence[Any]], Sequence[Any]]
) -> Mapping[str, Column]:
    """The columns of a named tuple, by their names in GraphQL."""
    names: Sequence[str] = row._fields  # type: ignore[attr-defined]
    return {
        to_camel_case(name): Column(at, converters.get(name), name not in _ELSEWHERE)
        for at, name in enumerate(names)
    }
