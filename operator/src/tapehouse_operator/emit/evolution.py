"""Whether a live table can become what is declared, in place and without loss."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tapehouse_contracts.types import parse_type, widens

from tapehouse_operator.api.base import Reason
from tapehouse_operator.api.tableparts import Consumer
from tapehouse_operator.emit.consumers import Consumers, Source, declared_readers, readers
from tapehouse_operator.emit.core import Column, Table, TableState
from tapehouse_operator.errors import SpecError


@dataclass(frozen=True, slots=True)
class Policy:
    """What the author allows."""

    drops: bool = False
    """`evolution: Destructive`."""
    written: Collection[str] = ()
    """Columns a running job names in its INSERT."""
    writer: str = ""
    """That job."""


def check_evolution(live: Sequence[Column], wanted: Sequence[Column], policy: Policy) -> None:
    """Add, rename by `previousName`, widen, make optional: anything else is refused.

    Raises:
        SpecError: with the column at fault and the remedy.
    """
    there = {column.name: column for column in live}
    kept: set[str] = set()
    for place, column in enumerate(wanted):
        path = f"spec.columns[{place}]"
        was = there.get(column.name) or there.get(column.previous_name or "")
        if was is None:
            _check_new(column, path)
        else:
            _check_changed(was, column, path, policy)
            kept.add(was.name)
    for name in there:
        if name not in kept:
            _check_gone(name, policy)


def check_reviewed(live: TableState, wanted: Table) -> None:
    """Nothing changes before a person has seen what.

    Raises:
        SpecError: something would; it names all that would, and what lets it happen.
    """
    if waiting := changes(live, wanted):
        remedy = f"{'; '.join(waiting)}: this waits to be reviewed; evolution: Safe lets it happen"
        raise SpecError(Reason.ACKNOWLEDGEMENT_REQUIRED, "spec.evolution", "Reviewed", remedy)


def changes(live: TableState, wanted: Table) -> tuple[str, ...]:
    """How columns and layout of a table change, a line each."""
    layout = (("partition", live.partition, wanted.partition), ("sort", live.sort, wanted.sort))
    return (
        *_column_changes(live.columns, wanted.columns),
        *(
            f"~ {what}: {_listed(old)} → {_listed(new)}, for new files"
            for what, old, new in layout
            if old != new
        ),
    )


def _column_changes(live: Sequence[Column], wanted: Sequence[Column]) -> Iterator[str]:
    there = {column.name: column for column in live}
    kept = set()
    for column in wanted:
        was = there.get(column.name) or there.get(column.previous_name or "")
        if was is None:
            yield f"+ column {column.name} {column.type}"
            continue
        kept.add(was.name)
        if was.name != column.name:
            yield f"~ column {was.name} is called {column.name}"
        if was.type != column.type:
            yield f"~ column {column.name}: {was.type} → {column.type}"
        if was.required != column.required:
            yield f"~ column {column.name} is {'required' if column.required else 'optional'}"
    yield from (f"- column {name}" for name in there if name not in kept)


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items) or "none"


def vanishing(live: Sequence[Column], wanted: Sequence[Column]) -> tuple[str, ...]:
    """The names that readers use today and would not find: dropped and renamed columns."""
    names = {column.name for column in wanted}
    return tuple(column.name for column in live if column.name not in names)


def check_readers(
    lost: Sequence[str], source: Source, consumers: Consumers, declared: Sequence[Consumer] = ()
) -> None:
    """Check that no resource and no declared reader depends on a column that goes.

    Raises:
        SpecError: one does; it names all of them.
    """
    for name in lost:
        if who := readers(source, name, consumers):
            remedy = (
                f"column {name} is read by {', '.join(who)}; change these in the same apply or "
                "before, or keep the column and add the new one beside it"
            )
            raise SpecError(Reason.INCOMPATIBLE_CHANGE, "spec.columns", name, remedy)
        if who := declared_readers(name, declared):
            remedy = (
                f"column {name} is read by {', '.join(who)}; keep it, or move these readers and "
                "then list the columns they still read in spec.consumers"
            )
            raise SpecError(Reason.INCOMPATIBLE_CHANGE, "spec.columns", name, remedy)


def _check_new(column: Column, path: str) -> None:
    if column.required:
        remedy = f"column {column.name} is new, and existing rows have no value; make it optional"
        raise SpecError(Reason.INCOMPATIBLE_CHANGE, f"{path}.required", True, remedy)


def _check_changed(was: Column, column: Column, path: str, policy: Policy) -> None:
    if not widens(parse_type(was.type), parse_type(column.type)):
        remedy = (
            f"column {was.name} is {was.type}, and types only widen (int to long, float to double, "
            f"decimal to more digits); keep {was.type} or add a new column"
        )
        raise SpecError(Reason.INCOMPATIBLE_CHANGE, f"{path}.type", column.type, remedy)
    if column.required and not was.required:
        remedy = f"column {was.name} is optional, and existing rows may lack it; leave it optional"
        raise SpecError(Reason.INCOMPATIBLE_CHANGE, f"{path}.required", True, remedy)
    if was.name != column.name and was.name in policy.written:
        remedy = (
            f"job {policy.writer} still writes column {was.name}, and would fail at its next "
            f"start; take {was.name} out of its INSERT first, or add {column.name} beside it"
        )
        raise SpecError(Reason.INCOMPATIBLE_CHANGE, f"{path}.previousName", was.name, remedy)


def _check_gone(name: str, policy: Policy) -> None:
    if not policy.drops:
        remedy = (
            f"column {name} is in the table and no longer declared; declare it, name it as the "
            "previousName of another, or agree to lose it by evolution: Destructive"
        )
        raise SpecError(Reason.DESTRUCTIVE_CHANGE, "spec.columns", name, remedy)
    if name in policy.written:
        remedy = f"job {policy.writer} still writes column {name}; take it out of its INSERT first"
        raise SpecError(Reason.DESTRUCTIVE_CHANGE, "spec.columns", name, remedy)
