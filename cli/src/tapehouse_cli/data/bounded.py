"""A StreamJob made into one over files: what `tapehouse test` gives to Flink."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tapehouse_contracts.types import parse_type
from tapehouse_laptop.errors import LaptopError
from tapehouse_operator.api.base import parse
from tapehouse_operator.api.streamjob import StreamJob, StreamJobSpec
from tapehouse_operator.emit.core import ObjectKey
from tapehouse_operator.emit.ddl import Clock, Input, flink_type, input_ddl
from tapehouse_operator.emit.events import Field
from tapehouse_operator.emit.job import Program
from tapehouse_operator.emit.jobspec import clock_of, sinks_of
from tapehouse_operator.emit.sql import Insert, literal, quote
from tapehouse_operator.emit.tables import TABLE_KEY, table_name
from tapehouse_operator.kinds.contract import World
from tapehouse_operator.kinds.streamjob import StreamJobKind

from tapehouse_cli.data.declared import Declared

ENDED = "replay_ended"
"""The column of the row that ends an input."""
_METADATA = re.compile(r" METADATA FROM '[^']*' VIRTUAL")
_JSON = {"format": "json", "json.timestamp-format.standard": "ISO-8601"}


@dataclass(frozen=True, slots=True)
class Bounded:
    """A job that the operator would accept, and what it reads and writes."""

    name: str
    program: Program
    clock: Clock
    inputs: Mapping[str, Input]
    """By alias."""
    outputs: Mapping[str, tuple[Field, ...]]
    """The columns of every table and topic it writes, by identifier."""

    @classmethod
    def of(cls, declared: Declared, name: str) -> "Bounded":
        """Compile a job with its feeds and tables.

        Raises:
            LaptopError: the job, or one that it names, is not declared.
            SpecError: the operator would refuse it.
        """
        job = parse(StreamJob, declared.find("StreamJob", name))
        spec = job.spec
        feeds = list(dict.fromkeys(each.feed for each in spec.inputs if each.feed))
        tables = [each.table for each in spec.outputs if each.table]
        world = declared.accepted(feeds, tables)
        plan = StreamJobKind().validate(job, world)
        return cls(
            name=name,
            program=plan.program,
            clock=clock_of(spec, declared.settings["maxFutureSkew"]),
            inputs={each.alias: each for each in plan.inputs},
            outputs=_outputs(spec, world),
        )

    def writing(self, outputs: list[str]) -> list[Insert]:
        """The statements that write these.

        Raises:
            LaptopError: one of them is no output of the job.
        """
        for each in outputs:
            if each not in self.outputs:
                known = ", ".join(self.outputs)
                raise LaptopError(f"{each} is no output of {self.name}; these are: {known}")
        return [insert for insert in self.program.inserts if insert.target in outputs]

    def document(
        self, inserts: list[Insert], directory: Path, catalog: str, settle: float
    ) -> dict[str, Any]:
        """`job.json` over the files `input_file` and `output_directory` name, in `directory`.

        Args:
            inserts: what is run.
            directory: where the files are.
            catalog: of the dimensions; empty: they are files in `dimensions_directory`.
            settle: how long an input stays open after its last row, in seconds.
        """
        ddl = [
            text
            for each in self.inputs.values()
            for text in _source(each, self.clock, input_file(directory, each.alias), settle)
        ]
        for insert in inserts:
            path = output_directory(directory, insert.target)
            ddl.append(_sink(insert.target, self.outputs[insert.target], path))
        return {
            "job": self.name,
            "catalog": {"uri": catalog, "prefix": self.program.catalog_prefix},
            "ddl": ddl,
            "inserts": [_statement(each) for each in inserts],
            "outputs": [],
            "configuration": {
                **self.program.configuration,
                **({} if catalog else _dimensions(directory)),
            },
        }


def input_file(directory: Path, alias: str) -> Path:
    """Where the rows of an input are."""
    return directory / "inputs" / f"{alias}.json"


def output_directory(directory: Path, target: str) -> Path:
    """Where the rows of an output come to be."""
    return directory / "outputs" / target


def dimensions_directory(directory: Path) -> Path:
    """Where the rows of dimensions are."""
    return directory / "dimensions"


def _dimensions(directory: Path) -> dict[str, str]:
    place = literal(str(dimensions_directory(directory)))
    return {"pipeline.global-job-parameters": f"tapehouse.dimensions:{place}"}


def _outputs(spec: StreamJobSpec, world: World) -> dict[str, tuple[Field, ...]]:
    found = {sink.topic: sink.fields for sink in sinks_of(spec)}
    for output in spec.outputs:
        if output.table:
            table = json.loads(_data(world, table_name(output.table))[TABLE_KEY])
            found[table["identifier"]] = tuple(
                Field(each["name"], each["type"], each["required"]) for each in table["columns"]
            )
    return found


def _data(world: World, config: str) -> Mapping[str, Any]:
    return world.objects[ObjectKey("v1", "ConfigMap", config)].data


def _source(table: Input, clock: Clock, file: Path, settle: float) -> tuple[str, ...]:
    """The input as the operator declares it, but for where its rows come from.

    What Kafka knows of a record are columns of the file. The table itself gets another name, and
    the view of its own name leaves out the row that ends it.
    """
    below, *views = input_ddl(table, clock, {}, "")
    head, _, _ = below.rpartition(") WITH (")
    name = head.split("`", 2)[1]
    rows = f"{name}__rows"
    columns = [part.split("`")[1] for part in head.splitlines()[1:] if part.startswith("  `")]
    head = _METADATA.sub("", head.replace(quote(name), quote(rows), 1))
    head = head.replace("(\n", f"(\n  {quote(ENDED)} BOOLEAN NOT NULL,\n", 1)
    millis = round(timedelta(seconds=settle) / timedelta(milliseconds=1))
    kept = f"WAIT_AT_END({literal(name)}, {quote(ENDED)}, {millis})"
    chosen = f"SELECT {', '.join(map(quote, columns))} FROM {quote(rows)}"  # noqa: S608  (quoted)
    return (
        f"{head}) WITH ({_options({'connector': 'filesystem', 'path': str(file), **_JSON})})",
        f"CREATE TEMPORARY VIEW {quote(name)} AS {chosen} WHERE {kept}",
        *views,
    )


def _sink(target: str, fields: tuple[Field, ...], path: Path) -> str:
    columns = ", ".join(
        f"{quote(f.name)} {flink_type(parse_type(f.type))}{' NOT NULL' if f.required else ''}"
        for f in fields
    )
    options = _options({"connector": "filesystem", "path": str(path), **_JSON})
    return f"CREATE TEMPORARY TABLE {quote(target)} ({columns}) WITH ({options})"


def _options(options: Mapping[str, str]) -> str:
    return ", ".join(f"{literal(key)} = {literal(value)}" for key, value in options.items())


def _statement(insert: Insert) -> str:
    columns = ", ".join(map(quote, insert.columns))
    return f"INSERT INTO {quote(insert.target)} ({columns})\n{insert.query}"
