"""What is acknowledged, refused and held back, without a broker."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from tapehouse_feed import sink as module
from tapehouse_feed.metrics import Latency
from tapehouse_feed.sink import CUT, Sink

from tests.feed.kafka_fakes import Producer

DEAD = "dead"


def started(partitions: int = 2) -> tuple[Sink, Producer]:
    made: list[Producer] = []

    def make(settings: dict[str, Any], **more: Any) -> Any:
        made.append(Producer(settings, **more))
        return made[0]

    sink = Sink({}, DEAD, "f", Latency(), make)
    ends = {str(number): 0 for number in range(partitions)}
    sink.start({"t": ends, DEAD: {"0": 0}})
    return sink, made[0]


def write(sink: Sink, *values: bytes) -> None:
    for value in values:
        sink.write("t", value, value, [], 1)


def test_a_mark_is_complete_once_all_before_it_is_acknowledged() -> None:
    sink, producer = started()
    write(sink, b"a", b"b")
    sink.mark("first", [Path("x")])
    write(sink, b"c")
    sink.mark("second", [Path("y")])
    assert sink.complete() is None
    producer.acknowledge(2)
    sink.poll()
    done = sink.complete()
    assert done is not None
    assert (done.state, done.spent) == ("first", [Path("x")])
    assert sink.complete() is None, "each mark once"
    assert sink.acked == 2
    producer.acknowledge()
    sink.poll()
    done = sink.complete()
    assert done is not None
    assert done.state == "second"


def test_the_newest_of_several_marks_carries_what_all_have_spent() -> None:
    sink, producer = started()
    for name in "xy":
        write(sink, name.encode())
        sink.mark(name, [Path(name)])
    producer.acknowledge()
    sink.poll()
    done = sink.complete()
    assert done is not None
    assert (done.state, done.spent) == ("y", [Path("x"), Path("y")])


def test_news_are_what_came_since_the_last_mark() -> None:
    sink, _ = started()
    assert not sink.has_news
    write(sink, b"a")
    assert sink.has_news
    sink.mark("m", [])
    assert not sink.has_news


def test_records_without_room_wait_in_their_order() -> None:
    sink, producer = started(partitions=1)
    producer.room = 2
    write(sink, b"a", b"b", b"c", b"d")
    assert sink.holds_back
    assert sink.is_full
    assert not sink.has_room
    assert sink.in_flight == 4
    producer.acknowledge(1)
    sink.poll()
    assert sink.holds_back
    producer.acknowledge()
    sink.poll()
    assert not sink.holds_back
    assert [value for _, value, *_ in producer.sent] == [b"a", b"b", b"c", b"d"]


def test_reading_goes_on_at_half_of_what_stopped_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_IN_FLIGHT", 4)
    sink, producer = started()
    write(sink, b"a", b"b", b"c", b"d")
    assert sink.is_full
    producer.acknowledge(1)
    assert not sink.is_full
    assert not sink.has_room
    producer.acknowledge(1)
    assert sink.has_room


def test_a_record_its_topic_does_not_take_becomes_a_dead_letter() -> None:
    sink, producer = started(partitions=1)
    write(sink, b"x" * (CUT + 1))
    sink.mark("m", [])
    producer.refuse(KafkaError.MSG_SIZE_TOO_LARGE)
    sink.poll()
    assert producer.sent[-1][0] == DEAD
    assert sink.failure is None
    assert sink.acked == 0, "the letter is under way"
    producer.refuse(KafkaError.MSG_SIZE_TOO_LARGE)
    sink.poll()
    topic, value, *_ = producer.sent[-1]
    assert (topic, len(value)) == (DEAD, CUT), "the letter is cut to what any topic takes"
    producer.acknowledge()
    sink.poll()
    done = sink.complete()
    assert done is not None, "what held the record holds its letter"
    assert done.state == "m"


def test_any_other_refusal_ends_the_bridge() -> None:
    sink, producer = started()
    write(sink, b"a", b"b")
    for _ in range(2):
        producer.refuse(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    sink.poll()
    assert "t: " in str(sink.failure)


def test_a_cursor_that_cannot_be_written_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    sink, producer = started()
    for error in (BufferError("full"), KafkaException(KafkaError(KafkaError._FATAL))):

        def fail(*_: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(producer, "produce", fail)
        sink.put("cursors", "k", b"{}")
    assert sink.failure is None


def test_a_flush_sends_what_waits_for_room() -> None:
    sink, producer = started(partitions=1)
    producer.room = 1
    write(sink, b"a", b"b")
    assert sink.flush(1.0) == 0
    assert [value for _, value, *_ in producer.sent] == [b"a", b"b"]
