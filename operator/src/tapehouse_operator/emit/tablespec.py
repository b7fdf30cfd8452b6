"""From a LakehouseTable's spec to its columns, layout and producer, refusing what cannot be."""

from collections.abc import Sequence
from typing import Any

from tapehouse_contracts.types import IceType, StructOf, parse_type

from tapehouse_operator.api.base import Reason
from tapehouse_operator.api.lakehousetable import LakehouseTable, LakehouseTableSpec
from tapehouse_operator.api.tableparts import PublishMode
from tapehouse_operator.emit import iceberg
from tapehouse_operator.emit.core import Column, Table
from tapehouse_operator.errors import SpecError


def refuse_unfinished(spec: LakehouseTableSpec) -> None:
    """What the API can say and this version cannot do yet is refused, never ignored."""
    audited = spec.publish.mode is not PublishMode.DIRECT
    asked = (
        ("spec.retention", spec.retention is not None, "leave it out: rows are kept for ever"),
        ("spec.publish.mode", audited, "use Direct: readers see every commit"),
        ("spec.serve.rowFilters", bool(spec.serve.row_filters), "leave it out"),
        ("spec.serve.masks", bool(spec.serve.masks), "leave it out"),
    )
    for path, used, remedy in asked:
        if used:
            field = path.rpartition(".")[2]
            raise SpecError(
                Reason.UNSUPPORTED, path, field, f"this version cannot do that yet; {remedy}"
            )


def columns_of(spec: LakehouseTableSpec) -> tuple[Column, ...]:
    """The columns, types in canonical spelling.

    Raises:
        SpecError: two names that engines would take for one.
    """
    seen: dict[str, str] = {}
    for place, column in enumerate(spec.columns):
        other = seen.setdefault(column.name.lower(), column.name)
        if other != column.name:
            remedy = f"column {other} has the same name but for case; name it otherwise"
            raise SpecError(Reason.INVALID, f"spec.columns[{place}].name", column.name, remedy)
    return tuple(
        Column(
            name=column.name,
            type=str(parse_type(column.type)),
            required=column.required,
            doc=column.doc,
            previous_name=column.previous_name,
        )
        for column in spec.columns
    )


def check_layout(spec: LakehouseTableSpec, columns: Sequence[Column]) -> None:
    """Whether Iceberg can partition and sort by what is named.

    Raises:
        SpecError: no such column, or the transform does not take its type.
    """
    for place, text in enumerate(spec.partition):
        path = f"spec.partition[{place}]"
        try:
            _check_transform(iceberg.transform(text), columns, path, text)
        except ValueError as error:
            raise SpecError(Reason.INVALID, path, text, str(error)) from error
    for place, text in enumerate(spec.sort):
        path = f"spec.sort[{place}]"
        try:
            _check_transform(iceberg.sort_term(text).transform, columns, path, text)
        except ValueError as error:
            raise SpecError(Reason.INVALID, path, text, str(error)) from error


def check_consumers(spec: LakehouseTableSpec, columns: Sequence[Column], lost: set[str]) -> None:
    """Check that declared readers name columns of the table.

    Args:
        spec: the table's spec.
        columns: the table's columns.
        lost: columns of the live table that go; who reads those is checked by `check_readers`.

    Raises:
        SpecError: a reader names another column.
    """
    names = [column.name for column in columns]
    for number, consumer in enumerate(spec.consumers):
        for name in consumer.columns:
            if name not in names and name not in lost:
                path = f"spec.consumers[{number}].columns"
                remedy = f"the columns are {', '.join(names)}"
                raise SpecError(Reason.UNKNOWN_COLUMN, path, name, remedy)


def document_of(
    resource: LakehouseTable,
    namespace: str,
    table: Table,
    inputs: Sequence[str],
    csv: str | None,
) -> dict[str, Any]:
    """`table.json`: what the lakehouse workload must know.

    Args:
        resource: the table's resource.
        namespace: the Kubernetes namespace.
        table: as the catalog is to have it.
        inputs: identifiers of what a transform reads.
        csv: the text of declared rows, where they are in a ConfigMap.
    """
    spec = resource.spec
    classes = {c.name: c.classification.value for c in spec.columns if c.classification}
    return {
        "table": resource.metadata.name,
        "identifier": spec.identifier,
        "namespace": namespace,
        "suspend": spec.suspend,
        "key": list(spec.key),
        "producer": _producer(spec, inputs, csv),
        "publish": {"mode": spec.publish.mode.value, "suites": list(spec.publish.suites)},
        "scd": spec.scd.model_dump(by_alias=True, mode="json") if spec.scd else None,
        "maintenance": spec.maintenance.model_dump(by_alias=True, mode="json"),
        "columns": [
            {
                "name": column.name,
                "type": column.type,
                "required": column.required,
                "classification": classes.get(column.name),
            }
            for column in table.columns
        ],
        "partition": list(table.partition),
        "sort": list(table.sort),
    }


def _producer(spec: LakehouseTableSpec, inputs: Sequence[str], csv: str | None) -> dict[str, Any]:
    if spec.stream is not None:
        return {"type": "stream", "job": spec.stream.job}
    if spec.rows is not None:
        rows = [dict(row) for row in spec.rows.inline] or None
        return {"type": "rows", "rows": rows, "csv": csv}
    dumped = spec.transform.model_dump(by_alias=True, mode="json") if spec.transform else {}
    return {"type": "transform", **dumped, "inputs": list(inputs)}


def _check_transform(
    term: iceberg.Transform, columns: Sequence[Column], path: str, text: str
) -> None:
    type_ = _type_of(term.column, columns)
    if type_ is None:
        remedy = f"the columns are {', '.join(c.name for c in columns)}"
        raise SpecError(Reason.UNKNOWN_COLUMN, path, text, remedy)
    if not term.takes(type_):
        raise SpecError(Reason.INVALID_TYPE, path, text, f"{term.name} takes no {type_}")


def _type_of(path: str, columns: Sequence[Column]) -> IceType | None:
    """The type at a dotted path, through structs only."""
    head, *rest = path.split(".")
    found = next((parse_type(c.type) for c in columns if c.name == head), None)
    for part in rest:
        found = dict(found.fields).get(part) if isinstance(found, StructOf) else None
    return found
