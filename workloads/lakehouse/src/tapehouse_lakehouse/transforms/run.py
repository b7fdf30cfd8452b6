"""Brings a transformed table up to date with its inputs: incremental, atomic, idempotent."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from tapehouse_lake.ranges import Range

from tapehouse_lakehouse import rewrite
from tapehouse_lakehouse.ancestry import MAIN
from tapehouse_lakehouse.catalog import Lake
from tapehouse_lakehouse.model import TableSpec
from tapehouse_lakehouse.transforms import changes
from tapehouse_lakehouse.transforms.compute import Difference, difference
from tapehouse_lakehouse.transforms.inputs import Input, pinned, table_of
from tapehouse_lakehouse.transforms.units import (
    Changes,
    Recompute,
    batches,
    merged,
    units,
)

log = logging.getLogger(__name__)

INPUTS = "tapehouse.transform.inputs"
"""Snapshot property: the input snapshots the table is computed from, JSON by identifier."""
DIGEST = "tapehouse.transform.digest"
"""Snapshot property: the hash of the SQL that computed it."""
CHANGED, CORRECTED = "tapehouse.changed-rows", "tapehouse.corrected-rows"

UNITS_PER_COMMIT = 31
HOURS_PER_COMMIT = 24 * UNITS_PER_COMMIT
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run."""

    seen: Mapping[str, int | None]
    """The input snapshots from which the table is now computed."""
    changed: int = 0
    corrected: int = 0


@dataclass(frozen=True, slots=True)
class _State:
    inputs: Mapping[str, int | None]
    digest: str

    def properties(self) -> dict[str, str]:
        return {INPUTS: json.dumps(self.inputs, sort_keys=True), DIGEST: self.digest}


def run(lake: Lake, spec: TableSpec, seen: Mapping[str, int | None] | None = None) -> Outcome:
    """Recompute what changed since the last run and replace the partitions that differ.

    Args:
        seen: the input snapshots for which an earlier run in this process had nothing to write.

    Raises:
        InvalidError: the SQL or an input is wrong; the message names it.
        SupersededError: concurrent commits to the table kept winning.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _run(lake, spec, seen)
        except rewrite.SupersededError:
            if attempt == _ATTEMPTS - 1:
                raise
            log.info("%s was changed by another commit; computing again", spec.identifier)
    raise AssertionError("unreachable")


def _run(lake: Lake, spec: TableSpec, seen: Mapping[str, int | None] | None) -> Outcome:
    target = table_of(lake, spec, spec.identifier)
    inputs = {name: pinned(lake, spec, name) for name in spec.producer.inputs}
    now = _State({n: i.snapshot for n, i in inputs.items()}, _digest(spec))
    before = _state(target)
    if before is not None and seen is not None and before.digest == now.digest:
        before = _State(seen, now.digest)
    what = _what_changed(inputs, before, now)
    kind = _kind(spec, target)
    todo = _todo(kind, what, inputs, target)
    outcome = Outcome(now.inputs)
    for number, batch in enumerate(todo):
        last = number == len(todo) - 1
        found = difference(spec, target, inputs, batch)
        if found is not None:
            state = now if last else before
            _write(target, found, state)
            target = table_of(lake, spec, spec.identifier)
            outcome = _added(outcome, found)
    return outcome


def _todo(
    kind: Recompute, what: Changes, inputs: Mapping[str, Input], target: Table
) -> list[list[Range] | None]:
    """Ranges to recompute, each item in its own commit; None means everything."""
    if not what:
        return []
    if kind is Recompute.ALL:
        return [None]
    ranges = list(what.ranges)
    if what.everything:
        head = target.metadata.snapshot_by_name(MAIN)
        ranges = changes.extent(target, head.snapshot_id if head else None)
        for source in inputs.values():
            ranges += changes.extent(source.table, source.snapshot)
    wanted = units(kind, merged(ranges))
    size = HOURS_PER_COMMIT if kind is Recompute.HOUR else UNITS_PER_COMMIT
    return [merged(batch) for batch in batches(wanted, size)]


def _what_changed(inputs: Mapping[str, Input], before: _State | None, now: _State) -> Changes:
    if before is None or before.digest != now.digest:
        return Changes(everything=True)
    found = [
        changes.since(source.table, before.inputs.get(name), source.snapshot)
        for name, source in inputs.items()
    ]
    ranges = tuple(span for change in found for span in change.ranges)
    return Changes(ranges, any(change.everything for change in found))


def _write(target: Table, found: Difference, state: _State | None) -> None:
    properties = {CHANGED: str(found.changed), CORRECTED: str(found.corrected)}
    properties |= state.properties() if state else {}
    old = _files(target, found)
    rewrite.overwrite(target, MAIN, old, rewrite.write_files(target, found.rows), properties)


def _files(target: Table, found: Difference) -> list[DataFile]:
    head = target.metadata.snapshot_by_name(MAIN)
    if head is None:
        return []
    files = [task.file for task in target.scan(snapshot_id=head.snapshot_id).plan_files()]
    if found.ranges is None:
        return files
    spans = [(file, changes.file_range(target, file)) for file in files]
    return [
        file
        for file, span in spans
        if span is not None
        and any(low <= span[0] and span[1] <= high for low, high in found.ranges)
    ]


def _added(outcome: Outcome, found: Difference) -> Outcome:
    return Outcome(
        outcome.seen,
        changed=outcome.changed + found.changed,
        corrected=outcome.corrected + found.corrected,
    )


def _kind(spec: TableSpec, target: Table) -> Recompute:
    timed = changes.time_partition(target)
    if timed is None or changes.straddles(target, timed[1]):
        return Recompute.ALL
    return Recompute(spec.producer.recompute) if spec.producer.recompute else timed[1]


def _state(target: Table) -> _State | None:
    head = target.metadata.snapshot_by_name(MAIN)
    said = head.summary.additional_properties if head and head.summary else {}
    if INPUTS not in said or DIGEST not in said:
        return None
    return _State(json.loads(said[INPUTS]), said[DIGEST])


def _digest(spec: TableSpec) -> str:
    said = json.dumps([spec.producer.sql, spec.producer.recompute, spec.producer.inputs])
    return hashlib.sha256(said.encode()).hexdigest()
