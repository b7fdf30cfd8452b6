"""Strawberry's decorators, typed, with the docstring as the field's description."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import strawberry

F = TypeVar("F", bound=Callable[..., Any])


def field(resolver: F) -> F:
    """A field with a resolver."""
    return cast(F, strawberry.field(resolver=resolver, description=inspect.getdoc(resolver)))


def mutation(resolver: F) -> F:
    """A field of the mutation type."""
    return cast(F, strawberry.mutation(resolver=resolver, description=inspect.getdoc(resolver)))


def subscription(resolver: F) -> F:
    """A field of the subscription type; the resolver is an asynchronous generator."""
    described = strawberry.subscription(resolver=resolver, description=inspect.getdoc(resolver))
    return cast(F, described)
