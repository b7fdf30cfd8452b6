"""Paths that DuckDB can open: its own for local files, fsspec's file systems for object stores."""

import threading
from collections.abc import Iterable, Mapping

import duckdb
from pyiceberg.io.fsspec import FsspecFileIO

_lock = threading.Lock()


def readable_path(location: str) -> str:
    """A file's location as DuckDB reads it: without the scheme `file:`."""
    scheme, separator, rest = location.partition(":")
    return "/" + rest.lstrip("/") if separator and scheme == "file" else location


def mount(
    connection: duckdb.DuckDBPyConnection, paths: Iterable[str], properties: Mapping[str, str]
) -> None:
    """Register the file systems of these paths; `properties` are those of the catalog's file IO."""
    schemes = {path.partition(":")[0] for path in paths if not path.startswith("/")}
    for scheme in schemes:
        with _lock:
            if not connection.filesystem_is_registered(scheme):
                connection.register_filesystem(FsspecFileIO(dict(properties)).get_fs(scheme))
