"""Answers lists from their rows where the selection is plain.

GraphQL's executor resolves, coerces and checks every field of every node. Where a list's edges are
asked only for cursors and for columns of its rows, the outcome is known without all that: this
executor writes their JSON column by column, and leaves every other selection to its parent.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat, starmap
from typing import Any, TypeAlias, cast

import msgspec
import orjson
from graphql import GraphQLList, GraphQLObjectType, get_named_type, is_non_null_type
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from tapehouse_query.schema.connection import Column, Rows

Values: TypeAlias = Iterable[Any]

_MAX_ENCODED = 4
"""Selections of one page whose JSON is kept."""
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A column of the row; a null that is not expected leaves the list to the parent."""

    column: Column
    nullable: bool

    def values(self, rows: Rows[Any, Any]) -> Values | None:
        """One value per row; None where a null is not allowed."""
        convert = self.column.convert
        found = rows.slice.columns[self.column.position]
        if None in found:
            if not self.nullable:
                return None
            if convert is not None:
                known = iter(convert([value for value in found if value is not None]))
                return [None if value is None else next(known) for value in found]
        return found if convert is None else convert(found)


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The row's cursor."""

    def values(self, rows: Rows[Any, Any]) -> Values:
        """One per row, as the bytes that become base64 when they are written."""
        return rows.raw_cursors()


@dataclass(frozen=True, slots=True)
class _Constant:
    """`__typename`."""

    value: str

    def values(self, rows: Rows[Any, Any]) -> Values:
        """The same for every row."""
        return repeat(self.value, len(rows.slice.rows))


@dataclass(frozen=True, slots=True)
class _Object:
    """An object with these fields, by response key."""

    fields: tuple[tuple[str, "_Leaf | _Cursor | _Constant | _Object"], ...]

    def values(self, rows: Rows[Any, Any]) -> Values | None:
        """One struct per row; None where a null is not allowed."""
        columns = [part.values(rows) for _, part in self.fields]
        if any(column is None for column in columns):
            return None
        shape = _shape(tuple(key for key, _ in self.fields))
        return starmap(shape, zip(*cast("list[Values]", columns), strict=True))


@lru_cache(maxsize=256)
def _shape(keys: Sequence[str]) -> type[msgspec.Struct]:
    """A struct that is written with these keys."""
    names = [f"field_{number}" for number in range(len(keys))]
    rename = dict(zip(names, keys, strict=True))
    return msgspec.defstruct("Selected", names, rename=rename, frozen=True, gc=False)


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
        """The completed list; JSON where the caller will write JSON."""
        plain = isinstance(result, Rows) and bool(result.slice.rows)
        if plain and getattr(self.context_value, "writes_json", False):
            edge = cast("GraphQLObjectType", get_named_type(return_type))
            wanted = self._edge(edge, field_details_list, result)
            if wanted is not None and (short := _json(wanted, result)) is not None:
                return orjson.Fragment(short)
        return super().complete_list_value(
            return_type, field_details_list, info, path, result, position_context
        )

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


def _json(wanted: _Object, rows: Rows[Any, Any]) -> bytes | None:
    """The edges as JSON, made once per page; None where a null is not allowed."""
    kept, key = rows.slice.encoded, (rows.kind, wanted)
    if key not in kept:
        values = wanted.values(rows)
        if values is None:
            return None
        if len(kept) >= _MAX_ENCODED:
            kept.clear()
        kept[key] = _encode(list(values))
    return kept[key]


def _leaf(node: GraphQLObjectType, name: str, rows: Rows[Any, Any]) -> _Leaf | None:
    column = rows.columns.get(name)
    if column is None:
        return None
    return _Leaf(column, column.certain and not is_non_null_type(node.fields[name].type))
