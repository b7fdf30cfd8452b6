"""The schema."""

from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig

from tapehouse_query.schema.fast import FastExecutor
from tapehouse_query.schema.limits import EXTENSIONS
from tapehouse_query.schema.mutation import Mutation
from tapehouse_query.schema.observe import Observe
from tapehouse_query.schema.query import Query
from tapehouse_query.schema.scalars import SCALARS
from tapehouse_query.schema.subscription import Subscription


class Schema(strawberry.Schema):
    """Strawberry's schema; `Observe` does the logging of errors."""

    def process_errors(self, errors: list[GraphQLError], *_: Any, **__: Any) -> None:
        """Faults are logged where they get their id."""


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
            *EXTENSIONS,
        ],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
