"""Records that jobs write to topics: what other jobs must know to read them."""

import json
from collections.abc import Sequence
from dataclasses import replace

from tapehouse_contracts.types import parse_type, widens

from tapehouse_operator.api.base import Reason
from tapehouse_operator.emit.events import RESERVED, Event, Field
from tapehouse_operator.errors import SpecError
from tapehouse_operator.names import GROUP

ANNOTATION_COLUMNS = f"{GROUP}/columns"
"""On a job's KafkaTopic: name, type and presence of what its records hold, as JSON."""


def describe(fields: Sequence[Field]) -> str:
    """The annotation's text."""
    return json.dumps([[f.name, f.type, f.required] for f in fields], separators=(",", ":"))


def described(text: str) -> tuple[Field, ...]:
    """What the annotation says."""
    return tuple(Field(name, type_, required) for name, type_, required in json.loads(text))


def readable(now: Sequence[Field], before: Sequence[Field], path: str) -> tuple[Field, ...]:
    """What older records hold, with the types of today, and then what is new.

    So a job that reads a column keeps planning after the records no longer have it.

    Raises:
        SpecError: a column of the output at `path` gets a type that older records do not fit.
    """
    today = {f.name: f for f in now}
    kept = [_merged(was, today.pop(was.name, None), path) for was in before]
    return (*kept, *today.values())


def _merged(was: Field, now: Field | None, path: str) -> Field:
    if now is None:
        return replace(was, required=False)
    if not widens(parse_type(was.type), parse_type(now.type)):
        remedy = (
            f"column {now.name} is {was.type} in what the topic holds; widen it, or write another "
            "topic"
        )
        raise SpecError(Reason.IMMUTABLE, f"{path}.columns", now.type, remedy)
    return replace(now, required=now.required and was.required)


def as_event(topic: str, fields: tuple[Field, ...], path: str) -> Event:
    """The records of a topic as the events an input reads; their time is when they were written.

    Raises:
        SpecError: a column is called like one that every input has; `path` names the topic.
    """
    taken = next((f.name for f in fields if f.name in RESERVED), None)
    if taken is not None:
        remedy = f"its column {taken} is called like one that every input has; give it another name"
        raise SpecError(Reason.INVALID, path, topic, remedy)
    key = next((f.name for f in fields if f.required), fields[0].name)
    return Event(topic, topic, key, event_time=None, fields=fields)
