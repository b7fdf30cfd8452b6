"""Two versions of a document, told briefly."""

from typing import Any

import pytest
from tapehouse_cli.resources.differences import differences


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b: 1 → 2"]),
        ({"a": 1}, {}, ["a: - 1"]),
        ({}, {"a": "x"}, ["a: + x"]),
        ({"l": [1, 2]}, {"l": [1, 3]}, ["l[1]: 2 → 3"]),
        ({"l": [1]}, {"l": [1, 3]}, ["l: [1] → [1, 3]"]),
        ({"l": [{"name": "a"}]}, {"l": [{"name": "b"}, {"name": "a"}]}, ['l[b]: + {"name": "b"}']),
        (
            {"l": [{"name": "a", "x": 1}, {"name": "b"}]},
            {"l": [{"name": "b"}, {"name": "a", "x": 2}]},
            ["l[a].x: 1 → 2", 'l, in order: ["a", "b"] → ["b", "a"]'],
        ),
        ({"d": '{"x": {"y": 1}}'}, {"d": '{"x": {"y": 2}}'}, ["d: x.y: 1 → 2"]),
        ({"sql": "a\nb\nc"}, {"sql": "a\nx\ny"}, ["sql: -2 +2 lines"]),
        ({"t": "x" * 60}, {"t": "y"}, [f"t: {'x' * 47}… → y"]),
    ],
)
def test_what_differs_is_told(old: Any, new: Any, said: list[str]) -> None:
    assert [str(d) for d in differences(old, new)] == said
