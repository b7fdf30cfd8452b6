"""Rows for people and for programs."""

import csv
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 1000
"""Columns of text where there is no terminal to fold it."""

Rows = Iterable[Sequence[Any]]
Writer = Callable[[Sequence[str], Rows], None]


def as_table(names: Sequence[str], rows: Rows) -> None:
    """Aligned columns, numbers to the right, and how many rows there are."""
    found = list(rows)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for place, name in enumerate(names):
        numeric = any(isinstance(row[place], int | float | Decimal) for row in found)
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in found:
        table.add_row(*(Text(_shown(value)) for value in row))
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    console.print(table)
    click.echo(f"{len(found)} row{'' if len(found) == 1 else 's'}", err=True)


def as_csv(names: Sequence[str], rows: Rows) -> None:
    """RFC 4180 with a header; null is empty, what is nested is JSON."""
    for row in (names, *([_cell(v) for v in row] for row in rows)):
        line = StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        click.echo(line.getvalue(), nl=False)


def as_json(names: Sequence[str], rows: Rows) -> None:
    """One object per line."""
    for row in rows:
        click.echo(encoded(dict(zip(names, row, strict=True))))


FORMATS: dict[str, Writer] = {"table": as_table, "csv": as_csv, "json": as_json}


def encoded(value: Any) -> str:
    """JSON as RFC 8259 defines it; NaN and infinite numbers, which it lacks, become texts."""
    try:
        return json.dumps(value, default=plain, allow_nan=False)
    except (ValueError, TypeError):
        return json.dumps(_strict(value), default=plain, allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {_key(_strict(key)): _strict(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(each) for each in value]
    return value


def _key(value: Any) -> str:
    return value if isinstance(value, str) else encoded(value).strip('"')


def plain(value: Any) -> Any:
    """Values without a JSON type; times are UTC with a `Z`."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool | dict | list):
        return encoded(value)
    return value if isinstance(value, str | int | float | Decimal) else plain(value)


def _shown(value: Any) -> str:
    return "-" if value is None else str(_cell(value))
