"""Dimensions and declared rows: refused where the lakehouse could not load them."""

from collections.abc import Iterator, Sequence

from tapehouse_contracts.dimensions import (
    NEW_VERSION,
    OVERWRITTEN,
    PREVIOUS,
    PREVIOUS_VALUE,
    ShapeError,
    shape,
)

from tapehouse_operator.api.lakehousetable import LakehouseTableSpec
from tapehouse_operator.emit.core import Column
from tapehouse_operator.errors import SpecError
from tapehouse_operator.reasons import Reason

VALIDITY = {
    "valid_from": "timestamptz",
    "valid_to": "timestamptz",
    "is_current": "boolean",
    "version": "int",
}
"""What a dimension of type 2 keeps of each version."""


def check_scd(spec: LakehouseTableSpec, columns: Sequence[Column]) -> None:
    """Check that a dimension has the columns that keep its history.

    Raises:
        SpecError: a column is missing, or the dimension has no key.
    """
    if spec.scd is None:
        return
    if spec.stream is not None:
        remedy = "a stream appends; keep history of tables filled by transform or rows"
        raise SpecError(Reason.INVALID, "spec.scd", spec.scd.type, remedy)
    _check_key(spec)
    there = {column.name: column.type for column in columns}
    for path, name, needed in _needed(spec):
        if needed not in there:
            remedy = f"declare column {needed} in spec.columns"
            raise SpecError(Reason.UNKNOWN_COLUMN, path, name, remedy)
    kinds = {spec.scd.type, *(attribute.type for attribute in spec.scd.attributes)}
    for name, type_ in VALIDITY.items() if NEW_VERSION in kinds else ():
        if there.get(name) != type_:
            remedy = f"history of type 2 needs the column {{name: {name}, type: {type_}}}"
            raise SpecError(Reason.UNKNOWN_COLUMN, "spec.columns", there.get(name), remedy)
    try:
        shape(spec.key, list(there), lambda column: _type_of(spec, column))
    except ShapeError as error:
        raise SpecError(Reason.UNKNOWN_COLUMN, error.field, list(there), error.remedy) from error


def check_rows(spec: LakehouseTableSpec, columns: Sequence[Column]) -> None:
    """Check that declared rows have a key each and columns that rows may give.

    Raises:
        SpecError: the table has no key, a row names another column, or its key is null or twice.
    """
    if spec.rows is None:
        return
    _check_key(spec)
    form = shape(spec.key, [c.name for c in columns], lambda column: _type_of(spec, column))
    seen: dict[str, int] = {}
    for index, row in enumerate(spec.rows.inline):
        path = f"spec.rows.inline[{index}]"
        for name in row:
            if name not in form.accepted:
                remedy = f"the columns of a row are {', '.join(form.accepted)}"
                raise SpecError(Reason.UNKNOWN_COLUMN, path, name, remedy)
        for name in spec.key:
            if row.get(name) is None:
                remedy = "it is a column of the key; give each row a value for it"
                raise SpecError(Reason.MISSING_FIELD, f"{path}.{name}", None, remedy)
        key = [row[name] for name in spec.key]
        other = seen.setdefault(repr(key), index)
        if other != index:
            remedy = f"row {other} has this key already; give each row its own"
            raise SpecError(Reason.INVALID, path, key, remedy)


def _check_key(spec: LakehouseTableSpec) -> None:
    if not spec.key:
        remedy = "name the columns that identify an instance of the dimension"
        raise SpecError(Reason.MISSING_FIELD, "spec.key", list(spec.key), remedy)


def _needed(spec: LakehouseTableSpec) -> Iterator[tuple[str, str, str]]:
    """Of each attribute: its path, its column, and a column that must be there for it."""
    for index, attribute in enumerate(spec.scd.attributes if spec.scd else ()):
        path = f"spec.scd.attributes[{index}].columns"
        for name in attribute.columns:
            yield path, name, name
            if attribute.type == PREVIOUS_VALUE:
                yield path, name, f"{PREVIOUS}{name}"


def _type_of(spec: LakehouseTableSpec, column: str) -> int:
    """How a column keeps its history; of a table without it, values are overwritten."""
    if spec.scd is None:
        return OVERWRITTEN
    named = (a.type for a in spec.scd.attributes if column in a.columns)
    return next(named, spec.scd.type)
