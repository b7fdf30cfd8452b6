"""Foreign frames made into events, as `spec.mapping` declares."""

from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

import msgspec
from tapehouse_contracts.types import parse_event_type
from tapehouse_tape.events import DeclarationError, Event, Invalid, Reason

from tapehouse_feed.config import FieldMapping, FrameMapping
from tapehouse_feed.paths import MISSING, Reader, reader, views
from tapehouse_feed.values import converter, text

_FIXED = ("quantity", "size")
"""Fields whose names end so are scaled by `quantityScale`."""
Maker = Callable[[Any], Any]
_numbers_as_they_came = msgspec.json.Encoder(decimal_format="number")
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
"""Numbers keep their digits."""


class Mapped(msgspec.Struct, gc=False):
    """A foreign frame, or an element of the list in it, as an event."""

    event: str
    data: bytes
    sequence: int | None
    refusal: Invalid | None = None
    """Why a value cannot become its field's type; `data` then lacks that field."""
    index: int = 0
    """Which event of its number it is: elements share one that the frame has."""
    alone: Callable[[], bytes] | None = None
    """Makes a frame with this element alone, where there are several."""


class _Rule(msgspec.Struct, gc=False):
    field: Reader
    equals: str
    event: str
    each: str | None
    shares_number: bool
    """Whether the elements of a list share the frame's number."""
    makers: list[tuple[str, Maker]]


class Mapper:
    """The mappings of one feed; the first whose condition holds is taken."""

    def __init__(
        self, mappings: Sequence[FrameMapping], events: Iterable[Event], sequence_field: str
    ) -> None:
        by_name = {event.name: event for event in events}
        self._sequence = reader(sequence_field)
        self._rules = [
            _Rule(
                reader(mapping.when.field),
                mapping.when.equals,
                mapping.event,
                mapping.each,
                not f"{sequence_field}.".startswith(f"{mapping.each}."),
                _makers(mapping, by_name[mapping.event]),
            )
            for mapping in mappings
        ]

    def apply(self, frame: Any) -> list[Mapped] | None:
        """The events a frame is mapped to, or None when no mapping is for it.

        Raises `Invalid` when a mapping is for each element of a list that is not there.
        """
        for rule in self._rules:
            if text(rule.field(frame)) == rule.equals:
                return self._mapped(rule, frame)
        return None

    def _mapped(self, rule: _Rule, frame: Any) -> list[Mapped]:
        if rule.each is None:
            return [self._event(rule, frame)]
        try:
            found = list(views(frame, rule.each))
        except TypeError as error:
            raise Invalid(Reason.WRONG_TYPE, str(error)) from None
        events = []
        for index, (view, alone) in enumerate(found):
            event = self._event(rule, view)
            event.index = index if rule.shares_number else 0
            if len(found) > 1:
                event.alone = partial(_numbers_as_they_came.encode, alone)
            events.append(event)
        return events

    def _event(self, rule: _Rule, view: Any) -> Mapped:
        data, refusal = {}, None
        for name, make in rule.makers:
            try:
                value = make(view)
            except Invalid as invalid:
                refusal = refusal or invalid
                continue
            if value is not MISSING:
                data[name] = value
        return Mapped(rule.event, _numbers_as_they_came.encode(data), self.number(view), refusal)

    def number(self, frame: Any) -> int | None:
        """The frame's sequence number, if it has one."""
        number = self._sequence(frame)
        if isinstance(number, str) and number.isascii() and number.isdecimal():
            number = int(number) if len(number) < 20 else None
        is_number = isinstance(number, int) and not isinstance(number, bool)
        return number if is_number and 0 <= number < 2**63 else None


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
    convert = converter(name, parse_event_type(type_), scale=scale, unit=declared.unit or "iso")
    names = declared.map or {}
    if declared.from_ is None:
        constant = declared.value
        return lambda frame: convert(constant)
    read = reader(declared.from_)

    def make(frame: Any) -> Any:
        value = read(frame)
        if value is None or value is MISSING:
            return value
        return convert(names.get(text(value), value) if names else value)

    return make


def decoded(frame: bytes) -> Any:
    """A foreign frame.

    Raises `Invalid` when it is neither a JSON object nor a list.
    """
    try:
        value = _decode(frame.removeprefix(BOM_UTF8))
    except RecursionError:
        raise Invalid(Reason.NOT_JSON, "nested too deeply") from None
    except InvalidOperation:
        raise Invalid(Reason.NOT_JSON, "a number has too large an exponent") from None
    except msgspec.DecodeError as error:
        raise Invalid(Reason.NOT_JSON, str(error)) from None
    if not isinstance(value, (dict, list)):
        raise Invalid(
            Reason.NOT_AN_OBJECT, f"expected an object or a list, got {type(value).__name__}"
        )
    return value
