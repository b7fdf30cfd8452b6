"""Files that are not on this machine."""

from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from pyiceberg.io import fsspec
from pyiceberg.manifest import DataFile
from tapehouse_query.reads import files

from tests.query.catalog import MemoryCatalog
from tests.query.conftest import Ask
from tests.query.test_trades import newest_first, walk


class Store(LocalFileSystem):
    """An object store: `s3://bucket/x` is a file x of a folder; remembers how it was reached."""

    protocol = "s3"
    folder = Path()
    properties: Any = None

    @classmethod
    def _strip_protocol(cls, path: Any) -> str:
        text = str(path).removeprefix("s3:").lstrip("/")
        inside = text.startswith("bucket/")
        return str(cls.folder / text.removeprefix("bucket/")) if inside else f"/{text}"


async def test_files_of_an_object_store(
    ask: Ask, filled: list[dict[str, Any]], catalog: MemoryCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reach(properties: Any) -> Store:
        Store.properties = properties
        return Store(skip_instance_cache=True)

    path = DataFile.file_path
    local = f"file://{catalog.root}/"
    monkeypatch.setattr(Store, "folder", catalog.root)
    monkeypatch.setitem(fsspec.SCHEME_TO_FS, "s3", reach)
    monkeypatch.setattr(
        files.DataFile,
        "file_path",
        property(lambda file: path.fget(file).replace(local, "s3://bucket/")),
    )
    assert await walk(ask, 100) == newest_first(filled)
    total = "{ trades(first: 1) { totalCount } }"
    assert (await ask(total))["trades"]["totalCount"] == len(filled)
    assert Store.properties == catalog.load_table("bronze.trades").io.properties
