"""The schema."""

from functools import partial
from typing import Any

import orjson
import strawberry
from graphql import GraphQLError, OperationType, get_operation_ast, parse
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionResult

from tapehouse_query.schema.context import Context
from tapehouse_query.schema.fast import FastExecutor
from tapehouse_query.schema.limits import MAX_TOKENS, CostLimiter, OneOperation, ShapeLimiter
from tapehouse_query.schema.mutation import Mutation
from tapehouse_query.schema.observe import Observe, presentable
from tapehouse_query.schema.query import Query
from tapehouse_query.schema.scalars import SCALARS
from tapehouse_query.schema.subscription import Subscription


class Schema(strawberry.Schema):
    """Strawberry's schema with presentable errors."""

    async def execute(self, query: str | None, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Answer a query or a mutation."""
        result = await super().execute(query, *args, **kwargs)
        if result.errors:
            result.errors = [presentable(error, query) for error in result.errors]
        elif isinstance(context := kwargs.get("context_value"), Context):
            context.succeeded = True
        return result

    async def stream(self, query: str | None, *args: Any, **kwargs: Any) -> Any:
        """Answer over a WebSocket; equal subscriptions of a user share one execution."""
        run = partial(super().stream, query, *args, **kwargs)
        context, operation = kwargs.get("context_value"), kwargs.get("operation_name")
        name = self._subscription(query, operation)
        if not isinstance(context, Context):
            return await run()
        if name is None:
            context.symbols.clear_all()  # a connection's context outlives its questions
            return await run()
        variables = orjson.dumps(kwargs.get("variable_values"), option=orjson.OPT_SORT_KEYS)
        return context.followed.follow(name, (query, variables, operation, context.user), run)

    def _subscription(self, query: str | None, operation: str | None) -> str | None:
        """What a query subscribes to; None if it does something else or is wrong."""
        try:
            found = get_operation_ast(parse(query or "", max_tokens=MAX_TOKENS), operation)
        except GraphQLError:
            return None
        kinds = self._schema.subscription_type
        if found is None or found.operation is not OperationType.SUBSCRIPTION or kinds is None:
            return None
        name = getattr(getattr(found.selection_set.selections[0], "name", None), "value", None)
        return name if name in kinds.fields else None

    def process_errors(self, errors: list[GraphQLError], *_: Any, **__: Any) -> None:
        """Nothing: `presentable` logs what is to be logged, with its id."""


def build() -> Schema:
    """The schema with its limits."""
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        execution_context_class=FastExecutor,
        extensions=[
            Observe,
            lambda: ParserCache(maxsize=256),
            lambda: ValidationCache(maxsize=256),
            OneOperation,
            ShapeLimiter,
            CostLimiter,
        ],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
