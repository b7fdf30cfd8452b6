"""Behind `tapehouse sql`: DuckDB over the catalog."""

import contextlib
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, TextIO

import click
import duckdb
import pyarrow as pa
from pyiceberg.exceptions import RESTError
from requests import RequestException
from tapehouse_lakehouse.catalog import UnavailableError, connect
from tapehouse_laptop.errors import LaptopError

from tapehouse_cli.data import running
from tapehouse_cli.data.lake import Lake, opened, sentence, statements
from tapehouse_cli.data.output import FORMATS, Writer
from tapehouse_cli.target import Target

PROMPT, MORE = "tapehouse> ", "       ... "
CHUNK = 1000


def ask(query: str | None, form: str, catalog: str | None, prefix: str, target: Target) -> None:
    """Run the statements of `query`, or of standard input where there is none.

    Raises:
        LaptopError: a statement is refused, or no catalog answers.
    """
    try:
        lake, write = _lake(catalog, prefix, target), FORMATS[form]
        if query is not None:
            for each in statements(query):
                run(lake, each, write)
        elif sys.stdin.isatty():
            _converse(lake, write)
        else:
            for each in complete(sys.stdin):
                run(lake, each, write)
    except (UnavailableError, RESTError, RequestException) as error:
        # What the HTTP client says ends with the reason, after the whole history of the call.
        why = " ".join(str(error).split()).rsplit("] ", 1)[-1].rstrip("')\" ")
        raise LaptopError(f"the catalog does not answer ({why}); is it the right one?") from error


def run(lake: Lake, query: str, write: Writer) -> None:
    """One query, against the newest snapshots there are.

    Raises:
        LaptopError: DuckDB refuses it.
    """
    if query.lower().split() in (["show", "tables"], ["show", "all", "tables"]):
        write(["table"], ([name] for name in lake.tables()))
        return
    try:
        with opened() as database:
            lake.attach(database, query)
            database.seal()
            found = database.connection.execute(query)
            names = [column[0] for column in found.description or ()]
            write(names, _fetched(found.to_arrow_reader(CHUNK)))
    except duckdb.CatalogException as error:
        known = ", ".join(lake.tables()) or "none"
        raise LaptopError(f"{sentence(error)}; tables: {known}") from error
    except duckdb.Error as error:
        raise LaptopError(sentence(error)) from error


def complete(lines: TextIO | Iterator[str]) -> Iterator[str]:
    """Statements as they end, read line by line."""
    pending = ""
    for line in lines:
        pending += line
        if pending.rstrip().endswith(";"):
            yield from statements(pending)
            pending = ""
    if pending.strip():
        yield from statements(pending)


def _lake(uri: str | None, prefix: str, target: Target) -> Lake:
    if uri:
        return Lake(connect(uri), prefix)
    settings = running.settings(target)
    return Lake(connect(settings["catalogUri"]), settings.get("catalogPrefix", ""))


def _fetched(found: pa.RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    """Through Arrow: DuckDB's own way to Python times needs pytz, which is not installed."""
    for batch in found:
        yield from zip(*map(_values, batch.columns), strict=True)


def _values(column: pa.Array) -> list[Any]:
    """What DuckDB would give: sums of integers are integers, spans of time are one length."""
    values: list[Any] = column.to_pylist(maps_as_pydicts="strict")
    if pa.types.is_decimal(column.type) and column.type.scale == 0:
        return [value if value is None else int(value) for value in values]
    if pa.types.is_interval(column.type):
        return [value if value is None else _length(value) for value in values]
    return values


def _length(span: pa.MonthDayNano) -> timedelta:
    return timedelta(30 * span.months + span.days, microseconds=span.nanoseconds // 1000)


def _converse(lake: Lake, write: Writer) -> None:
    """A prompt until the end of input; an error ends its statement and nothing else."""
    click.echo("SQL, ended by ; (SHOW TABLES; lists the tables; Ctrl-D leaves)", err=True)
    typed = _typed()
    while True:
        try:
            for each in complete(typed):
                run(lake, each, write)
            return
        except LaptopError as error:
            click.echo(f"Error: {error}", err=True)
            typed = _typed()


def _typed() -> Iterator[str]:
    """Lines as they are typed, with the terminal's own editing where it has that."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401
    pending = False
    while True:
        try:
            line = input(MORE if pending else PROMPT)
        except (EOFError, KeyboardInterrupt):
            click.echo(err=True)
            return
        pending = bool(line.strip()) and not line.rstrip().endswith(";")
        yield line + "\n"
