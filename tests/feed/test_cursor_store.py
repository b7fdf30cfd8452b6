"""Where a feed stands, without Kafka."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from tapehouse_feed.config import load
from tapehouse_feed.continuity import Ledger
from tapehouse_feed.cursor import Cursor, Version
from tapehouse_feed.cursor_store import CursorStore
from tapehouse_feed.session import Session
from tapehouse_feed.sink import Mark

from tests.feed.feeds import Feed, document

A, B = Version(10, "a", "a" * 16), Version(10, "b", "b" * 16)


class Sink:
    """All is acknowledged at once."""

    holds_back, has_news = False, True

    def __init__(self) -> None:
        self.offsets: dict[str, dict[int, int]] = {}
        self.put_there: dict[str, Cursor] = {}
        self._marks: list[Mark] = []

    def mark(self, state: Any, spent: list[Any]) -> None:
        self._marks.append(Mark({}, state, self.offsets, spent))

    def complete(self) -> Mark | None:
        return self._marks.pop() if self._marks else None

    def put(self, topic: str, key: str, value: bytes) -> None:
        self.put_there[key.rpartition("/")[2]] = msgspec.json.decode(value, type=Cursor)

    def advance(self, ends: Any) -> None: ...

    def flush(self, timeout: float) -> int:
        return 0


class Journal:
    """While it looks where the topics end, a second goes by."""

    def __init__(self, tick: Callable[[], object]) -> None:
        self._tick = tick

    def settled_ends(self, topics: list[str]) -> Mapping[str, Any]:
        self._tick()
        return {}

    def later(self, *_: Any) -> dict[str, set[int]]:
        return {}


async def test_a_second_between_two_files_leaves_nothing_out(tmp_path: Any) -> None:
    source = {"type": "files", "path": str(tmp_path), "format": "csv"}
    one = Feed(None, tmp_path, "", document("f", "127.0.0.1:1", source))  # type: ignore[arg-type]
    config, sink = load(one.file), Sink()
    store = CursorStore(config, {"bootstrap.servers": "127.0.0.1:1"}, sink)  # type: ignore[arg-type]
    session = Session("f", config.events, stream="0" * 16, run="f" * 16)

    def tick() -> None:
        store.mark(session, None)
        store.settle(None)

    store._journal = Journal(tick)  # type: ignore[assignment]
    session.follow(A.stream, await store.begin("a", A))
    session.ledger.high = 700
    store.end(session.ledger)
    assert (await store.begin("b", B)) == Ledger(0)
    assert [sink.put_there[name].sequence for name in ("a", "b")] == [700, 0]
