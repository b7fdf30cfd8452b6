"""The shipped LakehouseTables as the operator hands them on, and their empty Iceberg tables."""

from functools import cache
from pathlib import Path

import msgspec
import pyarrow as pa
import yaml
from pyiceberg.table import Table
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform
from tapehouse_lakehouse.catalog import Lake
from tapehouse_lakehouse.model import Producer, Scd, TableSpec, TypedColumn

from tests.lakehouse import flink

BASE = Path(__file__).parents[2] / "environments" / "base"
ARROW = {
    "string": pa.string(),
    "int": pa.int32(),
    "long": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", "UTC"),
}


@cache
def resources() -> dict[str, dict]:
    found = {}
    for folder in ("silver", "gold", "dimensions"):
        for path in (BASE / folder).glob("*.yaml"):
            for body in yaml.safe_load_all(path.read_text()):
                if body["kind"] == "LakehouseTable":
                    found[body["metadata"]["name"]] = body["spec"]
    return found


def spec(name: str, **producer) -> TableSpec:
    body = resources()[name]
    transform = body.get("transform", {})
    inputs = tuple(resources()[i]["identifier"] for i in transform.get("inputs", ()))
    given = {"sql": transform.get("sql", ""), "recompute": transform.get("recompute")}
    return TableSpec(
        table=name,
        identifier=body["identifier"],
        namespace="n",
        key=tuple(body.get("key", ())),
        partition=tuple(body.get("partition", ())),
        sort=tuple(body.get("sort", ())),
        scd=msgspec.convert(body["scd"], Scd) if "scd" in body else None,
        columns=tuple(
            TypedColumn(name=c["name"], type=c["type"], required=c.get("required", False))
            for c in body["columns"]
        ),
        producer=Producer(type="transform", inputs=inputs, **{**given, **producer}),
    )


def schema(name: str) -> pa.Schema:
    return pa.schema([(c["name"], ARROW[c["type"]]) for c in resources()[name]["columns"]])


def create(lake: Lake, name: str) -> Table:
    body = resources()[name]
    table = flink.create(lake, body["identifier"], schema(name))
    with table.update_spec() as update:
        for text in body.get("partition", ()):
            update.add_field(*_field(text))
    return table


def _field(text: str):
    function, _, rest = text.partition("(")
    if not rest:
        return text, IdentityTransform()
    argument = rest.rstrip(")")
    if function == "day":
        return argument, DayTransform()
    count, column = argument.split(", ")
    return column, BucketTransform(int(count))
