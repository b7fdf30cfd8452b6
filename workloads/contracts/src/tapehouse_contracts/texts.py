"""What the rules of an event allow a text to be."""

import re
from collections.abc import Sequence


def whole_pattern(patterns: Sequence[str]) -> str:
    """One regular expression for texts that match each of `patterns` as a whole.

    Raises:
        ValueError: a pattern is none, or cannot stand inside another.
    """
    ahead = "".join(rf"(?=(?:{pattern})\Z)" for pattern in patterns[1:])
    combined = rf"\A{ahead}(?:{patterns[0]})\Z"
    try:
        for pattern in patterns:
            re.compile(pattern)
        re.compile(combined)
    except re.error as error:
        hint = "; write flags as (?i:…)" if "global flags" in error.msg else ""
        raise ValueError(f"not a regular expression: {error.msg}{hint}") from error
    return combined


def allowed_texts(choices: Sequence[Sequence[str]], patterns: Sequence[str]) -> tuple[str, ...]:
    """The texts that are in all of `choices` and match all of `patterns` as a whole.

    Raises:
        ValueError: no text is; see also `whole_pattern`.
    """
    pattern = re.compile(whole_pattern(patterns) if patterns else "")
    found = tuple(
        text
        for text in dict.fromkeys(choices[0])
        if all(text in other for other in choices[1:]) and pattern.match(text)
    )
    if not found:
        raise ValueError("no text keeps all rules about this field; correct oneOf or pattern")
    return found
