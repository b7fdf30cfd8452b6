"""Readers of a table's column or of an event's field, as far as specs show them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tapehouse_operator.api.tableparts import Consumer
from tapehouse_operator.emit.core import ObjectKey

Spec = Mapping[str, Any]
"""A resource's spec as it was written: it may be refused, so nothing in it is sure."""
Consumers = Mapping[ObjectKey, Spec]
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Source(NamedTuple):
    """What is read: a LakehouseTable or a TradeFeed, by its name."""

    kind: str
    name: str


def readers(source: Source, column: str, consumers: Consumers) -> tuple[str, ...]:
    """Where `column` of `source` is read, as `dashboard/candles (spec.charts[0].values)`."""
    found = (
        f"{at.kind.lower()}/{at.name} ({path})"
        for at, spec in sorted(consumers.items())
        for path, name in _reads(source, at.kind, spec)
        if name == column
    )
    return tuple(dict.fromkeys(found))


def declared_readers(column: str, declared: Sequence[Consumer]) -> tuple[str, ...]:
    """The readers outside Tapehouse that a table's own spec says depend on `column`."""
    return tuple(
        f"{consumer.name} (spec.consumers[{number}])"
        for number, consumer in enumerate(declared)
        if column in consumer.columns or not consumer.columns
    )


def event_readers(feed: str, event: str, consumers: Consumers) -> tuple[str, ...]:
    """Which jobs read an event of a feed by its name."""
    return tuple(
        f"{at.kind.lower()}/{at.name} (spec.inputs[{place}])"
        for at, spec in sorted(consumers.items())
        for place, given in enumerate(_items(spec, "inputs"))
        if (given.get("feed"), given.get("event")) == (feed, event)
    )


def _reads(source: Source, kind: str, spec: Spec) -> Iterator[tuple[str, str]]:
    """Paths in a consumer's spec, and the columns named there."""
    match kind:
        case "StreamJob":
            yield from _job(source, spec)
        case "LakehouseTable":
            transform = spec.get("transform") or {}
            if source.kind == kind and source.name in transform.get("inputs", ()):
                yield from _words("spec.transform.sql", transform.get("sql"))
        case "QualitySuite":
            yield from _suite(source, spec)
        case "Dashboard":
            yield from _dashboard(source, spec)


def _job(source: Source, spec: Spec) -> Iterator[tuple[str, str]]:
    field = "table" if source.kind == "LakehouseTable" else "feed"
    inputs = _items(spec, "inputs")
    if not any(given.get(field) == source.name for given in inputs):
        return
    yield from _words("spec.sql", spec.get("sql"))
    for place, given in enumerate(inputs):
        if given.get(field) == source.name:
            yield from ((f"spec.inputs[{place}].unique", name) for name in given.get("unique", ()))


def _suite(source: Source, spec: Spec) -> Iterator[tuple[str, str]]:
    field = "table" if source.kind == "LakehouseTable" else "feed"
    if (spec.get("target") or {}).get(field) != source.name:
        return
    for place, each in enumerate(_items(spec, "expectations")):
        for argument, value in (each.get("kwargs") or {}).items():
            path = f"spec.expectations[{place}].kwargs.{argument}"
            if argument == "query":
                yield from _words(path, value)
            elif argument.startswith("column"):
                yield from ((path, str(n)) for n in (value if isinstance(value, list) else [value]))
    if column := (spec.get("freshness") or {}).get("column"):
        yield "spec.freshness.column", column


def _dashboard(source: Source, spec: Spec) -> Iterator[tuple[str, str]]:
    """A filter is for every dataset that has its column, so it misses none that has not."""
    datasets = _items(spec, "datasets")
    ours = {
        d.get("name") for d in datasets if source == Source("LakehouseTable", d.get("table", ""))
    }
    for place, chart in enumerate(_items(spec, "charts")):
        if chart.get("dataset") in ours:
            for field in ("x", "values", "series"):
                value = chart.get(field) or ()
                names = [value] if isinstance(value, str) else value
                yield from ((f"spec.charts[{place}].{field}", name) for name in names)


def _words(path: str, sql: object) -> Iterator[tuple[str, str]]:
    """Every word of an SQL text: one too many is asked about rather than one too few."""
    yield from (
        (path, word) for word in dict.fromkeys(_WORD.findall(sql if isinstance(sql, str) else ""))
    )


def _items(spec: Spec, field: str) -> list[Mapping[str, Any]]:
    return [item for item in spec.get(field) or () if isinstance(item, Mapping)]
