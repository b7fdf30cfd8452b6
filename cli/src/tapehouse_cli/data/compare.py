"""Rows that came against rows that were expected, whatever their order."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from tapehouse_laptop.errors import LaptopError
from tapehouse_operator.emit.events import Field
from tapehouse_tape import times

from tapehouse_cli.data.records import objects

DIGITS = 10
"""Floating-point numbers that agree in so many digits are the same."""
SHOWN = 20
Row = tuple[str, ...]
"""The values of the compared columns, each as canonical JSON."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not as expected of one output."""

    columns: tuple[str, ...]
    """Those that were expected to have values; others are not looked at."""
    agreed: int
    missing: tuple[Row, ...]
    unexpected: tuple[Row, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected)

    def lines(self, name: str) -> Iterator[str]:
        """For people: `-` was expected and did not come, `+` came and was not expected."""
        parts = [f"{self.agreed} as expected"]
        parts += [f"{len(self.missing)} missing"] if self.missing else []
        parts += [f"{len(self.unexpected)} unexpected"] if self.unexpected else []
        yield f"{'FAILED' if self else 'ok'}  {name}: {', '.join(parts)}"
        for sign, rows in (("-", self.missing), ("+", self.unexpected)):
            for row in rows[:SHOWN]:
                pairs = zip(self.columns, row, strict=True)
                yield f"  {sign} {', '.join(f'{column}={value}' for column, value in pairs)}"
            if len(rows) > SHOWN:
                yield f"  {sign} and {len(rows) - SHOWN} more"


def compare(
    expected: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    came: Iterable[Mapping[str, Any]],
    fields: Sequence[Field],
) -> Difference:
    """Compare as multisets, by the columns that are expected to have values.

    Raises:
        ValueError: an expected value is none of its column's type.
    """
    types = {f.name: f.type for f in fields}
    wanted = Counter(_row(row, columns, types) for row in expected)
    found = Counter(_row(row, columns, types) for row in came)
    return Difference(
        columns=tuple(columns),
        agreed=(wanted & found).total(),
        missing=tuple(sorted((wanted - found).elements())),
        unexpected=tuple(sorted((found - wanted).elements())),
    )


def read_expected(
    file: Path, fields: Sequence[Field]
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The rows in a JSON Lines or CSV file, and the columns they have.

    Raises:
        LaptopError: a line is no row of these columns.
    """
    found = list(rows_in(file))
    known = [f.name for f in fields]
    for number, row in found:
        for name in row:
            if name not in known:
                raise LaptopError(f"{file}:{number}: {name}: the columns are {', '.join(known)}")
    named = {name for _, row in found for name in row}
    return [row for _, row in found], tuple(name for name in known if name in named) or tuple(known)


def rows_in(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a JSON Lines or CSV file, with the numbers of their lines.

    Raises:
        LaptopError: a line is no row; names it.
    """
    return _csv(file) if file.suffix.lower() == ".csv" else objects(file)


def came(directory: Path) -> list[dict[str, Any]]:
    """The rows that Flink wrote into a directory."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    visible = (path for path in files if not path.name.startswith((".", "_")))
    return [row for path in visible for _, row in objects(path)]


def _csv(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        for row in reader:
            if None in row or None in row.values():
                raise LaptopError(f"{file}:{reader.line_num}: as many values as columns, please")
            yield reader.line_num, {name: text or None for name, text in row.items()}


def _row(row: Mapping[str, Any], columns: Sequence[str], types: Mapping[str, str]) -> Row:
    return tuple(_canonical(row.get(name), types[name], name) for name in columns)


def _canonical(value: Any, type_: str, name: str) -> str:
    """The same text for the same value, whether it was JSON, CSV or Flink's."""
    if value is None:
        return "null"
    try:
        return json.dumps(_plain(value, type_), sort_keys=True)
    except (ValueError, TypeError, InvalidOperation):
        raise ValueError(f"{name}: {value!r} is no {type_}") from None


def _plain(value: Any, type_: str) -> Any:
    if type_ in ("timestamptz", "timestamp"):
        return times.normalise(str(value))
    if type_ in ("double", "float"):
        return _rounded(float(value))
    if type_ in ("int", "long"):
        return int(value)
    if type_.startswith("decimal"):
        return str(Decimal(str(value)).normalize())
    if type_ == "boolean":
        return _truth(str(value).lower())
    if type_ in ("string", "date", "time", "uuid", "binary"):
        return str(value)
    return _nested(json.loads(value) if isinstance(value, str) else value)


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _nested(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _nested(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_nested(each) for each in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _rounded(float(value))
    return value


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")
