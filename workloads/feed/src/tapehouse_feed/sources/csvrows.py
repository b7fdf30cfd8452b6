"""Rows of CSV files, in any encoding and with any separator that can be recognised safely."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from tapehouse_tape.events import Invalid, Reason

from tapehouse_feed.sources.encodings import LONGEST_LINE, text_lines
from tapehouse_feed.sources.row import Row

_OTHER_SEPARATORS = ";\t|"
csv.field_size_limit(LONGEST_LINE)


def csv_rows(stream: BinaryIO, columns: Sequence[str] = ()) -> Iterator[Row]:
    """Every row below the header.

    With `columns` there is no header: they name the cells, and the first line is a row unless it
    repeats them.

    Raises `ValueError` when the file as a whole cannot be read.
    """
    taken: list[str] = []
    lines = text_lines(stream)
    separator, first = _separator(lines)
    # A header `a, b` means that cells are written so too.
    spaced = first.count(separator) > 0 and first.count(separator) == first.count(f"{separator} ")

    def remembered() -> Iterator[str]:
        yield first
        for line in lines:
            taken.append(line)
            yield line

    reader = csv.reader(remembered(), delimiter=separator, skipinitialspace=spaced)
    taken.append(first)
    try:
        cells = next(reader, [])
        header = list(columns) or _header(cells)
    except csv.Error as error:
        raise ValueError(f"the first line cannot be read: {error}") from None
    if cells and columns and [cell.strip() for cell in cells] != header:
        yield _row(_original(taken), header, cells)
    while True:
        taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(_original(taken), refusal=Invalid(Reason.WRONG_TYPE, f"not CSV: {error}"))
            continue
        if cells:
            yield _row(_original(taken), header, cells)


def _original(taken: Sequence[str]) -> bytes:
    return "".join(taken).rstrip("\r\n").encode("utf-8", "surrogateescape")


def _separator(lines: Iterator[str]) -> tuple[str, str]:
    """The separator, as `sep=` or the header shows it, and the header's line."""
    first = next(lines, "")
    declared = first.strip().strip('"')
    if declared.lower().startswith("sep=") and len(declared) == len("sep=;"):
        return declared[-1], next(lines, "")
    if "," not in first:
        found = [other for other in _OTHER_SEPARATORS if other in first]
        if len(found) > 1:
            raise ValueError(f"the header has several separators ({found}); write it with commas")
        if found:
            return found[0], first
    return ",", first


def _header(cells: Sequence[str]) -> list[str]:
    header = [name.strip() for name in cells]
    twice = [name for name, count in Counter(header).items() if name and count > 1]
    if twice:
        raise ValueError(
            f"two columns are named {twice[0]!r}; give each a name of its own, or, if the first "
            "line is no header, declare source.files.columns"
        )
    return header


def _row(original: bytes, header: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(header):
        detail = f"{len(cells)} cells under a header of {len(header)} columns"
        return Row(original, refusal=Invalid(Reason.WRONG_TYPE, detail))
    members: Mapping[str, str] = {
        name: cell for name, cell in zip(header, cells, strict=True) if name and cell != ""
    }
    return Row(original, members)
