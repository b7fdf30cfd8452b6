"""Foreign frames made into events, as `spec.mapping` declares."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from tapehouse_tape.events import DeclarationError, Event, Invalid, Reason
from tapehouse_tape.types import parse

from tapehouse_feed.config import FieldMapping, FrameMapping
from tapehouse_feed.values import converter, text

_FIXED = ("quantity", "size")
"""Fields whose names end so are scaled by `quantityScale`."""
_MISSING = object()
Maker = Callable[[Mapping[str, Any]], Any]


class Mapped(msgspec.Struct, gc=False):
    """A foreign frame as an event."""

    event: str
    data: bytes
    sequence: int | None
    refusal: Invalid | None = None
    """Why a value cannot become its field's type; `data` then lacks that field."""


class Mapper:
    """The mappings of one feed; the first whose condition holds is taken."""

    def __init__(
        self, mappings: Sequence[FrameMapping], events: Iterable[Event], sequence_field: str
    ) -> None:
        by_name = {event.name: event for event in events}
        self._sequence = _path(sequence_field)
        self._rules = [
            (_path(mapping.when.field), mapping.when.equals, mapping.event, _makers(mapping, event))
            for mapping in mappings
            for event in (by_name[mapping.event],)
        ]

    def apply(self, frame: Mapping[str, Any]) -> Mapped | None:
        """The event a frame is mapped to, or None when no mapping is for it."""
        for field, equals, event, makers in self._rules:
            if text(field(frame)) == equals:
                data, refusal = {}, None
                for name, make in makers:
                    try:
                        value = make(frame)
                    except Invalid as invalid:
                        refusal = refusal or invalid
                        continue
                    if value is not _MISSING:
                        data[name] = value
                encoded = msgspec.json.encode(data)
                return Mapped(event, encoded, self._number(frame), refusal)
        return None

    def _number(self, frame: Mapping[str, Any]) -> int | None:
        number = self._sequence(frame)
        if isinstance(number, str) and number.isdecimal():
            return int(number)
        return number if isinstance(number, int) and number >= 0 else None


def _makers(mapping: FrameMapping, event: Event) -> list[tuple[str, Maker]]:
    types = {field.name: field.type for field in event.fields}
    unknown = [name for name in mapping.fields if name not in types]
    if unknown:
        raise DeclarationError(
            f"mapping of {event.name}: {unknown[0]!r} is not one of {', '.join(types)}"
        )
    return [
        (name, _maker(name, types[name], declared, mapping.quantity_scale))
        for name, declared in mapping.fields.items()
    ]


def _maker(name: str, type_: str, declared: FieldMapping, quantity_scale: int) -> Maker:
    scale = Decimal(str(declared.scale if declared.scale is not None else 1))
    if name.endswith(_FIXED):
        scale *= quantity_scale
    convert = converter(name, parse(type_), scale=scale, unit=declared.unit or "iso")
    names = declared.map or {}
    if declared.from_ is None:
        constant = declared.value
        return lambda frame: convert(constant)
    read = _path(declared.from_)

    def make(frame: Mapping[str, Any]) -> Any:
        value = read(frame)
        if value is None or value is _MISSING:
            return value
        return convert(names.get(text(value), value))

    return make


def _path(dotted: str) -> Callable[[Any], Any]:
    """Reads a dotted path; numbers are places in lists."""
    steps = dotted.split(".")

    def read(value: Any) -> Any:
        for step in steps:
            if isinstance(value, Mapping):
                value = value.get(step, _MISSING)
            elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            else:
                return _MISSING
        return value

    return read


def decoded(frame: bytes) -> Mapping[str, Any]:
    """A foreign frame.

    Raises `Invalid` when it is not a JSON object.
    """
    try:
        value = msgspec.json.decode(frame)
    except RecursionError:
        raise Invalid(Reason.NOT_JSON, "nested too deeply") from None
    except msgspec.DecodeError as error:
        raise Invalid(Reason.NOT_JSON, str(error)) from None
    if not isinstance(value, dict):
        raise Invalid(Reason.NOT_AN_OBJECT, f"expected an object, got {type(value).__name__}")
    return value
