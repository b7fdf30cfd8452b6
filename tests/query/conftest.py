"""A lake with seeded trades, and a client that asks it GraphQL."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tapehouse_query.live.hub import Hub
from tapehouse_query.reads.engine import Engine
from tapehouse_query.reads.lake import Lake
from tapehouse_query.schema.build import build
from tapehouse_query.schema.context import Context, Services

from tests.query.catalog import BRONZE_TRADES, DAILY, MemoryCatalog, append, trades


@pytest.fixture
def catalog(tmp_path: Path) -> MemoryCatalog:
    return MemoryCatalog(tmp_path)


@pytest.fixture
def services(catalog: MemoryCatalog) -> Iterator[Services]:
    engine = Engine(Lake(lambda: catalog, max_age=0), threads=1, workers=2)
    services = Services(engine=engine, trades=Hub("onNewTrade", capacity=8))
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


Ask = Callable[..., Any]


@pytest.fixture
async def ask(services: Services) -> Ask:
    schema = build()

    async def run(query: str, **variables: Any) -> Any:
        return await schema.execute(
            query, variable_values=variables, context_value=Context(services)
        )

    return run
