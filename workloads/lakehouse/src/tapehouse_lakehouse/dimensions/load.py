"""Loads a dimension's rows into its table; an unchanged table is not written."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyarrow import csv
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table
from tapehouse_contracts.dimensions import Shape

from tapehouse_lakehouse import rewrite
from tapehouse_lakehouse.ancestry import MAIN
from tapehouse_lakehouse.catalog import Lake
from tapehouse_lakehouse.dimensions.history import Row, reload, shape
from tapehouse_lakehouse.dimensions.query import queried_rows
from tapehouse_lakehouse.model import InvalidError, Scd, TableSpec

_ATTEMPTS = 3
_SURE_DIGITS = 15
"""Decimal digits that every float preserves."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result of a load."""

    rows: int
    added: int
    written: bool


def load(lake: Lake, spec: TableSpec, now: datetime) -> Loaded:
    """Load the rows that `spec.producer` declares, with history according to `spec.scd`.

    Raises:
        InvalidError: the rows do not fit the table.
        SupersededError: concurrent commits to the table kept winning.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _load(lake, spec, now)
        except rewrite.SupersededError:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _load(lake: Lake, spec: TableSpec, now: datetime) -> Loaded:
    table = _table(lake, spec)
    names = [field.name for field in table.schema().fields]
    form = shape(spec.table, spec.key, names, spec.scd or Scd(type=1))
    declared = declared_rows(lake, spec, table.schema().as_arrow(), form)
    head = table.metadata.snapshot_by_name(MAIN)
    files, there = [], []
    if head is not None:
        scan = table.scan(snapshot_id=head.snapshot_id)
        files, there = [t.file for t in scan.plan_files()], scan.to_arrow().to_pylist()
    try:
        wanted = reload(there, declared, form, now)
    except InvalidError as error:
        raise InvalidError(f"table {spec.table}: {error}") from error
    if _same(there, wanted):
        return Loaded(len(wanted), 0, written=False)
    complete = [{name: row.get(name) for name in names} for row in wanted]
    rows = pa.Table.from_pylist(complete, schema=table.schema().as_arrow())
    rewrite.overwrite(table, MAIN, files, rewrite.write_files(table, rows), {})
    return Loaded(len(wanted), len(wanted) - len(there), written=True)


def declared_rows(lake: Lake, spec: TableSpec, schema: pa.Schema, form: Shape) -> list[Row]:
    """The rows of `spec.producer` in the table's types.

    Raises:
        InvalidError: CSV that cannot be read, SQL that fails, an unknown column, a value of
            another type.
    """
    where = f"table {spec.table}: spec.rows"
    types = pa.schema([field for field in schema if field.name in form.accepted])
    if spec.producer.type == "transform":
        return queried_rows(lake, spec, types)
    if spec.producer.csv is not None:
        return _parsed(where, spec.producer.csv, types)
    given = spec.producer.rows or ()
    _check_names(where, {name for row in given for name in row}, types)
    return [_typed(f"{where}.inline[{i}]", row, types) for i, row in enumerate(given)]


def _parsed(where: str, text: str, types: pa.Schema) -> list[Row]:
    options = csv.ConvertOptions(
        column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    try:
        rows = csv.read_csv(io.BytesIO(text.encode()), convert_options=options)
    except pa.ArrowInvalid as error:
        raise InvalidError(f"{where}.csvFrom: {error}") from error
    _check_names(f"{where}.csvFrom", set(rows.column_names), types)
    parsed: list[Row] = rows.to_pylist()
    return parsed


def _typed(where: str, row: Mapping[str, Any], types: pa.Schema) -> Row:
    return {
        name: _value(f"{where}.{name}", value, types.field(name).type)
        for name, value in row.items()
    }


def _value(where: str, value: Any, kind: pa.DataType) -> Any:
    try:
        if isinstance(value, str) and not pa.types.is_string(kind):
            return pa.scalar(value).cast(kind).as_py()
        return pa.scalar(_exact(value, kind), type=kind).as_py()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise InvalidError(f"{where}: {value!r}: not a {kind}") from error
    except _LongNumberError as error:
        raise InvalidError(
            f"{where}: {error}: a number keeps {_SURE_DIGITS} digits; write it in quotes"
        ) from error


class _LongNumberError(Exception):
    """A number with more digits than YAML and JSON parsers preserve."""


def _exact(value: Any, kind: pa.DataType) -> Any:
    """The value with decimals in place of floats where the type has decimals."""
    if isinstance(value, float) and pa.types.is_decimal(kind):
        exact = Decimal(repr(value))
        if len(exact.as_tuple().digits) > _SURE_DIGITS:
            raise _LongNumberError(repr(value))
        return exact
    if isinstance(value, list) and pa.types.is_list(kind):
        return [_exact(each, kind.value_type) for each in value]
    if isinstance(value, dict) and pa.types.is_struct(kind):
        types = {field.name: field.type for field in kind}
        return {n: _exact(v, types[n]) if n in types else v for n, v in value.items()}
    return value


def _check_names(where: str, given: set[str], types: pa.Schema) -> None:
    if unknown := sorted(given - set(types.names)):
        raise InvalidError(f"{where}: no column {', '.join(unknown)}; use {', '.join(types.names)}")


def _same(one: Sequence[Row], other: Sequence[Row]) -> bool:
    def canonical(rows: Sequence[Row]) -> list[str]:
        return sorted(repr(sorted((k, v) for k, v in row.items() if v is not None)) for row in rows)

    return canonical(one) == canonical(other)


def _table(lake: Lake, spec: TableSpec) -> Table:
    try:
        table: Table = lake.catalog.load_table(lake.qualified(spec.identifier))
    except NoSuchTableError as error:
        raise InvalidError(
            f"table {spec.table}: the catalog has no table {spec.identifier} yet"
        ) from error
    return table
