"""Dimensions of a replay: the rows that are declared, or given in files, instead of a catalog's."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tapehouse_laptop.errors import LaptopError
from tapehouse_operator.emit.sql import Insert
from tapehouse_tape import times

from tapehouse_cli.data.compare import rows_in
from tapehouse_cli.data.declared import Declared, Manifest

FUNCTION = "DIM_AS_OF"
FROM, TO = "valid_from", "valid_to"
_CALL = re.compile(FUNCTION + r"\s*\(\s*'([^']+)'", re.IGNORECASE)


def asked(inserts: Iterable[Insert]) -> dict[str, str]:
    """The dimensions that statements look up, each with an output that does so."""
    return {name: each.target for each in inserts for name in _CALL.findall(each.query)}


def write(
    directory: Path, wanted: Mapping[str, str], given: Mapping[str, Sequence[Path]], known: Declared
) -> None:
    """The versions of every dimension in `wanted`, as the function reads them, below `directory`.

    Raises:
        LaptopError: there are no rows of one of them, or a row is none of its table's.
    """
    unused = next((name for name in given if name not in wanted), None)
    if unused is not None:
        names = ", ".join(wanted) or "none"
        raise LaptopError(f"{unused}: no dimension of what is run here; these are: {names}")
    directory.mkdir()
    for name, target in wanted.items():
        table = _declared(known, name)
        if name in given:
            rows = [row for file in given[name] for row in _rows_of(file, table)]
        elif table and (table["spec"].get("rows") or {}).get("inline"):
            rows = list(table["spec"]["rows"]["inline"])
        else:
            raise LaptopError(
                f"{target} asks for {name} ({FUNCTION}): give its rows (--dimension {name}=FILE), "
                "or --catalog with the URI of one that has it, or expect other outputs only"
            )
        key = _columns(table)[0] if table else next(iter(rows[0]), "") if rows else ""
        lines = (f"{json.dumps(_version(row, key))}\n" for row in rows)
        (directory / f"{name}.jsonl").write_text("".join(lines))


def _declared(known: Declared, identifier: str) -> Manifest | None:
    tables = (known.find("LakehouseTable", name) for name in known.names("LakehouseTable"))
    return next((table for table in tables if table["spec"].get("identifier") == identifier), None)


def _columns(table: Manifest) -> list[str]:
    return [column["name"] for column in table["spec"]["columns"]]


def _rows_of(file: Path, table: Manifest | None) -> Iterator[dict[str, Any]]:
    for number, row in rows_in(file):
        unknown = next((name for name in row if table and name not in _columns(table)), None)
        if table and unknown is not None:
            names = ", ".join(_columns(table))
            raise LaptopError(f"{file}:{number}: {unknown}: the columns are {names}")
        for name in (FROM, TO):
            try:
                row |= {name: times.normalise(str(row[name]))} if row.get(name) else {}
            except ValueError as error:
                raise LaptopError(f"{file}:{number}: {name}: {error}") from error
        yield row


def _version(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    texts = {name: _text(value) for name, value in row.items()}
    return {"key": texts.get(key), "from": texts.get(FROM), "to": texts.get(TO), "row": texts}


def _text(value: Any) -> str | None:
    """As the function gives every attribute: text."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, default=str).strip('"')
