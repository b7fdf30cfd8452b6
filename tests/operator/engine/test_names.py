"""Hashes: equal meaning, equal bytes, however fast they are made."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tapehouse_operator.names import canonical

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v) | st.dictionaries(TEXT, v), max_leaves=8)


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@settings(deadline=None)
@given(st.dictionaries(TEXT, VALUES))
def test_canonical_is_json_with_sorted_keys_and_whole_numbers_as_such(value: Any) -> None:
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(value) == text.encode()
