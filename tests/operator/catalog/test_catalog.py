"""The Iceberg backend against a real REST catalog."""

import asyncio
import os
import time
from dataclasses import replace

import pyarrow as pa
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.types import StringType
from tapehouse_operator.backends.catalog import IcebergCatalog, rest_catalog
from tapehouse_operator.emit.core import Column, Table
from tapehouse_operator.emit.iceberg import KEY_PROPERTY, OWNER_PROPERTY, table
from tapehouse_operator.errors import NotReady

from tests.streams.platform import catalog_server

COLUMNS = (
    Column("trade_id", "string", required=True, doc="who"),
    Column("symbol", "string"),
    Column("price", "float"),
    Column("quantity", "int"),
    Column("fee", "decimal(10,2)"),
    Column("at", "timestamptz"),
    Column("bids", "list<struct<price: float, quantity: int>>"),
)
ID = "bronze.trades"


def wanted(*columns: Column, **changes: object) -> Table:
    made = table(
        ID,
        columns or COLUMNS,
        owner="ns/bronze-trades",
        key=("trade_id",),
        partition=("day(at)", "bucket(16, symbol)"),
        sort=("symbol", "at desc"),
    )
    return replace(made, **changes)


def changed(name: str, /, **changes: object) -> tuple[Column, ...]:
    return tuple(replace(c, **changes) if c.name == name else c for c in COLUMNS)


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    pid = os.getpid()
    host = f"127.85.{pid // 250 % 250 + 1}.{pid % 250 + 1}"
    with catalog_server(tmp_path_factory.mktemp("catalog"), host) as server:
        yield server.uri


@pytest.fixture
def rest(uri):
    """What plain PyIceberg sees of the catalog; empty again afterwards."""
    catalog = load_catalog("test", type="rest", uri=uri)
    yield catalog
    for name in catalog.list_tables("bronze") if catalog.namespace_exists("bronze") else ():
        catalog.drop_table(name)
    catalog.close()


@pytest.fixture
def backend(rest, uri):
    made = rest_catalog(uri)
    yield made
    made.close()


async def test_a_new_table_is_as_declared(backend, rest):
    state = await backend.ensure(wanted())

    assert state.error == ""
    assert state.exists
    assert state.columns == COLUMNS
    assert state.partition == ("day(at)", "bucket(16, symbol)")
    assert state.sort == ("symbol", "at desc")
    assert state.uuid == str(rest.load_table(ID).metadata.table_uuid)
    assert state.properties[OWNER_PROPERTY] == "ns/bronze-trades"
    assert state.properties[KEY_PROPERTY] == "trade_id"
    assert rest.load_table(ID).format_version == 2
    assert rest.load_table(ID).schema().identifier_field_ids == []


async def test_a_table_in_sync_is_not_committed_to(backend, rest):
    await backend.ensure(wanted())
    before = rest.load_table(ID).metadata_location

    state = await backend.ensure(wanted())

    assert state.error == ""
    assert rest.load_table(ID).metadata_location == before


async def test_state_tells_what_is_and_what_is_not(backend):
    assert (await backend.state(ID)).exists is False
    made = await backend.ensure(wanted())
    assert await backend.state(ID) == made


EVOLUTIONS = {
    "add": (*COLUMNS, Column("venue", "string", doc="where")),
    "rename": changed("symbol", name="ticker", previous_name="symbol"),
    "widen int": changed("quantity", type="long"),
    "widen float": changed("price", type="double"),
    "widen decimal": changed("fee", type="decimal(18,2)"),
    "rename and widen": changed("price", name="px", previous_name="price", type="double"),
    "optional": changed("trade_id", required=False),
    "doc": changed("symbol", doc="ticker"),
    "nested add": changed(
        "bids", type="list<struct<price: float, quantity: int, order_count: int>>"
    ),
    "nested widen": changed("bids", type="list<struct<price: double, quantity: long>>"),
    "nested twice": changed("bids", type="list<struct<price: double, quantity: int, n: long>>"),
}


@pytest.mark.parametrize("name", EVOLUTIONS)
async def test_compatible_changes_are_one_commit_in_place(backend, rest, name):
    first = await backend.ensure(wanted())
    columns = EVOLUTIONS[name]
    renamed = {c.previous_name: c.name for c in columns if c.previous_name}
    declared = wanted(
        *columns,
        partition=("day(at)", f"bucket(16, {renamed.get('symbol', 'symbol')})"),
        sort=(renamed.get("symbol", "symbol"), "at desc"),
    )
    log = len(rest.load_table(ID).metadata.metadata_log)

    state = await backend.ensure(declared)

    assert state.error == ""
    assert state.columns == tuple(replace(c, previous_name=None) for c in columns)
    assert state.uuid == first.uuid
    assert len(rest.load_table(ID).metadata.metadata_log) == log + 1
    assert await backend.ensure(declared) == state
    assert len(rest.load_table(ID).metadata.metadata_log) == log + 1


REFUSALS = {
    "narrow": (changed("fee", type="decimal(5,2)"), "fee"),
    "other type": (changed("symbol", type="long"), "symbol"),
    "into a list": (changed("symbol", type="list<string>"), "symbol is string"),
    "out of a list": (changed("bids", type="string"), "bids is list"),
    "nested loss": (changed("bids", type="list<struct<price: float>>"), "would lose quantity"),
    "new and required": ((*COLUMNS, Column("venue", "string", required=True)), "venue is new"),
    "now required": (changed("symbol", required=True), "symbol is optional"),
    "gone": (COLUMNS[:-1], "column bids is in the table but not declared"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_other_changes_are_refused_with_the_reason_and_change_nothing(backend, rest, name):
    columns, sentence = REFUSALS[name]
    await backend.ensure(wanted())
    before = rest.load_table(ID).metadata_location

    state = await backend.ensure(wanted(*columns))

    assert sentence in state.error
    assert state.exists
    assert state.columns == COLUMNS
    assert rest.load_table(ID).metadata_location == before


async def test_a_column_goes_only_when_allowed(backend):
    await backend.ensure(wanted())

    state = await backend.ensure(wanted(*COLUMNS[:-1], allow_drop=True))

    assert state.error == ""
    assert state.columns == COLUMNS[:-1]


async def test_rows_survive_a_rename_and_a_widening(backend, rest):
    await backend.ensure(wanted(partition=(), sort=()))
    schema = rest.load_table(ID).schema().as_arrow()
    row = {"trade_id": "t1", "symbol": "AAPL", "price": 1.5, "quantity": 3}
    rest.load_table(ID).append(pa.Table.from_pylist([row], schema=schema))

    columns = tuple(
        {
            "symbol": Column("ticker", "string", previous_name="symbol"),
            "quantity": Column("quantity", "long"),
        }.get(c.name, c)
        for c in COLUMNS
    )
    await backend.ensure(wanted(*columns, partition=(), sort=()))

    (read,) = (
        rest.load_table(ID).scan(selected_fields=("ticker", "quantity")).to_arrow().to_pylist()
    )
    assert read == {"ticker": "AAPL", "quantity": 3}


async def test_partition_sort_and_properties_evolve(backend):
    await backend.ensure(wanted())

    state = await backend.ensure(
        wanted(partition=("month(at)",), sort=(), properties={"commit.retry.num-retries": "7"})
    )

    assert state.error == ""
    assert state.partition == ("month(at)",)
    assert state.sort == ()
    assert state.properties["commit.retry.num-retries"] == "7"

    back = await backend.ensure(wanted())
    assert back.error == ""
    assert set(back.partition) == {"day(at)", "bucket(16, symbol)"}


async def test_a_table_of_another_resource_is_left_alone(backend, rest):
    await backend.ensure(wanted())
    before = rest.load_table(ID).metadata_location

    state = await backend.ensure(wanted(*COLUMNS, Column("x", "int"), owner="other/trades"))

    assert state.error == f"table {ID} belongs to ns/bronze-trades; name another identifier"
    assert rest.load_table(ID).metadata_location == before


async def test_a_table_without_an_owner_is_adopted(backend, rest):
    await backend.ensure(wanted())
    with rest.load_table(ID).transaction() as txn:
        txn.remove_properties(OWNER_PROPERTY)

    state = await backend.ensure(wanted())

    assert state.error == ""
    assert state.properties[OWNER_PROPERTY] == "ns/bronze-trades"


async def test_drop_minds_the_owner_and_forgives_absence(backend):
    await backend.ensure(wanted())

    await backend.drop(ID, "other/x")
    assert (await backend.state(ID)).exists

    await backend.drop(ID, "ns/bronze-trades")
    assert not (await backend.state(ID)).exists
    await backend.drop(ID, "ns/bronze-trades")


async def test_many_at_once_make_each_table_once(backend, rest):
    tables = [replace(wanted(), identifier=f"bronze.t{n % 3}") for n in range(9)]

    states = await asyncio.gather(*(backend.ensure(t) for t in tables))

    assert [s.error for s in states] == [""] * 9
    assert len(rest.list_tables("bronze")) == 3


async def test_a_commit_by_somebody_else_is_retried(rest, monkeypatch):
    backend = IcebergCatalog(lambda: rest)
    await backend.ensure(wanted())
    real, calls = rest.commit_table, []

    def racing(table, requirements, updates):
        calls.append(1)
        if len(calls) == 1:
            with load_catalog("other", type="rest", uri=rest.uri).load_table(ID).transaction() as t:
                t.update_schema().add_column("other", StringType()).commit()
        return real(table, requirements, updates)

    monkeypatch.setattr(rest, "commit_table", racing)

    state = await backend.ensure(
        wanted(*COLUMNS, Column("other", "string"), Column("venue", "string"))
    )
    backend.close()

    assert state.error == ""
    assert [c.name for c in state.columns[-2:]] == ["other", "venue"]
    assert len(calls) == 2


async def test_a_catalog_that_is_not_there_is_a_sentence():
    backend = rest_catalog("http://127.0.0.1:9")

    with pytest.raises(NotReady) as caught:
        await backend.ensure(wanted())
    backend.close()

    assert caught.value.reason == "CatalogUnavailable"
    assert caught.value.message.startswith("the Iceberg catalog cannot be reached: ")
    assert "\n" not in caught.value.message


async def test_a_catalog_that_hangs_is_a_sentence(rest):
    def hanging():
        time.sleep(0.3)
        return rest

    backend = IcebergCatalog(hanging, timeout=0.05)

    with pytest.raises(NotReady, match=r"did not answer within 0.05 s"):
        await backend.state(ID)
    backend.close()


async def test_a_catalog_that_comes_back_is_connected_to_again(rest):
    attempts = []

    def flaky():
        attempts.append(1)
        if len(attempts) == 1:
            raise ConnectionError("refused")
        return rest

    backend = IcebergCatalog(flaky)
    with pytest.raises(NotReady):
        await backend.ensure(wanted())

    assert (await backend.ensure(wanted())).error == ""
    backend.close()
