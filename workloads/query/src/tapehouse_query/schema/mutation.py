"""Mutations: a user's watchlists."""

import asyncio
from collections.abc import Sequence

import strawberry

from tapehouse_query import watchlists
from tapehouse_query.schema.context import Info
from tapehouse_query.schema.inputs import symbol_of
from tapehouse_query.schema.scalars import Time, to_micros
from tapehouse_query.schema.typed import field, mutation
from tapehouse_query.schema.types import Symbol


@strawberry.type(description="A named list of symbols.")
class Watchlist:
    """A user's list."""

    id: strawberry.ID
    name: str
    symbols: list[str]
    created_at: Time

    @field
    async def symbol_details(self, info: Info) -> list[Symbol]:
        """The instruments of the list that are known, in their current versions."""
        found = await info.context.symbols.load_many(self.symbols)
        return [Symbol.of(one) for one in found if one is not None]

    @classmethod
    def of(cls, kept: watchlists.Watchlist) -> "Watchlist":
        """The node of a kept list."""
        return cls(
            id=strawberry.ID(kept.id),
            name=kept.name,
            symbols=list(kept.symbols),
            created_at=Time(to_micros(kept.created_at)),
        )


@strawberry.type
class Mutation:
    """What can be changed."""

    @mutation
    async def create_watchlist(
        self, info: Info, name: str, symbols: list[str] | None = None
    ) -> Watchlist:
        """Make a list of yours."""
        kept, user, chosen = info.context.watchlists, info.context.user, _symbols(symbols or ())
        return Watchlist.of(await asyncio.to_thread(kept.create, user, name, chosen))

    @mutation
    async def add_to_watchlist(
        self,
        info: Info,
        watchlist_id: strawberry.ID,
        symbol: str | None = None,
        symbols: list[str] | None = None,
    ) -> Watchlist:
        """Put a symbol, or several, on a list of yours."""
        kept, user, chosen = info.context.watchlists, info.context.user, _given(symbol, symbols)
        return Watchlist.of(await asyncio.to_thread(kept.add, user, str(watchlist_id), chosen))

    @mutation
    async def remove_from_watchlist(
        self,
        info: Info,
        watchlist_id: strawberry.ID,
        symbol: str | None = None,
        symbols: list[str] | None = None,
    ) -> Watchlist:
        """Take a symbol, or several, off a list of yours."""
        kept, user, chosen = info.context.watchlists, info.context.user, _given(symbol, symbols)
        return Watchlist.of(await asyncio.to_thread(kept.remove, user, str(watchlist_id), chosen))

    @mutation
    async def delete_watchlist(self, info: Info, watchlist_id: strawberry.ID) -> bool:
        """Delete a list of yours; true once it is gone."""
        kept, user = info.context.watchlists, info.context.user
        await asyncio.to_thread(kept.delete, user, str(watchlist_id))
        return True


def _given(symbol: str | None, symbols: list[str] | None) -> list[str]:
    return _symbols([*([symbol] if symbol is not None or not symbols else []), *(symbols or [])])


def _symbols(symbols: Sequence[str | None]) -> list[str]:
    return [symbol_of(symbol) for symbol in symbols]
