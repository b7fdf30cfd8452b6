"""The published snapshots of the catalog's tables, cached."""

import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
from pyiceberg.schema import Schema
from pyiceberg.table import Table as IcebergTable

from tapehouse_query import tables
from tapehouse_query.errors import UnavailableError
from tapehouse_query.reads.files import File, read_manifest
from tapehouse_query.reads.read_tracking import record_read

log = logging.getLogger(__name__)

_BRANCH = "main"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One table at the head of `main`."""

    table: tables.Table
    id: int
    """The snapshot's id; 0 when nothing has been published yet."""
    schema: Schema
    files: tuple[File, ...]
    summary: Mapping[str, str]

    @property
    def key(self) -> tuple[str, int, int]:
        """Two reads with equal keys see the same rows and columns."""
        return self.table.identifier, self.id, self.schema.schema_id


@dataclass(slots=True)
class _Entry:
    """The cache of one table; its lock makes concurrent readers share one catalog request."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    checked: float = float("-inf")
    snapshot: Snapshot | None = None
    manifests: dict[str, tuple[File, ...]] = field(default_factory=dict)


class Lake:
    """Tables by identifier. Thread-safe; a table is looked up at most every `max_age` seconds.

    `prefix` goes before every identifier.
    """

    def __init__(
        self, connect: Callable[[], Catalog], prefix: str = "", max_age: float = 0.5
    ) -> None:
        self._connect = connect
        self._catalog: Catalog | None = None
        self._prefix = prefix
        self._max_age = max_age
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()
        self.storage: Mapping[str, str] = {}
        """PyIceberg's file IO properties from the catalog."""

    def find(self, table: tables.Table) -> Snapshot | None:
        """The table's newest published snapshot; None if the catalog has no such table.

        Raises:
            UnavailableError: the catalog does not answer, or the table lacks a required column.
        """
        with self._lock:
            entry = self._entries.setdefault(table.identifier, _Entry())
        with entry.lock:
            if time.monotonic() - entry.checked >= self._max_age:
                self._refresh(table, entry)
                entry.checked = time.monotonic()
            record_read(table.identifier, entry.snapshot.key if entry.snapshot else None)
            return entry.snapshot

    def shows(self, identifier: str, seen: Hashable) -> bool:
        """Whether the table is known to be unchanged, without a catalog request."""
        entry = self._entries.get(identifier)
        if entry is None or time.monotonic() - entry.checked >= self._max_age:
            return False
        return (entry.snapshot.key if entry.snapshot else None) == seen

    def first(self, *candidates: tables.Table) -> Snapshot:
        """The first of these tables that has been published, else the first that exists.

        Raises:
            UnavailableError: none does, or as `find`.
        """
        found = [snapshot for table in candidates if (snapshot := self.find(table))]
        for snapshot in (*(one for one in found if one.id), *found):
            return snapshot
        names = " or ".join(self._prefix + table.identifier for table in candidates)
        raise UnavailableError(f"the catalog has no table {names} yet")

    def expire(self) -> None:
        """Reload every table on its next use."""
        with self._lock:
            entries = list(self._entries.values())
        for entry in entries:
            entry.checked = float("-inf")

    def ping(self) -> None:
        """Ask the catalog anything.

        Raises:
            Exception: whatever its client raises when it does not answer.
        """
        self._connected().list_namespaces()

    def _connected(self) -> Catalog:
        """Connect on first use, since the catalog may start later than this process."""
        if self._catalog is None:
            self._catalog = self._connect()
        return self._catalog

    def _refresh(self, table: tables.Table, entry: _Entry) -> None:
        try:
            iceberg = self._connected().load_table(self._prefix + table.identifier)
        except (NoSuchTableError, NoSuchNamespaceError):
            entry.snapshot, entry.manifests = None, {}
            return
        except Exception as error:
            log.warning("the catalog does not answer for %s: %s", table.identifier, error)
            raise UnavailableError(f"the catalog does not answer for {table.identifier}") from error
        self.storage = iceberg.io.properties
        current = iceberg.snapshot_by_name(_BRANCH)
        if entry.snapshot and (current.snapshot_id if current else 0) == entry.snapshot.id:
            if iceberg.schema() == entry.snapshot.schema:
                return
            entry.manifests = {}
        entry.snapshot = _read(table, iceberg, entry)


def _read(table: tables.Table, iceberg: IcebergTable, entry: _Entry) -> Snapshot:
    schema = iceberg.schema()
    missing = [name for name in table.required if name not in schema.column_names]
    if missing:
        raise UnavailableError(f"table {table.identifier} has no column {', '.join(missing)}")
    current = iceberg.snapshot_by_name(_BRANCH)
    if current is None:
        return Snapshot(table, 0, schema, (), {})
    specs = iceberg.specs()
    entry.manifests = {
        manifest.manifest_path: entry.manifests.get(manifest.manifest_path)
        or read_manifest(manifest, iceberg.io, schema, specs, table.prune)
        for manifest in current.manifests(iceberg.io)
    }
    files = tuple(file for files in entry.manifests.values() for file in files)
    summary = current.summary.additional_properties if current.summary else {}
    return Snapshot(table, current.snapshot_id, schema, files, summary)
