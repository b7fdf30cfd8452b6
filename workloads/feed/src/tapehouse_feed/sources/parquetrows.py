"""Rows of Parquet files."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet
from tapehouse_tape.events import Invalid, Reason

from tapehouse_feed.sources.row import Row


def parquet_rows(stream: BinaryIO) -> Iterator[Row]:
    """Every row, nanoseconds cut to microseconds.

    Raises `ValueError` when the file as a whole cannot be read.
    """
    try:
        file = pyarrow.parquet.ParquetFile(stream)
        names = Counter(file.schema_arrow.names)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ValueError(f"two columns are named {twice[0]!r}; give each a name of its own")
        for batch in file.iter_batches(batch_size=1_000):
            yield from _batch(batch)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"not a Parquet file: {error}") from None


def _batch(batch: pa.RecordBatch) -> Iterator[Row]:
    columns = [_cut(column) for column in batch.columns]
    batch = pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
    try:
        found = batch.to_pylist()
    except Exception:
        # One value that Python cannot hold, such as a year beyond 9999, refuses its row alone.
        for index in range(batch.num_rows):
            yield _single(batch.slice(index, 1))
        return
    yield from map(_row, found)


def _cut(column: pa.Array) -> pa.Array:
    type_ = column.type
    if pa.types.is_timestamp(type_) and type_.unit == "ns":
        return column.cast(pa.timestamp("us", type_.tz), safe=False)
    if pa.types.is_time64(type_) and type_.unit == "ns":
        return column.cast(pa.time64("us"), safe=False)
    return column


def _single(batch: pa.RecordBatch) -> Row:
    try:
        return _row(batch.to_pylist()[0])
    except Exception as error:
        detail = f"a value cannot be read: {error}"
        return Row(str(batch.columns).encode()[:4096], refusal=Invalid(Reason.WRONG_TYPE, detail))


def _row(members: Mapping[str, Any]) -> Row:
    # JSON has no number for NaN and infinities: as texts they are refused, not taken for null.
    members = {name: _finite_or_text(value) for name, value in members.items()}
    try:
        return Row(msgspec.json.encode(members, enc_hook=str), members)
    except (ValueError, TypeError, RecursionError) as error:
        detail = f"a value cannot be written as JSON: {error}"
        return Row(repr(members).encode()[:4096], refusal=Invalid(Reason.WRONG_TYPE, detail))


def _finite_or_text(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
