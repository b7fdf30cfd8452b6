"""Cursors and what was written after them, without a broker."""

from typing import Any

import msgspec
import pytest
from confluent_kafka import KafkaError, KafkaException
from tapehouse_feed.config import FilesSource, SimulatorSource, WebSocketSource
from tapehouse_feed.continuity import Gap
from tapehouse_feed.cursor import Cursor, Journal, KeyPosition, Version, fingerprint
from tapehouse_feed.frames import keyed_trace

from tests.feed.kafka_fakes import Consumer, Message

STREAM = "5" * 16


def journal(records: dict[tuple[str, int], list[Message]]) -> tuple[Journal, Consumer]:
    consumer = Consumer(records)
    return Journal({}, "f", lambda *_, **__: consumer), consumer  # type: ignore[arg-type]


def numbered(number: int, trace: bytes | None = None, key: bytes = b"K") -> Message:
    trace = trace or b"%s%016x" % (STREAM.encode(), number)
    return Message("t", b"{}", key, [("trace_id", trace), ("seq", b"%d" % number)])


def cursors(*values: tuple[str, bytes]) -> list[Message]:
    return [Message("c", value, key.encode()) for key, value in values]


def test_the_newest_cursor_of_each_key_counts_and_an_unreadable_one_does_not() -> None:
    old, new = (msgspec.json.encode(Cursor(number, {})) for number in (1, 2))
    of_file = msgspec.json.encode(Cursor(7, {}, file=Version(1, "d", "s")))
    found, _ = journal(
        {("c", 0): cursors(("k", old), ("k", new), ("k/a", of_file), ("kk", old), ("k", b"{torn"))}
    )
    read = found.cursors("c", "k")
    assert {name: cursor.sequence for name, cursor in read.items()} == {"k": 2, "k/a": 7}
    assert read["k/a"].file == Version(1, "d", "s")


def test_a_cursor_keeps_what_it_says() -> None:
    cursor = Cursor(
        5, {"t": {"0": 3}}, [Gap(2, 3, 9)], 1, {"A": KeyPosition(4, 1, [])}, Version(1, "d", "s")
    )
    assert msgspec.json.decode(msgspec.json.encode(cursor), type=Cursor) == cursor


def test_what_was_written_later_is_known_by_stream_and_by_key() -> None:
    keyed = keyed_trace(STREAM.encode(), "A", 9)
    found, _ = journal(
        {
            ("t", 0): [numbered(1), numbered(2), numbered(3, b"6" * 32)],
            ("t", 1): [numbered(4), numbered(9, keyed, b"A"), Message("t", b"{}", b"K")],
            ("dead", 0): [numbered(5)],
        }
    )
    ends = {"t": {"0": 3, "1": 3}, "dead": {"0": 1}}
    later = found.later(Cursor(1, {"t": {"0": 1}}), ends, STREAM, "dead")
    assert later == {"": {2, 4, 5}, "A": {9}}


def test_records_beyond_the_ends_are_not_waited_for() -> None:
    found, _ = journal({("t", 0): [numbered(n) for n in range(1, 5)]})
    later = found.later(Cursor(0, {}), {"t": {"0": 4}}, STREAM, "dead")
    assert later == {"": {1, 2, 3, 4}}
    assert not list(found.between({"t": {"0": 4}}, {"t": {"0": 4}}))


@pytest.mark.parametrize("optional", ["t", "dead"])
def test_only_the_dead_letters_may_be_unreadable(optional: str) -> None:
    found, consumer = journal({("t", 0): [numbered(1)]})
    consumer.unreadable = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    arguments: Any = (Cursor(0, {}), {"t": {"0": 5}}, STREAM, optional)
    if optional == "t":
        assert found.later(*arguments) == {"": {1}}
        return
    with pytest.raises(KafkaException):
        found.later(*arguments)


def test_topics_that_are_absent_are_named() -> None:
    found, _ = journal({("t", 0): []})
    assert found.absent(["t", "u"], 1.0) == ["u"]
    assert found.ends(["t"]) == {"t": {"0": 0}}


def test_the_fingerprint_is_of_what_numbers_depend_on() -> None:
    simulator = SimulatorSource(seed=1, symbols=("A",))
    assert fingerprint(simulator) == fingerprint(
        msgspec.structs.replace(simulator, trades_per_second=7.0)
    )
    sources: list[Any] = [
        simulator,
        msgspec.structs.replace(simulator, seed=2),
        msgspec.structs.replace(simulator, symbols=("B",)),
        WebSocketSource("ws://a"),
        WebSocketSource("ws://b"),
        FilesSource("/a", "csv"),
        FilesSource("/a", "jsonl"),
    ]
    assert len({fingerprint(source) for source in sources}) == len(sources)
