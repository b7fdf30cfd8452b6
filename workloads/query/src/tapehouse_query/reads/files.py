"""Data files of a snapshot, with bounds by which queries skip them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyiceberg.conversions import from_bytes
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, ManifestContent, ManifestFile
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform
from pyiceberg.types import IntegerType, LongType, PrimitiveType
from tapehouse_lake.storage import readable_path

from tapehouse_query.errors import UnavailableError


@dataclass(frozen=True, slots=True)
class File:
    """One Parquet file."""

    path: str
    rows: int
    lower: Mapping[str, Any]
    """Inclusive lower bounds by column; times in microseconds. A column without is not bounded."""
    upper: Mapping[str, Any]
    buckets: Mapping[str, tuple[BucketTransform[Any], int]]
    """By column: the partition's bucket transform and the bucket all rows are in."""


def read_manifest(
    manifest: ManifestFile,
    io: FileIO,
    schema: Schema,
    specs: Mapping[int, PartitionSpec],
    columns: tuple[str, ...],
) -> tuple[File, ...]:
    """The live data files in a manifest, with bounds of these columns.

    Raises:
        UnavailableError: the manifest lists delete files, so the table is not append-only.
    """
    if manifest.content is ManifestContent.DELETES:
        raise UnavailableError("the table has row-level deletes; compact it first")
    ids = {
        field.field_id: (field.name, field.field_type)
        for field in schema.fields
        if field.name in columns and isinstance(field.field_type, PrimitiveType)
    }
    spec = specs[manifest.partition_spec_id]
    return tuple(
        _file(entry.data_file, ids, spec)
        for entry in manifest.fetch_manifest_entry(io, discard_deleted=True)
    )


def _file(
    data: DataFile, ids: Mapping[int, tuple[str, PrimitiveType]], spec: PartitionSpec
) -> File:
    return File(
        path=readable_path(data.file_path),
        rows=data.record_count,
        lower=_bounds(data.lower_bounds, ids),
        upper=_bounds(data.upper_bounds, ids),
        buckets=dict(_buckets(data, ids, spec)),
    )


def _bounds(
    bounds: Mapping[int, bytes] | None, ids: Mapping[int, tuple[str, PrimitiveType]]
) -> dict[str, Any]:
    return {
        name: from_bytes(_stored_type(kind, bounds[field_id]), bounds[field_id])
        for field_id, (name, kind) in ids.items()
        if bounds and bounds.get(field_id)
    }


def _stored_type(kind: PrimitiveType, value: bytes) -> PrimitiveType:
    """A column widened from int to long keeps 4-byte bounds in older files."""
    return IntegerType() if isinstance(kind, LongType) and len(value) == 4 else kind


def _buckets(
    data: DataFile, ids: Mapping[int, tuple[str, PrimitiveType]], spec: PartitionSpec
) -> Iterator[tuple[str, tuple[BucketTransform[Any], int]]]:
    for position, field in enumerate(spec.fields):
        value = data.partition[position]
        transform = field.transform
        if isinstance(transform, BucketTransform) and value is not None and field.source_id in ids:
            yield ids[field.source_id][0], (transform, value)
