"""Iceberg tables in a REST catalog: created, evolved in place, never more commits than needed."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchTableError,
    RESTError,
    TableAlreadyExistsError,
)
from pyiceberg.table import Table as LiveTable
from requests.exceptions import ConnectionError as Unreachable
from requests.exceptions import RequestException

from tapehouse_operator.backends.iceberg_schema import (
    evolve,
    new_schema,
    new_sort_order,
    new_spec,
    observed_columns,
    observed_partition,
    observed_sort,
)
from tapehouse_operator.emit.core import Table, TableState
from tapehouse_operator.emit.iceberg import OWNER_PROPERTY

ATTEMPTS = 5
"""Tries against writers that commit at the same time."""
TIMEOUT = 30.0
"""Seconds after which a call counts as failed; its thread ends when the socket does."""
THREADS = 4


class IcebergCatalog:
    """One catalog. Calls run in threads, since PyIceberg blocks; failures become sentences."""

    def __init__(self, load: Callable[[], Catalog], timeout: float = TIMEOUT) -> None:
        """Connect lazily with `load`, on first use and again after every failed connection.

        Args:
            load: makes the PyIceberg catalog; may block.
            timeout: of one call, in seconds.
        """
        self._load = load
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="catalog")
        self._catalog: Catalog | None = None
        self._creating = Lock()

    async def ensure(self, table: Table) -> TableState:
        """Make the table as wanted; the answer's `error` says why where that cannot be."""
        return await self._run(table.identifier, lambda: self._ensure(table))

    async def state(self, identifier: str) -> TableState:
        """The table as it is; `exists` is False with an `error` when that cannot be known."""
        return await self._run(identifier, lambda: self._state(identifier))

    async def drop(self, identifier: str, owner: str) -> TableState:
        """Drop the table and its files, unless somebody else owns it; a missing one is fine."""
        return await self._run(identifier, lambda: self._drop(identifier, owner))

    def close(self) -> None:
        """Let the threads go; calls under way are abandoned."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, identifier: str, call: Callable[[], TableState]) -> TableState:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                return await loop.run_in_executor(self._threads, call)
        except TimeoutError:
            message = f"the Iceberg catalog did not answer within {self._timeout:g} s"
        except (Unreachable, OSError) as error:
            self._catalog = None
            message = f"the Iceberg catalog cannot be reached: {_sentence(error)}"
        except (RESTError, RequestException, CommitFailedException) as error:
            message = f"the Iceberg catalog refused: {_sentence(error)}"
        except (ValueError, NoSuchTableError) as error:
            message = _sentence(error)
        return TableState(identifier, exists=False, error=message)

    def _connected(self) -> Catalog:
        if self._catalog is None:
            self._catalog = self._load()
        return self._catalog

    def _find(self, identifier: str) -> LiveTable | None:
        try:
            return self._connected().load_table(identifier)
        except NoSuchTableError:
            return None

    def _state(self, identifier: str) -> TableState:
        live = self._find(identifier)
        return TableState(identifier, exists=False) if live is None else observed(identifier, live)

    def _ensure(self, table: Table) -> TableState:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._evolve(table, self._find(table.identifier) or self._create(table))
            except (CommitFailedException, TableAlreadyExistsError):
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _create(self, table: Table) -> LiveTable:
        catalog = self._connected()
        namespace = tuple(table.identifier.split(".")[:-1])
        with self._creating, suppress(NamespaceAlreadyExistsError):
            if not catalog.namespace_exists(namespace):
                catalog.create_namespace(namespace)
        schema = new_schema(table.columns)
        return catalog.create_table(
            table.identifier,
            schema,
            partition_spec=new_spec(schema, table.partition),
            sort_order=new_sort_order(schema, table.sort),
            properties=dict(table.properties),
        )

    def _evolve(self, table: Table, live: LiveTable) -> TableState:
        owner = live.properties.get(OWNER_PROPERTY, table.owner)
        if owner != table.owner:
            return observed(
                table.identifier,
                live,
                f"table {table.identifier} belongs to {owner}; name another identifier",
            )
        try:
            evolve(live, table)
        except ValueError as error:
            return observed(table.identifier, live, _sentence(error))
        return observed(table.identifier, live)

    def _drop(self, identifier: str, owner: str) -> TableState:
        live = self._find(identifier)
        if live is None:
            return TableState(identifier, exists=False)
        holder = live.properties.get(OWNER_PROPERTY, "")
        if holder != owner:
            return observed(identifier, live, f"table {identifier} belongs to {holder or 'nobody'}")
        self._connected().purge_table(identifier)
        return TableState(identifier, exists=False)


def rest_catalog(uri: str) -> IcebergCatalog:
    """The REST catalog at `uri`."""
    return IcebergCatalog(lambda: load_catalog("tapehouse", type="rest", uri=uri))


def observed(identifier: str, live: LiveTable, error: str = "") -> TableState:
    """What the catalog says of a table, in the spelling of `emit.iceberg.table`."""
    schema = live.schema()
    return TableState(
        identifier=identifier,
        exists=True,
        uuid=str(live.metadata.table_uuid),
        schema_id=schema.schema_id,
        columns=observed_columns(schema),
        partition=observed_partition(live.spec(), schema),
        sort=observed_sort(live.sort_order(), schema),
        properties=dict(live.properties),
        error=error,
    )


def _sentence(error: BaseException) -> str:
    """The first line of an error, without the stack and class names of libraries."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
