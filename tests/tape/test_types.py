"""The type grammar: what it takes, what it refuses, what msgspec then checks."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapehouse_tape import types
from tapehouse_tape.types import Decimal, ListOf, MapOf, Primitive, StructOf

names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
primitives = st.sampled_from(sorted(types.PRIMITIVES)).map(Primitive)
decimals = st.integers(1, 38).flatmap(
    lambda p: st.integers(0, p).map(lambda s: Decimal(precision=p, scale=s))
)
keys = st.sampled_from(sorted(types.MAP_KEYS)).map(Primitive)
every_type = st.recursive(
    primitives | decimals,
    lambda inner: (
        st.builds(ListOf, inner)
        | st.builds(MapOf, keys, inner)
        | st.dictionaries(names, inner, min_size=1, max_size=3).map(
            lambda members: StructOf(tuple(members.items()))
        )
    ),
    max_leaves=6,
)


@given(every_type)
def test_printed_types_parse_to_themselves(type_: types.Type) -> None:
    assert types.parse(str(type_)) == type_
    assert types.parse(str(type_).replace(" ", "")) == type_
    msgspec.json.Decoder(types.python_type(type_))


@given(st.text(alphabet="structlimapdeong<>(),: 0123456789", max_size=40))
def test_any_text_parses_or_is_refused(text: str) -> None:
    with suppress(types.TypeSyntaxError):
        assert types.parse(str(types.parse(text))) == types.parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the end"),
        ("text", "unknown type 'text'"),
        ("list<string", "expected '>'"),
        ("list<string>>", "after the type"),
        ("decimal(39,2)", "precision is 1 to 38"),
        ("decimal(4,5)", "scale at most precision"),
        ("decimal(a,2)", "expected a number"),
        ("struct<>", "cannot name a member"),
        ("struct<a: int, a: int>", "cannot name a member"),
        ("map<double, int>", "a map's key cannot be double"),
        ("string;", "unexpected ';'"),
    ],
)
def test_refusals_say_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(types.TypeSyntaxError, match=says.replace("(", r"\(")) as caught:
        types.parse(text)
    assert repr(text) in str(caught.value)


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
    decoder = msgspec.json.Decoder(types.python_type(types.parse(type_)))
    decoder.decode(good)
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(bad)
