"""Lists the files a table references and those in its directories."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from pyarrow.fs import FileSelector
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

_READERS = 4


def reachable(table: Table, snapshots: Iterable[Snapshot]) -> set[str]:
    """Every file these snapshots reference: manifest lists, manifests, data and delete files."""
    lists = {s.manifest_list for s in snapshots if s.manifest_list}
    manifests: dict[str, ManifestFile] = {}
    for snapshot in snapshots:
        manifests |= {m.manifest_path: m for m in snapshot.manifests(table.io)}
    with ThreadPoolExecutor(_READERS) as pool:
        named = pool.map(lambda m: list(_files(table, m)), manifests.values())
        return lists | set(manifests) | {path for paths in named for path in paths}


def metadata(table: Table) -> set[str]:
    """The metadata files the table references, and its statistics."""
    known = {entry.metadata_file for entry in table.metadata.metadata_log}
    statistics = {s.statistics_path for s in table.metadata.statistics}
    partitioned = {s.statistics_path for s in table.metadata.partition_statistics}
    return {table.metadata_location} | known | statistics | partitioned


def present(table: Table) -> dict[str, int]:
    """Modification times (ms since 1970) of files below the table's location, by `normal` path."""
    scheme, authority, path = PyArrowFileIO.parse_location(
        table.location(), properties=table.io.properties
    )
    system = PyArrowFileIO(table.io.properties).fs_by_scheme(scheme, authority)
    selector = FileSelector(path, recursive=True, allow_not_found=True)
    return {
        found.path: found.mtime_ns // 1_000_000
        for found in system.get_file_info(selector)
        if found.is_file and found.mtime_ns is not None
    }


def normal(table: Table, path: str) -> str:
    """A path without scheme, so that `file:/a`, `file:///a` and `/a` are one."""
    return PyArrowFileIO.parse_location(path, properties=table.io.properties)[2]


def remove(table: Table, paths: Iterable[str]) -> int:
    """Remove files; returns how many existed."""
    count = 0
    for path in paths:
        try:
            table.io.delete(path)
            count += 1
        except FileNotFoundError:
            continue
    return count


def _files(table: Table, manifest: ManifestFile) -> Iterator[str]:
    for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
        yield entry.data_file.file_path
