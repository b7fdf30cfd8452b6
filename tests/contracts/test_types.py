"""The type grammar: what it takes, what it refuses, what events may use of it."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapehouse_contracts import types
from tapehouse_contracts.types import IceType, ListOf, MapOf, Primitive, StructOf
from tapehouse_tape.types import python_type

names = st.from_regex(r"_?[a-z][a-z0-9_]{0,8}", fullmatch=True)
primitives = st.sampled_from(sorted(types.PRIMITIVES)).map(Primitive)
decimals = st.integers(1, 38).flatmap(
    lambda p: st.integers(0, p).map(lambda s: Primitive("decimal", p, s))
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
def test_printed_types_parse_to_themselves_and_can_be_decoded(type_: IceType) -> None:
    assert types.parse_event_type(str(type_)) == type_
    assert types.parse_event_type(str(type_).replace(" ", "")) == type_
    msgspec.json.Decoder(python_type(type_))


@given(st.text(alphabet="structlimapdeong<>(),: 0123456789", max_size=40))
def test_any_text_parses_or_is_refused(text: str) -> None:
    with suppress(ValueError):
        assert types.parse_type(str(types.parse_type(text))) == types.parse_type(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a type is missing"),
        ("text", "'text' is not a type"),
        ("list<string", "'>' is missing"),
        ("list<string>>", "left over after the type"),
        ("decimal(39,2)", "decimal\\(p,s\\) needs"),
        ("decimal(4,5)", "decimal\\(p,s\\) needs"),
        ("decimal(a,2)", "where a number is expected"),
        ("struct<>", "where a field name is expected"),
        ("struct<a: int, a: int>", "names a field twice"),
        ("string;", "left over after the type"),
    ],
)
def test_refusals_name_the_offending_part(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        types.parse_type(text)


@pytest.mark.parametrize(
    "text", ["map<double, int>", "list<map<boolean, int>>", "struct<a: map<list<int>, int>>"]
)
def test_a_map_of_an_event_has_keys_that_json_carries(text: str) -> None:
    types.parse_type(text)
    with pytest.raises(ValueError, match="a key of a map in an event cannot be"):
        types.parse_event_type(text)
