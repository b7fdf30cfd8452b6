"""Files in an object store: DuckDB reads them through the catalog's own way of reaching it."""

import threading
from collections.abc import Iterable, Mapping

import duckdb
from pyiceberg.io.fsspec import FsspecFileIO

from tapehouse_query.reads.files import File

_lock = threading.Lock()


def mount(
    cursor: duckdb.DuckDBPyConnection, files: Iterable[File], properties: Mapping[str, str]
) -> None:
    """Let a database open these files; `properties` are those of the catalog's file access."""
    schemes = {file.path.partition(":")[0] for file in files if not file.path.startswith("/")}
    for scheme in schemes:
        with _lock:
            if not cursor.filesystem_is_registered(scheme):
                cursor.register_filesystem(FsspecFileIO(dict(properties)).get_fs(scheme))
