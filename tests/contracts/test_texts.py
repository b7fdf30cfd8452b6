"""What rules leave of texts."""

import re

import pytest
from tapehouse_contracts.texts import allowed_texts, whole_pattern


def test_all_patterns_hold_for_the_whole_text() -> None:
    found = re.compile(whole_pattern(["[a-z]+|1", "..?"]))
    matched = [text for text in ("a", "ab", "abc", "1", "1a", "a\n") if found.match(text)]
    assert matched == ["a", "ab", "1"]


@pytest.mark.parametrize("pattern", ["(", "a)(b", "(?i)abc", r"\p{L}"])
def test_what_cannot_be_combined_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="not a regular expression"):
        whole_pattern([pattern])


def test_a_flag_has_a_remedy() -> None:
    with pytest.raises(ValueError, match=re.escape("write flags as (?i:…)")):
        whole_pattern(["a", "(?i)abc"])


def test_choices_are_those_of_all_rules() -> None:
    assert allowed_texts([["a", "b", "c", "b"], ["c", "b"]], ["[ab]"]) == ("b",)
    assert allowed_texts([["a", "a"]], []) == ("a",)


@pytest.mark.parametrize(("choices", "patterns"), [([["a"], ["b"]], []), ([["a"]], ["b"])])
def test_rules_that_no_text_keeps_are_refused(
    choices: list[list[str]], patterns: list[str]
) -> None:
    with pytest.raises(ValueError, match="no text keeps all rules"):
        allowed_texts(choices, patterns)
