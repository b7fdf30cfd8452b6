"""Between the operator's columns and PyIceberg's, and the one transaction that evolves a table."""

import itertools
from collections.abc import Iterator, Sequence

from pyiceberg import types as ice
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table as LiveTable
from pyiceberg.table import Transaction
from pyiceberg.table.sorting import (
    UNSORTED_SORT_ORDER,
    UNSORTED_SORT_ORDER_ID,
    NullOrder,
    SortDirection,
    SortField,
    SortOrder,
)
from pyiceberg.table.update import AddSortOrderUpdate, SetDefaultSortOrderUpdate
from pyiceberg.table.update.schema import UpdateSchema
from pyiceberg.transforms import Transform as IceTransform
from pyiceberg.transforms import VoidTransform, parse_transform
from tapehouse_contracts.types import IceType, ListOf, MapOf, Primitive, StructOf, parse_type

from tapehouse_operator.emit.core import Column, Table
from tapehouse_operator.emit.iceberg import (
    SortTerm,
    Transform,
    property_changes,
    sort_term,
    transform,
)

_PRIMITIVES: dict[str, type[ice.PrimitiveType]] = {
    "boolean": ice.BooleanType,
    "int": ice.IntegerType,
    "long": ice.LongType,
    "float": ice.FloatType,
    "double": ice.DoubleType,
    "date": ice.DateType,
    "time": ice.TimeType,
    "timestamp": ice.TimestampType,
    "timestamptz": ice.TimestamptzType,
    "string": ice.StringType,
    "uuid": ice.UUIDType,
    "binary": ice.BinaryType,
}
Path = tuple[str, ...]


def new_schema(columns: Sequence[Column]) -> Schema:
    """The schema of a new table; the catalog assigns the final ids."""
    ids = itertools.count(1)
    return Schema(
        *(
            ice.NestedField(
                field_id=next(ids),
                name=column.name,
                field_type=_iceberg(parse_type(column.type), ids),
                required=column.required,
                doc=column.doc or None,
            )
            for column in columns
        )
    )


def new_spec(schema: Schema, partition: Sequence[str]) -> PartitionSpec:
    """The partition spec of a new table."""
    return PartitionSpec(
        *(
            PartitionField(
                source_id=schema.find_field(term.column).field_id,
                field_id=1000 + place,
                transform=_transform(term),
                name=_partition_name(term),
            )
            for place, term in enumerate(map(transform, partition))
        )
    )


def new_sort_order(schema: Schema, sort: Sequence[str]) -> SortOrder:
    """The sort order of a new table."""
    return SortOrder(
        *(
            SortField(
                source_id=schema.find_field(term.transform.column).field_id,
                transform=_transform(term.transform),
                direction=SortDirection.DESC if term.descending else SortDirection.ASC,
                null_order=_null_order(term),
            )
            for term in map(sort_term, sort)
        )
    )


def observed_columns(schema: Schema) -> tuple[Column, ...]:
    """The columns of a live table."""
    return tuple(
        Column(
            name=field.name,
            type=str(_own(field.field_type)),
            required=field.required,
            doc=field.doc or "",
        )
        for field in schema.fields
    )


def observed_partition(spec: PartitionSpec, schema: Schema) -> tuple[str, ...]:
    """The partition terms of a live table."""
    return tuple(
        str(_own_transform(field.source_id, field.transform, schema))
        for field in spec.fields
        if not isinstance(field.transform, VoidTransform)
    )


def observed_sort(order: SortOrder, schema: Schema) -> tuple[str, ...]:
    """The sort terms of a live table."""
    return tuple(
        str(
            SortTerm(
                _own_transform(field.source_id, field.transform, schema),
                field.direction == SortDirection.DESC,
                field.null_order == NullOrder.NULLS_FIRST,
            )
        )
        for field in order.fields
    )


def evolve(live: LiveTable, wanted: Table) -> bool:
    """Bring `live` to `wanted` in one commit, or in none when it is there already.

    Returns:
        Whether anything was committed.

    Raises:
        ValueError, ValidationError: it cannot be done in place; nothing was committed.
        CommitFailedException: somebody else committed meanwhile.
    """
    before = live.metadata
    with live.transaction() as txn:
        _evolve_schema(txn, wanted)
        _evolve_partition(txn, wanted.partition)
        _evolve_sort(txn, wanted.sort)
        _evolve_properties(txn, wanted)
    return live.metadata is not before


def _evolve_schema(txn: Transaction, wanted: Table) -> None:
    schema = txn.table_metadata.schema()
    update = txn.update_schema()
    live = {field.name: field for field in schema.fields}
    kept = set()
    for column in wanted.columns:
        field = live.get(column.name) or live.get(column.previous_name or "")
        if field is None:
            _add(update, column)
            continue
        kept.add(field.name)
        _change(update, field, column)
    for name in live.keys() - kept:
        if not wanted.allow_drop:
            raise ValueError(
                f"column {name} is in the table but not declared; declare it, "
                "or name it as previousName, or set evolution: Destructive"
            )
        update.delete_column(name)
    update.commit()


def _add(update: UpdateSchema, column: Column) -> None:
    if column.required:
        raise ValueError(
            f"column {column.name} is new and required, but existing rows have no value; "
            "make it optional"
        )
    update.add_column(
        (column.name,),
        _iceberg(parse_type(column.type), itertools.count(1)),
        doc=column.doc or None,
    )


def _change(update: UpdateSchema, field: ice.NestedField, column: Column) -> None:
    _change_type(update, (field.name,), field.field_type, parse_type(column.type))
    if field.required and not column.required:
        update.make_column_optional(field.name)
    elif column.required and not field.required:
        raise ValueError(
            f"column {column.name} is optional in the table and cannot become required"
        )
    if column.doc != (field.doc or ""):
        update.update_column((field.name,), doc=column.doc)
    if field.name != column.name:
        update.rename_column((field.name,), column.name)


def _change_type(update: UpdateSchema, path: Path, live: ice.IcebergType, wanted: IceType) -> None:
    """Widen primitives and add struct fields, at any depth; anything else is refused."""
    match live, wanted:
        case ice.ListType(), ListOf(element):
            _change_type(update, (*path, "element"), live.element_type, element)
        case ice.MapType(), MapOf(key, value) if _own(live.key_type) == key:
            _change_type(update, (*path, "value"), live.value_type, value)
        case ice.StructType(), StructOf(fields):
            parts = {field.name: field for field in live.fields}
            if gone := parts.keys() - dict(fields).keys():
                raise ValueError(f"{'.'.join(path)} would lose {', '.join(sorted(gone))}")
            for name, part in fields:
                if name in parts:
                    _change_type(update, (*path, name), parts[name].field_type, part)
                else:
                    update.add_column((*path, name), _iceberg(part, itertools.count(1)))
        case _ if _own(live) != wanted:
            if isinstance(live, ice.PrimitiveType) and isinstance(wanted, Primitive):
                update.update_column(path, field_type=_iceberg(wanted, itertools.count(1)))
            else:
                raise ValueError(f"{'.'.join(path)} is {_own(live)} and cannot become {wanted}")


def _evolve_partition(txn: Transaction, wanted: Sequence[str]) -> None:
    metadata = txn.table_metadata
    schema, spec = metadata.schema(), metadata.spec()
    live = observed_partition(spec, schema)
    if live == tuple(wanted):
        return
    update = txn.update_spec()
    for field in spec.fields:
        if str(_own_transform(field.source_id, field.transform, schema)) not in wanted:
            update.remove_field(field.name)
    for text in wanted:
        if text not in live:
            term = transform(text)
            update.add_field(term.column, _transform(term), _partition_name(term))
    update.commit()


def _evolve_sort(txn: Transaction, wanted: Sequence[str]) -> None:
    metadata = txn.table_metadata
    order = metadata.sort_order_by_id(metadata.default_sort_order_id)
    if order is not None and observed_sort(order, metadata.schema()) == tuple(wanted):
        return
    if not wanted:
        # PyIceberg cannot unsort a table that was created sorted: it sets the order it added
        # last, by the highest id, and that of "unsorted" is 0.
        txn._apply(
            (
                AddSortOrderUpdate(sort_order=UNSORTED_SORT_ORDER),
                SetDefaultSortOrderUpdate(sort_order_id=UNSORTED_SORT_ORDER_ID),
            )
        )
        return
    update = txn.update_sort_order()
    for term in map(sort_term, wanted):
        add = update.desc if term.descending else update.asc
        add(term.transform.column, _transform(term.transform), _null_order(term))
    update.commit()


def _evolve_properties(txn: Transaction, wanted: Table) -> None:
    changed = property_changes(txn.table_metadata.properties, wanted.properties)
    if changed:
        txn.set_properties(changed)


def _iceberg(type_: IceType, ids: Iterator[int]) -> ice.IcebergType:
    match type_:
        case Primitive("decimal", precision, scale):
            return ice.DecimalType(precision, scale)
        case Primitive(name):
            return _PRIMITIVES[name]()
        case ListOf(element):
            return ice.ListType(next(ids), _iceberg(element, ids), element_required=False)
        case MapOf(key, value):
            return ice.MapType(
                next(ids), _iceberg(key, ids), next(ids), _iceberg(value, ids), value_required=False
            )
        case StructOf(fields):
            return ice.StructType(
                *(ice.NestedField(next(ids), name, _iceberg(t, ids)) for name, t in fields)
            )


def _own(type_: ice.IcebergType) -> IceType:
    match type_:
        case ice.DecimalType():
            return Primitive("decimal", type_.precision, type_.scale)
        case ice.ListType():
            return ListOf(_own(type_.element_type))
        case ice.MapType():
            return MapOf(_own(type_.key_type), _own(type_.value_type))
        case ice.StructType():
            return StructOf(tuple((field.name, _own(field.field_type)) for field in type_.fields))
    return Primitive(str(type_))


def _transform(term: Transform) -> IceTransform[object, object]:
    argument = "" if term.argument is None else f"[{term.argument}]"
    return parse_transform(f"{term.name}{argument}")


def _own_transform(
    source_id: int, transform_: IceTransform[object, object], schema: Schema
) -> Transform:
    name, _, argument = str(transform_).rstrip("]").partition("[")
    column = schema.find_column_name(source_id) or f"#{source_id}"
    return Transform(column, name, int(argument) if argument else None)


def _partition_name(term: Transform) -> str:
    """Identity fields are named like their column, as Iceberg demands; others never are."""
    if term.name == "identity":
        return term.column
    argument = "" if term.argument is None else f"_{term.argument}"
    return f"{term.column}_{term.name}{argument}"


def _null_order(term: SortTerm) -> NullOrder:
    return NullOrder.NULLS_FIRST if term.nulls_first else NullOrder.NULLS_LAST
