"""Behind `tapehouse test`: a job, its input in files, and what should come of it."""

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from tapehouse_laptop import jars, toolchain
from tapehouse_laptop.errors import LaptopError
from tapehouse_operator.emit.sql import Insert
from tapehouse_operator.errors import NotReady, SpecError

from tapehouse_cli.data.bounded import (
    Bounded,
    dimensions_directory,
    input_file,
    output_directory,
)
from tapehouse_cli.data.compare import came, compare, read_expected
from tapehouse_cli.data.declared import Declared, only
from tapehouse_cli.data.dimensions import asked
from tapehouse_cli.data.dimensions import write as write_dimensions
from tapehouse_cli.data.records import Records, objects

PROGRAM = "tapehouse_streams.replay"
Files = Mapping[str, Sequence[Path]]


def check(
    job: str,
    directory: Path | None,
    inputs: Files,
    expected: Files,
    *,
    dimensions: Files,
    catalog: str = "",
    settle: float = 2.0,
    timeout: float = 300.0,
) -> bool:
    """Run a job on rows from files and print how its outputs differ from the expected ones.

    With nothing expected, the rows of every output are printed.

    Returns:
        Whether all is as expected.

    Raises:
        LaptopError: the job, a file or a row is not as it should be, or Flink refuses.
    """
    try:
        declared, bounded = _compiled(job, directory)
    except (SpecError, NotReady) as error:
        raise LaptopError(f"{job}: {error}") from error
    with tempfile.TemporaryDirectory(prefix="tapehouse-test-") as scratch:
        place = Path(scratch)
        _write_inputs(bounded, inputs, place)
        targets = list(expected) or list(bounded.outputs)
        inserts = bounded.writing(targets)
        if not catalog:
            write_dimensions(dimensions_directory(place), asked(inserts), dimensions, declared)
        _run(bounded, inserts, place, catalog, settle, timeout)
        if not expected:
            _print(targets, place)
            return True
        same = [_as_expected(bounded, name, files, place) for name, files in expected.items()]
    return all(same)


def _compiled(job: str, directory: Path | None) -> tuple[Declared, Bounded]:
    file = Path(job)
    if file.suffix in (".yaml", ".yml"):
        if not file.is_file():
            raise LaptopError(f"{job}: no such file")
        declared = Declared.read(directory, file)
        return declared, Bounded.of(declared, only(file, "StreamJob"))
    if directory is None:
        raise LaptopError(f"{job}: give a file, or the directory it is declared in (-d)")
    declared = Declared.read(directory)
    return declared, Bounded.of(declared, job)


def _write_inputs(bounded: Bounded, inputs: Files, place: Path) -> None:
    unknown = next((alias for alias in inputs if alias not in bounded.inputs), None)
    if unknown is not None:
        known = ", ".join(bounded.inputs)
        raise LaptopError(f"{unknown} is no input of {bounded.name}; these are: {known}")
    for alias, table in bounded.inputs.items():
        rows = (
            (f"{file}:{number}", row)
            for file in inputs.get(alias, ())
            for number, row in objects(file)
        )
        path = input_file(place, alias)
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in Records(table).written(rows)))


def _run(
    bounded: Bounded,
    inserts: list[Insert],
    place: Path,
    catalog: str,
    settle: float,
    timeout: float,
) -> None:
    waits = any("PROCTIME" in {word.upper() for word in each.words} for each in inserts)
    document = bounded.document(inserts, place, catalog, settle if waits else 0.0)
    request = place / "job.json"
    request.write_text(json.dumps(document))
    _libraries(place)
    _flink(request, place, timeout)


def _libraries(place: Path) -> None:
    (place / "opt/flink").mkdir(parents=True)
    (place / "opt/flink/lib").symlink_to(jars.flink(_noted))


def _noted(task: str, line: str) -> None:
    """Say what is fetched or built, the first time."""
    click.echo(f"{task}: {line}", err=True)


def _flink(request: Path, place: Path, timeout: float) -> None:
    """One process, ended with this one.

    Raises:
        LaptopError: what Flink says.
    """
    python = toolchain.streams_environment() / "bin/python"
    environment = {
        **{name: value for name, value in os.environ.items() if name != "FLINK_HOME"},
        "TAPEHOUSE_ROOT": str(place),
        "TMPDIR": str(place),
    }
    with subprocess.Popen(
        [python, "-P", "-m", PROGRAM, request],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _, said = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise LaptopError(f"not done after {timeout:g} s; give --timeout more") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
    if process.returncode:
        lines = [line for line in said.strip().splitlines() if line.strip()]
        raise LaptopError(lines[-1] if lines else f"Flink ended with status {process.returncode}")


def _print(targets: list[str], place: Path) -> None:
    for name in targets:
        for row in came(output_directory(place, name)):
            click.echo(f"{name}\t{json.dumps(row)}")


def _as_expected(bounded: Bounded, name: str, files: Sequence[Path], place: Path) -> bool:
    fields = bounded.outputs[name]
    read = [read_expected(file, fields) for file in files]
    rows = [row for found, _ in read for row in found]
    named = {column for _, columns in read for column in columns}
    columns = [field.name for field in fields if field.name in named]
    try:
        difference = compare(rows, columns, came(output_directory(place, name)), fields)
    except ValueError as error:
        raise LaptopError(f"{', '.join(map(str, files))}: {error}") from error
    for line in difference.lines(name):
        click.echo(line)
    return not difference
