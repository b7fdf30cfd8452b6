"""LakehouseTable: columns, keys, layout, history, maintenance, who fills it, who may read it."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from tapehouse_contracts.types import parse_type, widens

from tapehouse_operator.api.base import (
    Acknowledgement,
    Change,
    ConditionType,
    Model,
    Names,
    PrinterColumn,
    Reason,
    Resource,
    Rule,
    Spec,
    Status,
    Strategy,
    Transition,
)
from tapehouse_operator.api.producers import Rows, Stream, Transform
from tapehouse_operator.api.tableparts import (
    Classification,
    Consumer,
    Evolution,
    Maintenance,
    Owner,
    Publish,
    Scd,
    Serve,
    Sla,
)
from tapehouse_operator.api.types import Boolean, Identifier, Period, TableName, Text, TypeText

PRODUCERS = ("stream", "transform", "rows")
TRANSFORM = (
    r"^([A-Za-z_][A-Za-z0-9_.]*|(year|month|day|hour)\([A-Za-z_][A-Za-z0-9_.]*\)"
    r"|(bucket|truncate)\([0-9]+, ?[A-Za-z_][A-Za-z0-9_.]*\))"
)
PartitionField = Annotated[str, Field(pattern=TRANSFORM + "$", max_length=128)]
SortField = Annotated[
    str, Field(pattern=TRANSFORM + r"( (asc|desc))?( nulls (first|last))?$", max_length=160)
]


class TableColumn(Model):
    """One column."""

    keyed_by: ClassVar[tuple[str, ...]] = ("name",)
    transitions = (
        Transition(
            "self.type == oldSelf.type || (oldSelf.type == 'int' && self.type == 'long') || "
            "(oldSelf.type == 'float' && self.type == 'double') || "
            "(oldSelf.type.startsWith('decimal(') && self.type.startsWith('decimal(')) || "
            "(oldSelf.type.contains('<') && self.type.contains('<'))",
            "types only widen: int to long, float to double, decimal to a larger precision, a "
            "struct to more fields; declare a new column instead",
            lambda old, new: widens(parse_type(old.type), parse_type(new.type)),
            field="type",
            reason=Reason.INCOMPATIBLE_CHANGE,
        ),
        Transition(
            "!self.required || oldSelf.required",
            "an optional column cannot become required, since old rows may lack it",
            lambda old, new: old.required or not new.required,
            field="required",
            reason=Reason.INCOMPATIBLE_CHANGE,
        ),
    )

    name: Identifier
    """The column's name. Example: `price`."""
    type: TypeText
    """Its type in Iceberg's grammar; it may only widen. Example: `decimal(18,4)`,
    `list<struct<price: double, quantity: long>>`."""
    required: Boolean = False
    """Whether it is never null. Default: false."""
    doc: Text = ""
    """What it means, with its unit."""
    previous_name: Identifier | None = None
    """What it was called: renames in place, data kept. May stay or go afterwards."""
    classification: Classification | None = None
    """How sensitive it is: `public`, `internal`, `confidential`, `pii`. Default: internal."""


def _kept(old: "LakehouseTableSpec", new: "LakehouseTableSpec") -> bool:
    there = {c.name for c in new.columns} | {c.previous_name for c in new.columns}
    return new.evolution == Evolution.DESTRUCTIVE or {c.name for c in old.columns} <= there


class LakehouseTableSpec(Spec):
    """Its identifier, its columns and layout, its one producer, its upkeep and its readers."""

    invariants = (
        Rule(
            "[has(self.stream), has(self.transform), has(self.rows)].filter(set, set).size() == 1",
            "exactly one of stream, transform, rows must be set: a table has one producer",
            lambda s: sum(getattr(s, name) is not None for name in PRODUCERS) == 1,
        ),
        Rule(
            "!has(self.key) || self.key.all(k, self.columns.exists(c, c.name == k))",
            "every key column must be one of spec.columns",
            lambda s: set(s.key) <= {c.name for c in s.columns},
            field="key",
            reason=Reason.UNKNOWN_COLUMN,
        ),
        Rule(
            "self.evolution != 'Destructive' || "
            "(has(self.acknowledge) && 'DataLoss' in self.acknowledge)",
            "evolution Destructive may lose data; put DataLoss into spec.acknowledge",
            lambda s: (
                s.evolution != Evolution.DESTRUCTIVE or Acknowledgement.DATA_LOSS in s.acknowledge
            ),
            field="evolution",
            reason=Reason.ACKNOWLEDGEMENT_REQUIRED,
        ),
    )
    transitions = (
        Transition(
            "self.identifier == oldSelf.identifier",
            "identifier is immutable; declare a new table and move its readers instead",
            lambda old, new: old.identifier == new.identifier,
            field="identifier",
        ),
        Transition(
            "self.evolution == 'Destructive' || oldSelf.columns.all(o, self.columns.exists(n, "
            "n.name == o.name || (has(n.previousName) && n.previousName == o.name)))",
            "a column may not vanish; rename it by previousName, or agree by evolution Destructive",
            _kept,
            field="columns",
            reason=Reason.DESTRUCTIVE_CHANGE,
        ),
    )

    suspend: Annotated[Boolean, Change.NONE] = False
    """Stop its transform, loads of its rows and its upkeep; they go on where they stopped. What a
    job writes is still published: that stops by `suspend` of its StreamJob. Default: false."""
    identifier: Annotated[TableName, Change.REVISION]
    """`namespace.table` in the catalog; immutable. Example: `bronze.trades`."""
    columns: Annotated[
        tuple[TableColumn, ...], Change.IN_PLACE, Field(min_length=1, max_length=256)
    ]
    """The columns, in order. Adding, renaming by `previousName` and widening keep all data."""
    key: Annotated[tuple[Identifier, ...], Change.REVISION, Field(max_length=16)] = ()
    """Columns that identify a row. Default: none. Example: [trade_id]."""
    partition: Annotated[tuple[PartitionField, ...], Change.IN_PLACE, Field(max_length=8)] = ()
    """How files are divided: a column, or year, month, day, hour (column), or bucket, truncate
    (n, column). Default: not at all. Example: ["day(timestamp)", "bucket(16, symbol)"]."""
    sort: Annotated[tuple[SortField, ...], Change.IN_PLACE, Field(max_length=8)] = ()
    """How rows are ordered within files. Default: as they come.
    Example: ["symbol", "timestamp desc"]."""
    scd: Annotated[Scd | None, Change.REVISION] = None
    """Keeps the history of a dimension's attributes. Default: none."""
    stream: Annotated[Stream | None, Change.IN_PLACE] = None
    """Filled by a StreamJob."""
    transform: Annotated[Transform | None, Change.REVISION] = None
    """Filled by SQL over other tables."""
    rows: Annotated[Rows | None, Change.IN_PLACE] = None
    """Filled with reference data."""
    owner: Annotated[Owner | None, Change.IN_PLACE] = None
    """Who answers for it."""
    sla: Annotated[Sla | None, Change.IN_PLACE] = None
    """What readers may rely on."""
    consumers: Annotated[tuple[Consumer, ...], Change.IN_PLACE, Field(max_length=64)] = ()
    """Readers outside Tapehouse. A column that one of them depends on is neither dropped nor
    renamed, and `tapehouse graph` shows them. Jobs, transforms, suites and dashboards that read the
    table are known without. Default: none."""
    publish: Annotated[Publish, Change.IN_PLACE] = Publish()
    """When readers see new data."""
    maintenance: Annotated[Maintenance, Change.IN_PLACE] = Maintenance()
    """How files are kept few and old ones removed."""
    retention: Annotated[Period | None, Change.IN_PLACE] = None
    """Rows older than that, by the first time partition, are removed. Default: kept for ever.
    Example: 400d."""
    serve: Annotated[Serve, Change.IN_PLACE] = Serve()
    """How it is served, to whom, and which of it."""
    evolution: Annotated[Evolution, Change.NONE] = Evolution.SAFE
    """Which changes of the table are made: `Safe` adds, renames and widens columns, and divides and
    sorts new files otherwise; `Reviewed` makes none: `tapehouse plan` and the status tell what
    would change, and applying the same with `Safe` lets it happen; `Destructive` also drops.
    Default: Safe."""
    strategy: Annotated[Strategy, Change.NONE] = Strategy()
    """How a new revision of a transform replaces the old one."""


class LakehouseTableStatus(Status):
    """What the operator saw of a table."""

    table: Annotated[str, Field(max_length=256)] = ""
    """The table's identifier in the catalog, with the environment's prefix."""
    producer: Annotated[str, Field(max_length=128)] = ""
    """Who fills it. Example: `stream/land`."""
    table_uuid: Annotated[str, Field(max_length=64)] = Field("", alias="tableUUID")
    """Iceberg's identity of the table."""
    schema_id: int | None = None
    """Iceberg's number of the current schema."""
    published_revision: Annotated[str, Field(max_length=253)] = ""
    """The revision of the producer that readers of `main` see."""


class LakehouseTable(Resource):
    """An Iceberg table: its columns, its producer, its upkeep, its readers."""

    names = Names("lakehousetables", "lt")
    columns = (
        PrinterColumn("TABLE", ".spec.identifier", description="Identifier in the catalog"),
        PrinterColumn("PRODUCER", ".status.producer", description="Who fills the table"),
    )
    condition_types = (
        ConditionType.SCHEMA_IN_SYNC,
        ConditionType.COMMIT_FRESH,
        ConditionType.MAINTENANCE_HEALTHY,
        ConditionType.PUBLISHED,
    )
    status_model = LakehouseTableStatus

    kind: Literal["LakehouseTable"] = "LakehouseTable"
    spec: LakehouseTableSpec
