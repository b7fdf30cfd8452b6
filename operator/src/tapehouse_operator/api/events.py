"""What events look like: fields, rules, and the mapping of foreign frames onto them."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from tapehouse_operator.api.base import Change, Model, Reason, Rule
from tapehouse_operator.api.types import (
    Boolean,
    EventTypeText,
    FieldPath,
    Identifier,
    Integer,
    Number,
    Text,
)

EventName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$", max_length=128)]


class EventField(Model):
    """One field of an event."""

    keyed_by: ClassVar[tuple[str, ...]] = ("name",)

    name: Identifier
    """The field's name in the event's JSON. Example: `price`."""
    type: EventTypeText
    """Its type in Iceberg's grammar: boolean, int, long, float, double, decimal(p,s), date, time,
    timestamp, timestamptz, string, uuid, binary, list<…>, map<…, …>, struct<name: type, …>."""
    required: Boolean = False
    """Whether an event without it is a dead letter. Default: false, it may be null or absent."""
    doc: Annotated[Text, Change.IN_PLACE] = ""
    """What it means, with its unit; copied to tables and to the catalog."""


class EventRule(Model):
    """What must hold of a field's value; an event that breaks a rule is a dead letter."""

    field: FieldPath
    """The field the rule is about; null and absent values pass. A member of the structs that a
    field holds, one or a list of them, by a dotted path. Example: `price`, `bids.price`."""
    min: Number | None = None
    """The smallest value allowed. Default: none."""
    max: Number | None = None
    """The largest value allowed. Default: none."""
    finite: Boolean = False
    """Refuse NaN and infinities. Default: false."""
    positive: Boolean = False
    """Refuse zero and less. Default: false."""
    one_of: Annotated[tuple[Text, ...], Field(max_length=256)] = ()
    """The only texts allowed. Default: any. Example: [Buy, Sell]."""
    pattern: Annotated[str, Field(max_length=512)] = ""
    """A regular expression the whole text must match. Default: any."""


class Event(Model):
    """One kind of event."""

    keyed_by: ClassVar[tuple[str, ...]] = ("name",)
    invariants = (
        Rule(
            "self.fields.exists(f, f.name == self.key)",
            "key must be one of the event's fields",
            lambda e: any(f.name == e.key for f in e.fields),
            field="key",
            reason=Reason.UNKNOWN_COLUMN,
        ),
        Rule(
            "!has(self.eventTime) || self.fields.exists(f, f.name == self.eventTime)",
            "eventTime must be one of the event's fields",
            lambda e: e.event_time is None or any(f.name == e.event_time for f in e.fields),
            field="eventTime",
            reason=Reason.UNKNOWN_COLUMN,
        ),
        Rule(
            "!has(self.rules) || self.rules.all(r, r.field.contains('.') || "
            "self.fields.exists(f, f.name == r.field))",
            "every rule must be about one of the event's fields",
            lambda e: all("." in r.field or r.field in {f.name for f in e.fields} for r in e.rules),
            field="rules",
            reason=Reason.UNKNOWN_COLUMN,
        ),
    )

    name: EventName
    """The kind, as `event_type` in the frame. Example: `TradeExecuted`."""
    fields: Annotated[tuple[EventField, ...], Field(min_length=1, max_length=128)]
    """What the event carries. Unknown fields in a frame are tolerated and not kept."""
    key: Identifier
    """The field whose text is the Kafka key: its events stay in order. Example: `symbol`."""
    event_time: Identifier | None = None
    """The field with the event's own time. Default: the envelope's time, else when it came in."""
    rules: Annotated[tuple[EventRule, ...], Field(max_length=64)] = ()
    """What must hold of the values; an event that breaks a rule is a dead letter."""


class When(Model):
    """Which foreign frames a mapping is for."""

    field: Annotated[str, Field(min_length=1, max_length=256)]
    """Dotted path in the frame. Example: `e`."""
    equals: Annotated[str, Field(max_length=256)]
    """The text the value must have; numbers and booleans as JSON writes them. Example: `trade`."""


class TimeUnit(StrEnum):
    """What a foreign time counts."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"
    NANOSECONDS = "ns"
    ISO = "iso"


class FieldMapping(Model):
    """How one field of the event is made from the foreign frame."""

    invariants = (
        Rule(
            "has(self.from) != has(self.value)",
            "exactly one of from, value must be set",
            lambda m: (m.from_ is None) != (m.value is None),
        ),
    )

    from_: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(None, alias="from")
    """Dotted path in the foreign frame. Example: `p`."""
    value: Annotated[str, Field(max_length=1024)] | None = None
    """A constant instead, converted to the field's type. Example: `coinbase`."""
    scale: Annotated[Number, Field(gt=0)] | None = None
    """Multiply a number by this, then round it if the field is an integer. Default: as it is."""
    unit: TimeUnit | None = None
    """What a foreign time counts since 1970: `s`, `ms`, `us`, `ns`, or `iso` for a text. A number
    that is no time between 1990 and 2100 in this unit is a dead letter. Default: iso."""
    map: (
        Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=256)] | None
    ) = None
    """Texts to replace by other texts. Default: none. Example: {buy: Buy, sell: Sell}."""


FramePath = Annotated[str, Field(min_length=1, max_length=256)]


class FrameMapping(Model):
    """How one kind of foreign frame becomes one kind of event."""

    when: When
    """Which frames it is for."""
    each: FramePath | None = None
    """Dotted path of a list in the frame: every element becomes an event. In `fields` and in
    `continuity.sequenceField` the element stands at the list's own path, so that
    `data.price` is a member of the element and `channel` one of the frame. A list on the way is
    taken element by element, too. Default: one event for each frame. Example: `data`."""
    event: EventName
    """The event it becomes. Example: `TradeExecuted`."""
    fields: Annotated[dict[str, FieldMapping], Field(min_length=1, max_length=64)]
    """By field of the event: where its value comes from."""
    quantity_scale: Annotated[Integer, Field(ge=1, le=10**12)] = 1
    """Fixed point for fractional quantities: fields named `*quantity` and `*size` are multiplied
    by this before they are rounded to integers. Default: 1. Example: 1000000."""
