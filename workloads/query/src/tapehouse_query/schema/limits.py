"""Limits on what one operation may ask for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)
from strawberry.extensions import (
    MaxAliasesLimiter,
    QueryDepthLimiter,
    SchemaExtension,
)
from strawberry.types import ExecutionResult

from tapehouse_query.schema.inputs import MAX_FIRST

MAX_DEPTH = 10
MAX_ALIASES = 15
MAX_TOKENS = 1000
MAX_COST = 50_000
"""Fields that an answer may hold: a full page of trades with all their fields is about 16,000."""

_COUNT_COST = 1000
_DEFAULT_FIRST = 50


class CostLimiter(SchemaExtension):
    """Refuses operations whose answer could hold more than `MAX_COST` fields.

    A list counts as `first` times what is asked of each row, a total as 1,000 fields.
    """

    def on_execute(self) -> Iterator[None]:
        """Check before anything is read."""
        context = self.execution_context
        document = context.graphql_document
        if document is not None:
            fragments = {
                node.name.value: node
                for node in document.definitions
                if isinstance(node, FragmentDefinitionNode)
            }
            cost = max(
                _cost(node.selection_set, fragments, context.variables or {}, 1)
                for node in document.definitions
                if isinstance(node, OperationDefinitionNode)
            )
            if cost > MAX_COST:
                context.result = ExecutionResult(data=None, errors=[_too_much(cost)])
        yield None


class OneOperation(SchemaExtension):
    """Refuses documents with several operations that do not name the one to run.

    GraphQL demands it; Strawberry runs the first. It stands behind `ValidationCache`, whose list
    of errors is shared and must not be changed.
    """

    def on_validate(self) -> Iterator[None]:
        """Check what validation accepted."""
        context = self.execution_context
        document = context.graphql_document
        names = [
            node.name.value
            for node in (document.definitions if document else ())
            if isinstance(node, OperationDefinitionNode) and node.name
        ]
        # `operation_name` is never None: it falls back to the first operation.
        unnamed = not context._provided_operation_name
        if unnamed and len(names) > 1 and not context.pre_execution_errors:
            context.pre_execution_errors = [_unnamed(names)]
        yield None


class ShapeLimiter(SchemaExtension):
    """Refuses operations that are too deep, too long or have too many aliases.

    The rules are made once: they are part of the key under which validations are cached.
    """

    rules = (
        *QueryDepthLimiter(max_depth=MAX_DEPTH).validation_rules,
        *MaxAliasesLimiter(max_alias_count=MAX_ALIASES).validation_rules,
    )

    def on_operation(self) -> Iterator[None]:
        """Before parsing."""
        context = self.execution_context
        context.validation_rules = (*context.validation_rules, *self.rules)
        context.parse_options["max_tokens"] = MAX_TOKENS
        yield None


def _unnamed(names: Sequence[str]) -> GraphQLError:
    return GraphQLError(
        f"the document has {len(names)} operations ({', '.join(names)}): name the one to run in"
        " operationName",
        extensions={"code": "BAD_USER_INPUT", "argument": "operationName"},
    )


def _too_much(cost: int) -> GraphQLError:
    return GraphQLError(
        f"the answer could hold {cost} fields, the limit is {MAX_COST}: ask for fewer rows or"
        " fields at once",
        extensions={"code": "TOO_COSTLY", "cost": cost, "limit": MAX_COST},
    )


def _cost(
    selections: SelectionSetNode | None,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
    times: int,
) -> int:
    if selections is None:
        return 0
    total = 0
    for node in selections.selections:
        if isinstance(node, FieldNode):
            total += _field_cost(node, fragments, variables, times)
        elif isinstance(node, InlineFragmentNode):
            total += _cost(node.selection_set, fragments, variables, times)
        elif isinstance(node, FragmentSpreadNode) and node.name.value in fragments:
            inner = fragments[node.name.value].selection_set
            total += _cost(inner, fragments, variables, times)
        if total > MAX_COST * MAX_COST:
            break
    return total


def _field_cost(
    node: FieldNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
    times: int,
) -> int:
    name = node.name.value
    if name.startswith("__"):
        return 0
    if name == "totalCount":
        return _COUNT_COST
    rows = _rows(node, variables) if node.selection_set and _is_list(node) else 1
    return times + _cost(node.selection_set, fragments, variables, times * rows)


def _is_list(node: FieldNode) -> bool:
    """Only connections have both a page's size and edges."""
    inner = node.selection_set.selections if node.selection_set else ()
    return any(arg.name.value == "first" for arg in node.arguments or ()) or any(
        isinstance(one, FieldNode) and one.name.value == "edges" for one in inner
    )


def _rows(node: FieldNode, variables: Mapping[str, Any]) -> int:
    for argument in node.arguments or ():
        if argument.name.value == "first":
            value = argument.value
            if isinstance(value, IntValueNode):
                return max(1, min(int(value.value), MAX_FIRST))
            if isinstance(value, VariableNode):
                given = variables.get(value.name.value)
                return max(1, min(given, MAX_FIRST)) if isinstance(given, int) else _DEFAULT_FIRST
    return _DEFAULT_FIRST
