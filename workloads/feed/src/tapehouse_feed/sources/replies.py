"""Answers to a source's heartbeats that are text frames, as `source.websocket.replies` declares."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tapehouse_feed.config import Reply
from tapehouse_feed.paths import MISSING, reader

LARGEST = 4096
"""Bytes of the largest frame that may be a heartbeat."""
_HOLE = re.compile(r"\$\{([^}]+)\}")
Answer = Callable[[bytes, Any], str | None]


class Replies:
    """Finds heartbeats among frames and what to answer."""

    def __init__(self, declared: Sequence[Reply]) -> None:
        self._rules = [_rule(reply) for reply in declared]
        self._decode = any(reply.match.field for reply in declared)

    def answer(self, frame: bytes) -> str | None:
        """What to answer to `frame`; empty: nothing; None: it is no heartbeat."""
        if len(frame) > LARGEST:
            return None
        value = _decoded(frame) if self._decode else MISSING
        return next(
            (found for rule in self._rules if (found := rule(frame, value)) is not None), None
        )


def _rule(declared: Reply) -> Answer:
    match, reply = declared.match, declared.reply
    if match.text is not None:
        exact = match.text.encode()
        return lambda frame, _: reply if frame == exact else None
    read, equals = reader(match.field or ""), match.equals

    def answer(_: bytes, value: Any) -> str | None:
        found = read(value)
        if found is MISSING or (equals is not None and _text(found) != equals):
            return None
        return _HOLE.sub(lambda hole: _text(reader(hole[1])(value)), reply)

    return answer


def _decoded(frame: bytes) -> Any:
    try:
        return msgspec.json.decode(frame)
    except (msgspec.DecodeError, RecursionError):
        return MISSING


def _text(value: Any) -> str:
    """A value as JSON, texts without their quotes."""
    if value is MISSING:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
