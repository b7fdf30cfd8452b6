"""Keeps null lists null: PyIceberg 0.12 reads and writes a null `list<struct<…>>` as an empty one.

Its projection rebuilds such a list from offsets and values and forgets which were null (and the
same of maps). Compaction must not change data, so the projection is mended for this process.
"""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.io.pyarrow import ArrowProjectionVisitor

Project = Callable[..., pa.Array | None]


def mend() -> None:
    """Mend the projection of lists and maps, once."""
    for name in ("list", "map"):
        project: Project = getattr(ArrowProjectionVisitor, name)
        if not hasattr(project, "mended"):
            setattr(ArrowProjectionVisitor, name, _keeping_nulls(project))


def _keeping_nulls(project: Project) -> Project:
    def mended(self: ArrowProjectionVisitor, kind: Any, array: Any, *parts: Any) -> Any:
        found = project(self, kind, array, *parts)
        if found is None or found.null_count == array.null_count:
            return found
        return pc.if_else(pc.is_valid(array), found, pa.scalar(None, type=found.type))

    mended.mended = True  # type: ignore[attr-defined]
    return mended
