"""An Iceberg catalog in memory over real files, and seeded trades to fill it with."""

import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.io import load_file_io
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    schema_to_pyarrow,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.serializers import FromInputFile, ToOutputFile
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.metadata import TableMetadata, new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import update_table_metadata
from pyiceberg.transforms import BucketTransform, DayTransform
from pyiceberg.typedef import Record
from pyiceberg.types import (
    BooleanType,
    DoubleType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)
from pyiceberg.utils.datetime import datetime_to_micros

DAY = datetime(2024, 3, 1, 14, 30, tzinfo=UTC)


class MemoryCatalog(NoopCatalog):
    """Where each table's metadata file is; everything else is on disk."""

    def __init__(self, root: Path) -> None:
        super().__init__("tapehouse", warehouse=f"file://{root}")
        self.root = root
        self.locations: dict[str, str] = {}
        self.loads = 0

    def list_namespaces(self, namespace: Any = ()) -> list[Any]:
        return []

    def load_table(self, identifier: Any) -> Table:
        name = ".".join(Catalog.identifier_to_tuple(identifier))
        self.loads += 1
        if name not in self.locations:
            raise NoSuchTableError(name)
        location = self.locations[name]
        io = load_file_io({}, location)
        metadata = FromInputFile.table_metadata(io.new_input(location))
        return Table(tuple(name.split(".")), metadata, location, io, self)

    def create_table(self, identifier: Any, schema: Any, *_: Any, **options: Any) -> Table:
        metadata = new_table_metadata(
            location=f"file://{self.root}/{identifier}",
            schema=schema,
            partition_spec=options.get("partition_spec", UNPARTITIONED_PARTITION_SPEC),
            sort_order=UNSORTED_SORT_ORDER,
            properties={},
        )
        self._keep(identifier, metadata)
        return self.load_table(identifier)

    def commit_table(self, table: Table, requirements: Any, updates: Any) -> CommitTableResponse:
        name = ".".join(table.name())
        base = self.load_table(name).metadata
        for requirement in requirements:
            requirement.validate(base)
        metadata = update_table_metadata(base, updates)
        self._keep(name, metadata)
        return CommitTableResponse(metadata=metadata, metadata_location=self.locations[name])

    def _keep(self, name: str, metadata: TableMetadata) -> None:
        location = f"{metadata.location}/metadata/{uuid.uuid4()}.metadata.json"
        io = load_file_io({}, location)
        ToOutputFile.table_metadata(metadata, io.new_output(location))
        self.locations[name] = location


BRONZE_TRADES = Schema(
    NestedField(1, "event_id", StringType()),
    NestedField(2, "timestamp", TimestamptzType()),
    NestedField(3, "trade_id", StringType()),
    NestedField(4, "symbol", StringType()),
    NestedField(5, "price", DoubleType()),
    NestedField(6, "quantity", LongType()),
    NestedField(7, "buy_order_id", StringType()),
    NestedField(8, "sell_order_id", StringType()),
    NestedField(9, "buyer_agent_id", StringType()),
    NestedField(10, "seller_agent_id", StringType()),
    NestedField(11, "is_aggressive_buy", BooleanType()),
    NestedField(12, "kafka_topic", StringType()),
    NestedField(13, "kafka_partition", IntegerType()),
    NestedField(14, "kafka_offset", LongType()),
    NestedField(15, "ingested_at", TimestamptzType()),
    NestedField(16, "trace_id", StringType()),
)
DAILY = PartitionSpec(PartitionField(2, 1000, DayTransform(), "timestamp_day"))
BUCKETED = PartitionSpec(
    PartitionField(2, 1000, DayTransform(), "timestamp_day"),
    PartitionField(4, 1001, BucketTransform(16), "symbol_bucket"),
)


def trades(
    count: int, seed: int = 1, start: datetime = DAY, step: float = 0.5, begin: int = 0
) -> list[dict[str, Any]]:
    """Seeded trades, `step` seconds apart on average; some share a timestamp."""
    rng = random.Random(seed)
    rows = []
    at = start
    for offset in range(begin, begin + count):
        if rng.random() > 0.2:
            at += timedelta(microseconds=int(step * 2e6 * rng.random()))
        rows.append(
            {
                "event_id": f"e{seed}-{offset}",
                "timestamp": at,
                "trade_id": f"{rng.getrandbits(64):016x}-{offset}",
                "symbol": rng.choice(["AAPL", "GOOG", "MSFT"]),
                "price": round(rng.uniform(90, 110), 2),
                "quantity": rng.choice([1, 10, 100, 1_000_000_000]),
                "buy_order_id": f"b{offset}",
                "sell_order_id": None,
                "buyer_agent_id": f"agent-{rng.randrange(5)}",
                "seller_agent_id": f"agent-{rng.randrange(5)}",
                "is_aggressive_buy": rng.random() < 0.5,
                "kafka_topic": "raw.trades",
                "kafka_partition": 0,
                "kafka_offset": offset,
                "ingested_at": at + timedelta(milliseconds=3),
                "trace_id": None,
            }
        )
    return rows


def append(table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """One commit with these rows, a Parquet file per partition."""
    table.refresh()
    spec, schema = table.spec(), table.schema()
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(_partition(row, spec, schema), []).append(row)
    files = [_write(table, Record(*values), group) for values, group in groups.items()]
    with table.transaction() as change, change.update_snapshot().fast_append() as commit:
        for file in files:
            commit.append_data_file(file)


def _partition(row: dict[str, Any], spec: PartitionSpec, schema: Schema) -> tuple[Any, ...]:
    def value(part: PartitionField) -> Any:
        source = schema.find_field(part.source_id)
        given = row[source.name]
        internal = datetime_to_micros(given) if isinstance(given, datetime) else given
        return part.transform.transform(source.field_type)(internal)

    return tuple(value(part) for part in spec.fields)


def _write(table: Table, partition: Record, rows: list[dict[str, Any]]) -> DataFile:
    path = Path(table.location().removeprefix("file://")) / "data" / f"{uuid.uuid4()}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema_to_pyarrow(table.schema())), path)
    return data_file(table, path, partition)


def data_file(table: Table, path: Path, partition: Record) -> DataFile:
    """A Parquet file as a manifest lists it, with the statistics of its footer."""
    schema = table.schema()
    statistics = data_file_statistics_from_parquet_metadata(
        parquet_metadata=pq.read_metadata(path),
        stats_columns=compute_statistics_plan(schema, table.properties),
        parquet_column_mapping=parquet_path_to_id_mapping(schema),
    )
    file = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=f"file://{path}",
        file_format=FileFormat.PARQUET,
        partition=partition,
        file_size_in_bytes=path.stat().st_size,
        sort_order_id=None,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )
    file.spec_id = table.spec().spec_id
    return file
