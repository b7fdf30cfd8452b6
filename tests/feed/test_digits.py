"""Numbers keep their digits from the frame to the event."""

import json
from decimal import Decimal
from typing import Any

import pytest
from tapehouse_feed.actions import DeadLetter, Deliver
from tapehouse_feed.config import FieldMapping, FrameMapping, When
from tapehouse_feed.mapping import Mapper
from tapehouse_feed.session import Session
from tapehouse_tape.events import Event, Field

EVENT = Event(
    "Trade",
    "t",
    "symbol",
    (
        Field("symbol", "string", required=True),
        Field("amount", "decimal(38,9)"),
        Field("amount_text", "string"),
        Field("levels", "list<double>"),
        Field("volume", "long"),
    ),
)
MAPPING = FrameMapping(
    When("e", "t"),
    "Trade",
    {
        "symbol": FieldMapping(from_="s"),
        "amount": FieldMapping(from_="a"),
        "amount_text": FieldMapping(from_="a"),
        "levels": FieldMapping(from_="l"),
        "volume": FieldMapping(from_="Vol."),
    },
)


def mapped(frame: bytes) -> Any:
    session = Session(
        "f",
        (EVENT,),
        stream="0" * 16,
        run="1" * 16,
        mapper=Mapper((MAPPING,), (EVENT,), "sequence"),
    )
    return session.receive_row(frame, 1, frame, 0)[0]


def values(frame: bytes) -> dict[str, Any]:
    action = mapped(frame)
    assert isinstance(action, Deliver), action
    found: dict[str, Any] = json.loads(action.value, parse_float=Decimal)
    return found


def test_a_mapped_number_keeps_its_digits() -> None:
    found = values(b'{"e":"t","s":"A","a":123456789012.123456789,"l":[0.1,2]}')
    assert found["amount"] == found["amount_text"] == "123456789012.123456789"
    assert found["levels"] == [Decimal("0.1"), 2]


def test_a_name_with_a_dot_is_one_member() -> None:
    assert values(b'{"e":"t","s":"A","Vol.":1200}')["volume"] == 1200


def test_a_byte_order_mark_is_left_out() -> None:
    assert values(b'\xef\xbb\xbf{"e":"t","s":"A"}')["symbol"] == "A"
    plain = Session("f", (EVENT,), stream="0" * 16, run="1" * 16)
    frame = b'\xef\xbb\xbf{"event_type":"Trade","data":{"symbol":"A"}}'
    assert isinstance(plain.receive_row(frame, 1, frame, 0)[0], Deliver)


@pytest.mark.parametrize(
    "number", ["1e99999999999999999999", "1e999999", "9" * 5_000, "1" * 40, "0.1234567891"]
)
def test_a_number_that_no_decimal_carries_is_a_dead_letter(number: str) -> None:
    assert isinstance(mapped(b'{"e":"t","s":"A","a":%s}' % number.encode()), DeadLetter)


def test_more_than_28_digits_are_counted_exactly() -> None:
    fits = "12345678901234567890123456789.123456789"
    assert values(b'{"e":"t","s":"A","a":%s}' % fits.encode())["amount"] == fits
    assert isinstance(mapped(b'{"e":"t","s":"A","a":%s1}' % fits.encode()), DeadLetter)
