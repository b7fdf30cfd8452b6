"""The schema."""

from collections.abc import Hashable, Mapping
from typing import Any, cast

import orjson
import strawberry
from graphql import GraphQLError
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionResult

from tapehouse_query import metrics
from tapehouse_query.reads.notes import noted, only_tables
from tapehouse_query.schema.answers import Answer
from tapehouse_query.schema.context import Context
from tapehouse_query.schema.fast import FastExecutor
from tapehouse_query.schema.limits import CostLimiter, ShapeLimiter
from tapehouse_query.schema.mutation import Mutation
from tapehouse_query.schema.observe import Observe, presentable
from tapehouse_query.schema.query import Query
from tapehouse_query.schema.scalars import SCALARS
from tapehouse_query.schema.subscription import Subscription


class Schema(strawberry.Schema):
    """Strawberry's schema with presentable errors, and answers that are kept by snapshot."""

    async def execute(self, query: str | None, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Answer a query or a mutation."""
        context = kwargs.get("context_value")
        answers = context.answers if isinstance(context, Context) else None
        if answers is None:
            return await self._execute(query, *args, **kwargs)
        key = _key(query, kwargs)
        if kept := answers.get(key):
            with metrics.OPERATIONS.labels(kept.operation).time():
                return ExecutionResult(data=_json(kept.data), errors=None)
        with noted() as reads:
            result = await self._execute(query, *args, **kwargs)
        if isinstance(context, Context) and not result.errors and only_tables(reads):
            data = orjson.dumps(result.data)
            answers.put(key, Answer(data, context.operation, frozenset(reads)))
            result.data = _json(data)
        return result

    async def _execute(self, query: str | None, *args: Any, **kwargs: Any) -> ExecutionResult:
        result = await super().execute(query, *args, **kwargs)
        if result.errors:
            result.errors = [presentable(error, query) for error in result.errors]
        return result

    def process_errors(self, errors: list[GraphQLError], *_: Any, **__: Any) -> None:
        """Nothing: `presentable` logs what is to be logged, with its id."""


def _json(data: bytes) -> dict[str, Any]:
    """Data that has been encoded; only orjson can write it, which `writes_json` promises."""
    return cast("dict[str, Any]", orjson.Fragment(data))


def _key(query: str | None, asked: Mapping[str, Any]) -> Hashable:
    variables = orjson.dumps(asked.get("variable_values"), option=orjson.OPT_SORT_KEYS)
    return query, variables, asked.get("operation_name"), asked["context_value"].user


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
