"""Declared events, and the decoders made from them: bytes in, a checked event or a reason out."""

import enum
import re
from collections.abc import Callable, Sequence
from importlib import resources
from operator import attrgetter
from typing import Any

import msgspec
from tapehouse_contracts.types import IceType, Primitive, parse_event_type

from tapehouse_tape import bounds, decimals, times
from tapehouse_tape.rules import Rule, RuleError, by_field, constrained, non_finite


class Reason(enum.StrEnum):
    """Why a frame became a dead letter; a closed set, in headers and metrics."""

    NOT_UTF8 = "not-utf8"
    NOT_JSON = "not-json"
    NOT_AN_OBJECT = "not-an-object"
    UNKNOWN_EVENT = "unknown-event"
    MISSING_DATA = "missing-data"
    MISSING_FIELD = "missing-field"
    WRONG_TYPE = "wrong-type"
    RULE = "rule"
    BAD_TIMESTAMP = "bad-timestamp"
    TOO_LARGE = "too-large"
    UNEXPECTED = "unexpected"
    """The check itself failed: a fault of Tapehouse, which the detail names."""


class Invalid(Exception):  # noqa: N818  (a verdict on data, not a fault of the program)
    """Data that is not the event it claims to be."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class DeclarationError(ValueError):
    """An event is declared in a way no decoder can be made from; names event and field."""


class Field(msgspec.Struct, frozen=True):
    """One field of an event; `type` in Iceberg's grammar."""

    name: str
    type: str
    required: bool = False
    doc: str = ""


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """One declared kind of event."""

    name: str
    topic: str
    key: str
    fields: tuple[Field, ...]
    event_time: str | None = None
    rules: tuple[Rule, ...] = ()
    schema_id: str = ""


class Preset(msgspec.Struct, frozen=True):
    """A set of events shipped with the package."""

    preset: str
    events: tuple[Event, ...]


def load_preset(name: str) -> Preset:
    """A shipped preset, such as `market/v1`.

    Raises `DeclarationError` when there is none of that name.
    """
    shipped = resources.files("tapehouse_tape") / "presets"
    file = shipped / f"{name.replace('/', '-')}.json"
    if not file.is_file():
        raise DeclarationError(f"preset {name!r}: there is no such preset; try market/v1")
    return msgspec.json.decode(file.read_bytes(), type=Preset)


class Codec:
    """Checks one kind of event and reads from it what routing needs.

    `decode` takes bytes and gives a struct whose attributes are the event's fields. Unknown fields
    are passed over; an optional field may be missing or null; the event time always may.
    """

    def __init__(self, event: Event) -> None:
        self.event = event
        types = _parsed_types(event)
        self.decode: Callable[[bytes], Any] = _decoder(event, types, event.rules)
        self._decode_loosely: Callable[[bytes], Any] = _decoder(event, types, ())
        self.key: Callable[[Any], Any] = attrgetter(event.key)
        self.event_time: Callable[[Any], str | None] | None = (
            attrgetter(event.event_time) if event.event_time else None
        )
        self.times: tuple[str, ...] = tuple(
            name for name, type_ in types.items() if type_ == Primitive("timestamptz")
        )
        self._time_paths = tuple(f"`$.{name}`" for name in self.times)
        self.other_times = tuple(name for name in self.times if name != event.event_time)
        self.has_canonical_times: Callable[[Any], bool] = _times_check(
            event.event_time, self.other_times
        )
        """Whether the event time is there and every time is in canonical form."""
        self.decimals: tuple[tuple[str, decimals.Check], ...] = tuple(
            (name, check) for name, type_ in types.items() if (check := decimals.check_of(type_))
        )
        """The fields that are decimals or hold some."""
        self._bounds = _bounds(event, types)
        self._plain_decimals = tuple(
            name
            for name, type_ in types.items()
            if isinstance(type_, Primitive) and type_.name == "decimal"
        )

    def explain(self, data: bytes, error: msgspec.DecodeError | RecursionError) -> Invalid:
        """The verdict on `data` that `decode` refused with `error`."""
        if isinstance(error, RecursionError):
            return Invalid(Reason.NOT_JSON, "nested too deeply")
        infinite = non_finite(data)
        if infinite is not None:
            return Invalid(Reason.RULE, f"{infinite} is not a finite number")
        detail = str(error)
        if not isinstance(error, msgspec.ValidationError):
            return Invalid(Reason.NOT_JSON, detail)
        if "missing required field" in detail:
            return Invalid(Reason.MISSING_FIELD, detail)
        if detail.endswith(self._time_paths):
            return Invalid(Reason.BAD_TIMESTAMP, detail)
        return Invalid(self._broken(data), detail)

    def _broken(self, data: bytes) -> Reason:
        """A rule, when the data decodes without the rules; else a type."""
        try:
            self._decode_loosely(data)
        except msgspec.ValidationError:
            return Reason.WRONG_TYPE
        return Reason.RULE

    def check_decimals(self, decoded: Any, data: bytes | msgspec.Raw) -> None:
        """Check the decimals of an event, which the decoder only reads.

        Raises `Invalid` when one in `data` is none that its type carries, or breaks a rule.
        """
        if not self.decimals:
            return
        for name, check in self.decimals:
            value = getattr(decoded, name)
            if value is not None:
                for path, misfit, type_ in check(value, name):
                    detail = f"{path}: {str(misfit)[:60]} does not fit {type_}"
                    raise Invalid(Reason.WRONG_TYPE, detail)
        self._check_plain(data)
        for name, find in self._bounds:
            value = getattr(decoded, name)
            if value is not None:
                for path, problem in find(value, name):
                    raise Invalid(Reason.RULE, f"{path}: {problem}")

    def _check_plain(self, data: bytes | msgspec.Raw) -> None:
        if not self._plain_decimals:
            return
        members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        for name in self._plain_decimals:
            if name in members and not decimals.is_plain(members[name]):
                shown = bytes(members[name])[:60].decode("utf-8", "replace")
                raise Invalid(Reason.WRONG_TYPE, f"{name}: {shown} is not a decimal")

    def corrected_times(self, decoded: Any, fallback: str) -> dict[str, str]:
        """Every time in canonical form, `fallback` standing in for a missing event time.

        Raises `Invalid` when one is not a real moment.
        """
        corrected = {}
        for name in self.times:
            text = getattr(decoded, name)
            if text is None and name == self.event.event_time:
                text = fallback
            if text is not None:
                corrected[name] = _canonical(name, text)
        return corrected


def _times_check(event_time: str | None, others: Sequence[str]) -> Callable[[Any], bool]:
    is_canonical = times.is_canonical
    own = attrgetter(event_time) if event_time else None
    rest = tuple(map(attrgetter, others))

    def usual(event: Any) -> bool:
        text = own(event)  # type: ignore[misc]
        return text is not None and is_canonical(text)

    def every(event: Any) -> bool:
        texts = [read(event) for read in rest]
        return (own is None or usual(event)) and all(
            text is None or is_canonical(text) for text in texts
        )

    return usual if own and not rest else every


def _canonical(name: str, text: str) -> str:
    if times.is_canonical(text):
        return text
    try:
        return times.normalise(text)
    except ValueError as error:
        raise Invalid(Reason.BAD_TIMESTAMP, f"{name}: {error}") from None


def _parsed_types(event: Event) -> dict[str, IceType]:
    types: dict[str, IceType] = {}
    for field in event.fields:
        if not field.name.isidentifier() or field.name in types:
            raise DeclarationError(f"{event.name}.{field.name}: not a name, or used twice")
        try:
            types[field.name] = parse_event_type(field.type)
        except ValueError as error:
            raise DeclarationError(f"{event.name}.{field.name}: {field.type!r}: {error}") from None
    for role, name in (("key", event.key), ("eventTime", event.event_time)):
        if name is not None and name not in types:
            raise DeclarationError(f"{event.name}: {role} {name!r} is not one of its fields")
    if event.event_time is not None and types[event.event_time] != Primitive("timestamptz"):
        raise DeclarationError(f"{event.name}: eventTime {event.event_time!r} is not a timestamptz")
    return types


def _bounds(event: Event, types: dict[str, IceType]) -> tuple[tuple[str, bounds.Check], ...]:
    """The fields that are decimals with rules or hold some; `_decoder` has checked the rules."""
    grouped = by_field(event.rules, types, event.name)
    return tuple(
        (name, check)
        for name, type_ in types.items()
        if (check := bounds.check_of(type_, grouped.get(name, ()), name))
    )


def _decoder(
    event: Event, types: dict[str, IceType], rules: Sequence[Rule]
) -> Callable[[bytes], Any]:
    try:
        grouped = by_field(rules, types, event.name)
        members: list[Any] = []
        for field in event.fields:
            kind = constrained(types[field.name], grouped.get(field.name, ()), field.name)
            required = field.required and field.name != event.event_time
            members.append((field.name, kind) if required else (field.name, kind | None, None))
        shape = msgspec.defstruct(event.name, members, gc=False, kw_only=True)
        return msgspec.json.Decoder(shape).decode
    except (RuleError, TypeError, ValueError, re.error) as error:
        raise DeclarationError(f"{event.name}: {error}") from None


__all__ = [
    "Codec",
    "DeclarationError",
    "Event",
    "Field",
    "Invalid",
    "Preset",
    "Reason",
    "load_preset",
]
