"""The rows of a dimension from a query over other tables, always all of them."""

import duckdb
import pyarrow as pa
from tapehouse_lake.database import Database

from tapehouse_lakehouse.catalog import Lake
from tapehouse_lakehouse.dimensions.history import Row
from tapehouse_lakehouse.model import InvalidError, TableSpec
from tapehouse_lakehouse.transforms.compute import one_select
from tapehouse_lakehouse.transforms.inputs import pinned


def queried_rows(lake: Lake, spec: TableSpec, types: pa.Schema) -> list[Row]:
    """The result of `spec.transform.sql`, in the table's types.

    Raises:
        InvalidError: the SQL fails, or gives a column that rows do not have, or other values.
    """
    where = f"table {spec.table}: spec.transform.sql"
    with Database() as database:
        for name in spec.producer.inputs:
            source = pinned(lake, spec, name)
            database.attach(name, source.table, source.snapshot, "", None)
        database.seal()
        try:
            found = database.connection.execute(one_select(database.connection, spec))
            selected = found.to_arrow_table()
        except duckdb.Error as error:
            raise InvalidError(f"{where}: {error}") from error
    if unknown := sorted(set(selected.column_names) - set(types.names)):
        wanted = ", ".join(types.names)
        raise InvalidError(f"{where}: gives {', '.join(unknown)}; a row here may have {wanted}")
    try:
        columns = [types.field(name) for name in selected.column_names]
        rows: list[Row] = selected.cast(pa.schema(columns)).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise InvalidError(f"{where}: {error}") from error
    return rows
