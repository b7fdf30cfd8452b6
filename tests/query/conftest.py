"""A lake with seeded trades, and a client that asks it GraphQL."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tapehouse_query.live.hub import Hub
from tapehouse_query.reads.engine import Engine
from tapehouse_query.reads.lake import Lake
from tapehouse_query.schema.build import build
from tapehouse_query.schema.context import Context, Services
from tapehouse_query.watchlists import open_watchlists

from tests.query.catalog import BRONZE_TRADES, DAILY, MemoryCatalog, append, trades


@pytest.fixture
def catalog(tmp_path: Path) -> MemoryCatalog:
    return MemoryCatalog(tmp_path)


@pytest.fixture
def services(catalog: MemoryCatalog) -> Iterator[Services]:
    engine = Engine(Lake(lambda: catalog, max_age=0), threads=1, workers=2)
    services = Services(
        engine=engine,
        trades=Hub("onNewTrade", capacity=8),
        alerts=Hub("onTradeAlert", capacity=8),
        watchlists=open_watchlists(str(catalog.root / "query" / "watchlists.sqlite")),
    )
    yield services
    services.close()


@pytest.fixture
def filled(catalog: MemoryCatalog) -> list[dict[str, Any]]:
    """600 trades in nine commits, the last of which is late, in bronze."""
    table = catalog.create_table("bronze.trades", BRONZE_TRADES, partition_spec=DAILY)
    rows = trades(600)
    late = rows[100:150]
    kept = rows[:100] + rows[150:]
    for at in range(0, len(kept), 70):
        append(table, kept[at : at + 70])
    append(table, late)
    return rows


class Ask:
    """Asks the schema; `ask(query, variable=…)` gives the data and fails on errors."""

    schema = build()

    def __init__(self, services: Services) -> None:
        self.services = services

    async def raw(self, query: str, **variables: Any) -> Any:
        return await self.schema.execute(
            query, variable_values=variables, context_value=Context(self.services)
        )

    async def __call__(self, query: str, **variables: Any) -> Any:
        result = await self.raw(query, **variables)
        assert not result.errors, result.errors
        return result.data


@pytest.fixture
async def ask(services: Services) -> Ask:
    return Ask(services)
