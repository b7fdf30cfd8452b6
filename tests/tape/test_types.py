"""What msgspec checks of a value of each type."""

import msgspec
import pytest
from tapehouse_contracts.types import parse_event_type
from tapehouse_tape.types import python_type


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("int", b"2147483647", b"2147483648"),
        ("long", b"9223372036854775807", b"9223372036854775808"),
        ("double", b"1", b'"1"'),
        ("boolean", b"true", b"1"),
        ("date", b'"2026-02-28"', b'"2026-02-30"'),
        ("uuid", b'"6f1c0d5e-0000-4000-8000-000000000001"', b'"6f1c"'),
        ("binary", b'"AAEC"', b'"*"'),
        ("timestamp", b'"2026-02-28T10:00:00"', b'"2026-02-28T10:00:00Z"'),
        ("list<int>", b"[1,2]", b"[1,null]"),
        ("map<string, int>", b'{"a":1}', b'{"a":"x"}'),
        ("struct<a: int>", b'{"a":1,"new":2}', b"{}"),
    ],
)
def test_values_are_checked(type_: str, good: bytes, bad: bytes) -> None:
    decoder = msgspec.json.Decoder(python_type(parse_event_type(type_)))
    decoder.decode(good)
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(bad)
