"""Declared events, their versions, and what their topics hold."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from typing import Any

from tapehouse_contracts.types import parse_type, widens

from tapehouse_operator.names import digest

REGISTRY_KEY = "schema.json"
MAX_VERSIONS = 200
HEADERS = "kafka_headers"
"""The column with all headers: a map made for every record, so only where the SQL names it."""
RESERVED = (
    "event_type",
    "event_time",
    "kafka_topic",
    "kafka_partition",
    "kafka_offset",
    HEADERS,
    "ingested_at",
    "trace_id",
)
"""Columns an input offers besides the event's own fields."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event."""

    name: str
    type: str
    """In Iceberg's grammar, canonically spelt."""
    required: bool = False
    doc: str = ""


@dataclass(frozen=True)
class Event:
    """One kind of event and the topic it goes to."""

    name: str
    topic: str
    key: str
    event_time: str | None
    fields: tuple[Field, ...]
    rules: tuple[Mapping[str, Any], ...] = field(default=(), compare=False)

    @cached_property
    def schema_id(self) -> str:
        """The canonical hash of what a reader must know: names, types, what may be missing."""
        return digest({"event": self.name, "fields": [list(_shape(f)) for f in self.fields]})

    def to(self, topic: str) -> "Event":
        """The same event on another topic."""
        return replace(self, topic=topic)

    def timed(self, event_time: str) -> "Event":
        """The same event with another field as its time."""
        return replace(self, event_time=event_time)

    def document(self) -> dict[str, Any]:
        """The event as workloads read it."""
        return {
            "name": self.name,
            "topic": self.topic,
            "key": self.key,
            "eventTime": self.event_time,
            "schemaId": self.schema_id,
            "fields": [
                {"name": f.name, "type": f.type, "required": f.required} for f in self.fields
            ],
            "rules": [dict(rule) for rule in self.rules],
        }


def event(document: Mapping[str, Any], topic: str | None = None) -> Event:
    """Read an event from its JSON form, that of presets and of ConfigMaps."""
    return Event(
        name=document["name"],
        topic=topic or document["topic"],
        key=document["key"],
        event_time=document.get("eventTime"),
        fields=tuple(
            Field(
                name=f["name"],
                type=str(parse_type(f["type"])),
                required=f.get("required", False),
                doc=f.get("doc", ""),
            )
            for f in document["fields"]
        ),
        rules=tuple(map(_rule, document.get("rules", ()))),
    )


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """With whole bounds as integers, which is what integers are compared to."""
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in rule.items()
    }


def on_topic(events: Iterable[Event], topic: str) -> tuple[Event, ...]:
    """The events that go to `topic`, in order of declaration."""
    return tuple(e for e in events if e.topic == topic)


def union(events: Sequence[Event]) -> tuple[Field, ...]:
    """The fields of all events together; required is what every one of them requires.

    Raises:
        ValueError: two events give one field different types.
    """
    fields: dict[str, Field] = {}
    for each in events:
        for found in each.fields:
            known = fields.setdefault(found.name, found)
            if known.type != found.type:
                raise ValueError(
                    f"field {found.name} is {known.type} in one event and {found.type} in "
                    f"{each.name}, and both go to topic {each.topic}; give them one type or "
                    "topics of their own"
                )
    required = {
        name
        for name in fields
        if all(any(f.name == name and f.required for f in e.fields) for e in events)
    }
    return tuple(Field(f.name, f.type, f.name in required, f.doc) for f in fields.values())


@dataclass(frozen=True, slots=True)
class Registry:
    """The accepted versions of a feed's events, oldest first: the schema ConfigMap."""

    current: tuple[Event, ...] = ()
    """The newest accepted version of every declared event."""
    versions: tuple[Event, ...] = ()
    """Every accepted version that readers may still meet."""

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Registry":
        """From the ConfigMap's data; nothing is known yet when it is empty."""
        text = data.get(REGISTRY_KEY)
        if not text:
            return cls()
        document = json.loads(text)
        return cls(
            tuple(event(e) for e in document["events"]),
            tuple(event(e) for e in document["versions"]),
        )

    def latest(self, name: str) -> Event | None:
        """The newest accepted version of an event, declared now or not."""
        return next((e for e in reversed(self.versions) if e.name == name), None)

    def accept(self, events: Sequence[Event]) -> "Registry":
        """With `events` declared; a version seen before becomes the newest again."""
        versions = list(self.versions)
        for each in events:
            if self.latest(each.name) != each:
                versions = [v for v in versions if v.schema_id != each.schema_id]
                versions.append(each)
        return Registry(tuple(events), tuple(versions[-MAX_VERSIONS:]))

    def readable(self, name: str) -> Event | None:
        """A declared event with the fields older versions had besides.

        So a job that reads a field keeps planning after the feed no longer has it.
        """
        now = next((e for e in self.current if e.name == name), None)
        if now is None:
            return None
        fields = {f.name: f for f in now.fields}
        for older in reversed(self.versions):
            if older.name == name:
                for f in older.fields:
                    fields.setdefault(f.name, replace(f, required=False))
        return replace(now, fields=tuple(fields.values()))

    def document(self, feed: str) -> dict[str, Any]:
        """The JSON form, for the ConfigMap."""
        return {
            "feed": feed,
            "events": [e.document() for e in self.current],
            "versions": [e.document() for e in self.versions],
        }


@dataclass(frozen=True, slots=True)
class Break:
    """A change of an event that breaks a promise."""

    field: str
    problem: str


def unreadable(old: Event, new: Event) -> Break | None:
    """Why a reader that knows `new` cannot read what was written as `old`, if so."""
    before = {f.name: f for f in old.fields}
    for now in new.fields:
        was = before.get(now.name)
        if was is None:
            if now.required:
                return Break(now.name, "is new and required, but old events do not have it")
        elif not widens(parse_type(was.type), parse_type(now.type)):
            return Break(now.name, f"changes from {was.type} to {now.type}")
        elif now.required and not was.required:
            return Break(now.name, "becomes required, but old events may lack it")
    return None


def _presets() -> dict[str, tuple[Event, ...]]:
    found = {}
    for entry in (files("tapehouse_tape") / "presets").iterdir():
        if entry.name.endswith(".json"):
            document = json.loads(entry.read_text(encoding="utf-8"))
            found[document["preset"]] = tuple(event(e) for e in document["events"])
    return found


PRESETS: Mapping[str, tuple[Event, ...]] = _presets()
"""The shipped events by name: data of another distribution, read once, never its code."""


def _shape(f: Field) -> tuple[str, str, bool]:
    return f.name, f.type, f.required
