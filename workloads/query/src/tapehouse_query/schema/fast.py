"""Answers lists from their rows where the selection is plain.

GraphQL's executor resolves, coerces and checks every field of every node. Where a list's edges are
asked only for cursors and for columns of its rows, the outcome is known without all that: this
executor writes it column by column, and leaves every other selection to its parent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import orjson
from graphql import GraphQLList, GraphQLObjectType, get_named_type, is_non_null_type
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from tapehouse_query.schema.connection import Column, Rows

Values: TypeAlias = Sequence[Any]

_MAX_ENCODED = 4
"""Selections of one page whose JSON is kept."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A column of the row; a null that is not expected leaves the list to the parent."""

    column: Column
    nullable: bool

    def values(self, rows: Rows[Any, Any]) -> Values | None:
        """One value per row; None where a null is not allowed."""
        at, convert = self.column.position, self.column.convert
        found = [row[at] for row in rows.page.rows]
        if None in found:
            if not self.nullable:
                return None
            return found if convert is None else [None if v is None else convert(v) for v in found]
        return found if convert is None else list(map(convert, found))


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The row's cursor."""

    def values(self, rows: Rows[Any, Any]) -> Values:
        """One cursor per row."""
        return list(map(rows.cursor, rows.page.rows))


@dataclass(frozen=True, slots=True)
class _Constant:
    """`__typename`."""

    value: str

    def values(self, rows: Rows[Any, Any]) -> Values:
        """The same for every row."""
        return [self.value] * len(rows.page.rows)


@dataclass(frozen=True, slots=True)
class _Object:
    """An object with these fields, by response key."""

    fields: tuple[tuple[str, "_Leaf | _Cursor | _Constant | _Object"], ...]

    def values(self, rows: Rows[Any, Any]) -> Values | None:
        """One mapping per row; None where a null is not allowed."""
        keys = [key for key, _ in self.fields]
        columns = [part.values(rows) for _, part in self.fields]
        if any(column is None for column in columns):
            return None
        return [
            dict(zip(keys, row, strict=True))
            for row in zip(*cast("list[Values]", columns), strict=True)
        ]


class FastExecutor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor with a short way for plain lists."""

    def complete_list_value(
        self,
        return_type: GraphQLList[Any],
        field_details_list: Any,
        info: Any,
        path: Any,
        result: Any,
        position_context: Any,
    ) -> Any:
        """The completed list."""
        if isinstance(result, Rows):
            edge = cast("GraphQLObjectType", get_named_type(return_type))
            wanted = self._edge(edge, field_details_list, result)
            if wanted is not None and (short := self._answer(wanted, result)) is not None:
                return short
        return super().complete_list_value(
            return_type, field_details_list, info, path, result, position_context
        )

    def _answer(self, wanted: _Object, rows: Rows[Any, Any]) -> Any:
        """JSON where the caller will write JSON, else plain values."""
        if not getattr(self.context_value, "writes_json", False):
            return wanted.values(rows)
        kept = rows.page.encoded
        key = (rows.kind, wanted)
        if key not in kept:
            values = wanted.values(rows)
            if values is None:
                return None
            if len(kept) >= _MAX_ENCODED:
                kept.clear()
            kept[key] = orjson.dumps(values)
        return orjson.Fragment(kept[key])

    def _edge(self, edge: GraphQLObjectType, details: Any, rows: Rows[Any, Any]) -> _Object | None:
        def part(name: str, inner: Any) -> "_Cursor | _Object | None":
            if name == "cursor":
                return _Cursor()
            node = cast("GraphQLObjectType", get_named_type(edge.fields["node"].type))
            return self._object(node, inner, lambda field, _: _leaf(node, field, rows))

        return self._object(edge, details, part)

    def _object(
        self, kind: GraphQLObjectType, details: Any, part: Callable[[str, Any], Any]
    ) -> _Object | None:
        fields = []
        for key, inner in self.collect_subfields(kind, details).grouped_field_set.items():
            name = inner[0].node.name.value
            made = _Constant(kind.name) if name == "__typename" else part(name, inner)
            if made is None:
                return None
            fields.append((key, made))
        return _Object(tuple(fields))


def _leaf(node: GraphQLObjectType, name: str, rows: Rows[Any, Any]) -> _Leaf | None:
    column = rows.columns.get(name)
    if column is None:
        return None
    return _Leaf(column, column.certain and not is_non_null_type(node.fields[name].type))
