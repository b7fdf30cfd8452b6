"""Keeps null lists null: PyIceberg 0.12 reads and writes a null `list<struct<…>>` as an empty one.

Its projection rebuilds such a list from offsets and values and loses which were null (the same for
maps). Compaction must not change data, so the projection is patched in this process.
"""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.io.pyarrow import ArrowProjectionVisitor

Project = Callable[..., pa.Array | None]


def patch_projection() -> None:
    """Patch the projection of lists and maps, once."""
    for name in ("list", "map"):
        project: Project = getattr(ArrowProjectionVisitor, name)
        if not hasattr(project, "keeps_nulls"):
            setattr(ArrowProjectionVisitor, name, _keeping_nulls(project))


def _keeping_nulls(project: Project) -> Project:
    def patched(self: ArrowProjectionVisitor, kind: Any, array: Any, *parts: Any) -> Any:
        projected = project(self, kind, array, *parts)
        if projected is None or projected.null_count == array.null_count:
            return projected
        return pc.if_else(pc.is_valid(array), projected, pa.scalar(None, type=projected.type))

    patched.keeps_nulls = True  # type: ignore[attr-defined]
    return patched
