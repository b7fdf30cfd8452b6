"""Iceberg tables in a REST catalog: created, evolved in place, never more commits than needed."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import TypeVar

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import (
    BadRequestError,
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchTableError,
    RESTError,
    TableAlreadyExistsError,
    ValidationError,
)
from pyiceberg.table import Table as LiveTable
from requests.exceptions import ConnectionError as Unreachable
from requests.exceptions import RequestException

from tapehouse_operator.api.base import Reason
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
from tapehouse_operator.errors import NotReady

T = TypeVar("T")

ATTEMPTS = 5
"""Tries against writers that commit at the same time."""
TIMEOUT = 30.0
"""Seconds after which a call counts as failed; its thread ends when the socket does."""
THREADS = 4


class IcebergCatalog:
    """One catalog. Calls run in threads, since PyIceberg blocks; silence becomes `NotReady`."""

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
        """Make the table as wanted; the answer's `error` says why where that cannot be.

        Raises:
            NotReady: the catalog does not answer, or too many others commit.
        """
        return await self._run(lambda: self._ensure(table))

    async def state(self, identifier: str) -> TableState:
        """The table as it is.

        Raises:
            NotReady: the catalog does not answer.
        """
        return await self._run(lambda: self._state(identifier))

    async def drop(self, identifier: str, owner: str) -> None:
        """Drop the table and its files if it is `owner`'s; a missing one is fine.

        Raises:
            NotReady: the catalog does not answer.
        """
        await self._run(lambda: self._drop(identifier, owner))

    def close(self) -> None:
        """Let the threads go; calls under way are abandoned."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, call: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                return await loop.run_in_executor(self._threads, call)
        except TimeoutError as error:
            raise _unavailable(f"did not answer within {self._timeout:g} s") from error
        except (Unreachable, OSError) as error:
            self._catalog = None
            raise _unavailable(f"cannot be reached: {_sentence(error)}") from error
        except (RESTError, RequestException, CommitFailedException, NoSuchTableError) as error:
            raise _unavailable(f"refused: {_sentence(error)}") from error

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
            except (ValueError, ValidationError, BadRequestError) as error:
                live = self._find(table.identifier)
                if live is not None:
                    return observed(table.identifier, live, _sentence(error))
                return TableState(table.identifier, exists=False, error=_sentence(error))
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
        evolve(live, table)
        return observed(table.identifier, live)

    def _drop(self, identifier: str, owner: str) -> None:
        live = self._find(identifier)
        if live is not None and live.properties.get(OWNER_PROPERTY) == owner:
            self._connected().purge_table(identifier)


def rest_catalog(uri: str, timeout: float = TIMEOUT) -> IcebergCatalog:
    """The REST catalog at `uri`; `timeout` is in seconds, of one call."""
    return IcebergCatalog(lambda: load_catalog("tapehouse", type="rest", uri=uri), timeout)


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


def _unavailable(what: str) -> NotReady:
    return NotReady(Reason.CATALOG_UNAVAILABLE, f"the Iceberg catalog {what}")


def _sentence(error: BaseException) -> str:
    """The first line of an error, without the stack and class names of libraries."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
