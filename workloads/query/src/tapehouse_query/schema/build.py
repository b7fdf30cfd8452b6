"""The schema."""

from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionResult

from tapehouse_query.schema.context import Context
from tapehouse_query.schema.fast import FastExecutor
from tapehouse_query.schema.limits import CostLimiter, ShapeLimiter
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
            ShapeLimiter,
            CostLimiter,
        ],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
