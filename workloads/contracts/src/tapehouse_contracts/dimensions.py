"""The columns of a dimension: which of them declared rows give, and which keep its history."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

VALID_FROM, VALID_TO, IS_CURRENT, VERSION = "valid_from", "valid_to", "is_current", "version"
BOOKKEEPING = (VALID_FROM, VALID_TO, IS_CURRENT, VERSION)
PREVIOUS = "previous_"
OVERWRITTEN, NEW_VERSION, PREVIOUS_VALUE = 1, 2, 3
"""Types of slowly changing dimensions."""


class ShapeError(ValueError):
    """Columns that a dimension needs are missing."""

    def __init__(self, field: str, remedy: str) -> None:
        super().__init__(f"{field}: {remedy}")
        self.field = field
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Shape:
    """The roles of a dimension's columns."""

    key: tuple[str, ...]
    overwritten: tuple[str, ...] = ()
    versioned: tuple[str, ...] = ()
    remembered: tuple[str, ...] = ()
    """Type 3: the previous value is in `previous_<name>`."""

    @property
    def declared(self) -> tuple[str, ...]:
        """The columns that declared rows contain."""
        return (*self.key, *self.overwritten, *self.versioned, *self.remembered)

    @property
    def accepted(self) -> tuple[str, ...]:
        """The columns that a declared row may give."""
        return (*self.declared, VALID_FROM) if self.versioned else self.declared


def shape(key: Sequence[str], columns: Sequence[str], type_of: Callable[[str], int]) -> Shape:
    """Assign roles to a table's columns.

    Args:
        key: the columns that identify a row.
        columns: all columns, by name.
        type_of: how a column keeps its history: 1, 2 or 3.

    Raises:
        ShapeError: no key, or a column that bookkeeping needs is not declared.
    """
    if not key:
        raise ShapeError("spec.key", "a dimension needs the columns of its key")
    kept = [c for c in columns if c not in key and c not in BOOKKEEPING]
    attributes = [c for c in kept if not _is_previous(c, columns)]
    by_type = {
        kind: tuple(c for c in attributes if type_of(c) == kind)
        for kind in (OVERWRITTEN, NEW_VERSION, PREVIOUS_VALUE)
    }
    remembered, versioned = by_type[PREVIOUS_VALUE], by_type[NEW_VERSION]
    needed = [PREVIOUS + c for c in remembered] + (list(BOOKKEEPING) if versioned else [])
    if missing := [c for c in needed if c not in columns]:
        raise ShapeError("spec.columns", f"spec.scd needs {', '.join(missing)} too")
    return Shape(tuple(key), by_type[OVERWRITTEN], versioned, remembered)


def _is_previous(column: str, columns: Sequence[str]) -> bool:
    return column.startswith(PREVIOUS) and column.removeprefix(PREVIOUS) in columns
