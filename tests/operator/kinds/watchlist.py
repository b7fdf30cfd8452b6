"""A sixth kind, as small as a kind can be: one file for its spec and what becomes of it.

Nothing else in the repository knows it; `test_sixth_kind` shows what it gets all the same.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from tapehouse_operator.api.base import Change, Names, Reason, Resource, Spec
from tapehouse_operator.emit.core import Child, ObjectKey
from tapehouse_operator.emit.manifests import config_map
from tapehouse_operator.errors import NotReady
from tapehouse_operator.kinds.contract import Kind, Output, Refs, RevisionRef, World
from tapehouse_operator.names import API_VERSION


class WatchlistSpec(Spec):
    """The symbols that are watched in a table."""

    table: Annotated[str, Change.IN_PLACE, Field(max_length=40)]
    """A LakehouseTable in the same namespace. Example: `silver-trades`."""
    symbol: Annotated[str, Change.IN_PLACE, Field(max_length=40)]
    """The symbol to watch. Example: `ABC`."""


class Watchlist(Resource):
    """Symbols that are watched in a table."""

    names: ClassVar[Names] = Names("watchlists", "wl")
    kind: Literal["Watchlist"] = "Watchlist"
    spec: WatchlistSpec


class WatchlistKind(Kind[Watchlist, Watchlist]):
    """See `contract.Kind`."""

    model = Watchlist
    owned = (("v1", "ConfigMap"), ("batch/v1", "CronJob"))

    def refs(self, resource: Watchlist, settings: Mapping[str, str]) -> Refs:
        return Refs(objects=frozenset({_table(resource)}))

    def validate(self, resource: Watchlist, world: World) -> Watchlist:
        if _table(resource) not in world.objects:
            raise NotReady(Reason.TABLE_NOT_FOUND, f"no LakehouseTable {resource.spec.table}")
        return resource

    def compile(self, plan: Watchlist, revision: RevisionRef) -> Output:
        name = f"{plan.metadata.name}-watchlist"
        return Output((Child(config_map(name, {"symbol": plan.spec.symbol})),))


def _table(resource: Watchlist) -> ObjectKey:
    return ObjectKey(API_VERSION, "LakehouseTable", resource.spec.table)
