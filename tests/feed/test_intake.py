"""The path of frames to Kafka and its detour by the disk, without a broker."""

from pathlib import Path
from typing import Any

from tapehouse_feed.intake import Intake
from tapehouse_feed.market import Market
from tapehouse_feed.session import Session
from tapehouse_feed.spill import Spill
from tapehouse_tape.events import Event, Field, Invalid, Reason

EVENT = Event("E", "t", "k", (Field("k", "string", required=True),))


class Sink:
    """Takes `room` records, then none until there is room again."""

    def __init__(self, room: int = 1_000) -> None:
        self.room = room
        self.written: list[tuple[str, bytes]] = []
        self.in_flight = 0

    @property
    def is_full(self) -> bool:
        return len(self.written) >= self.room

    @property
    def has_room(self) -> bool:
        return not self.is_full

    def write(self, topic: str, key: Any, value: Any, headers: Any, now: int) -> None:
        self.written.append((topic, key or bytes(value)))

    def batch(self, began: int) -> None: ...

    def poll(self) -> None: ...


class Source:
    """Counts how often it is paused and resumed."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")


def made(sink: Sink, spill: Spill | None = None) -> tuple[Intake, Source]:
    session = Session("f", (EVENT,), stream="0" * 16, run="1" * 16)
    intake = Intake(session, sink, "dead", Market(None, (EVENT,)), spill)  # type: ignore[arg-type]
    source = Source()
    intake.start(source)
    return intake, source


def frame(number: int) -> bytes:
    return b'{"event_type":"E","sequence":%d,"data":{"k":"%d"}}' % (number, number)


def keys(sink: Sink) -> list[int]:
    return [int(key) for topic, key in sink.written if topic == "t"]


async def test_events_and_dead_letters_go_to_their_topics() -> None:
    sink = Sink()
    intake, _ = made(sink)
    intake.receive([frame(1), b"?", frame(2)], 1)
    intake.stop()
    assert sink.written == [("t", b"1"), ("dead", b"?"), ("t", b"2")]
    assert intake.last_frame == 1


async def test_a_row_is_written_and_a_refused_one_is_kept() -> None:
    sink = Sink()
    intake, _ = made(sink)
    intake.receive_row(frame(1), 1, b"row 1", 5)
    intake.receive_row(Invalid(Reason.WRONG_TYPE, "no"), 2, b"row 2", 6)
    intake.receive_row(frame(1), 1, b"row 1", 7)
    intake.stop()
    assert sink.written == [("t", b"1"), ("dead", b"row 2")]
    assert intake.last_frame == 7


async def test_without_a_disk_reading_stops_while_the_sink_is_full() -> None:
    sink = Sink(room=2)
    intake, source = made(sink)
    intake.receive([frame(1), frame(2)], 1)
    intake.poll()
    assert source.calls == ["pause"]
    assert intake.paused_since
    intake.poll()
    assert source.calls == ["pause"], "once"
    sink.room = 10
    intake.poll()
    assert source.calls == ["pause", "resume"]
    assert not intake.paused_since
    intake.stop()


async def test_frames_wait_on_disk_and_keep_their_order(tmp_path: Path) -> None:
    sink = Sink(room=1)
    spill = Spill(tmp_path, 10**6)
    intake, source = made(sink, spill)
    for number in range(1, 6):
        intake.receive([frame(number)], number)
    assert keys(sink) == [1]
    assert intake.waiting == spill.frames == 4
    assert source.calls == [], "the source goes on"
    sink.room = 100
    intake.receive([frame(6)], 6)
    intake.poll()
    intake.stop()
    assert keys(sink) == [1, 2, 3, 4, 5, 6]
    assert intake.waiting == 0


async def test_a_full_disk_stops_the_source_and_loses_nothing(tmp_path: Path) -> None:
    sink = Sink(room=1)
    intake, source = made(sink, Spill(tmp_path, 150))
    intake.receive([frame(1)], 1)
    intake.receive([frame(n) for n in range(2, 8)], 2)
    assert source.calls == ["pause"]
    assert "of at most 150 bytes" in intake.full
    assert intake.waiting == 6
    sink.room = 100
    intake.poll()
    assert keys(sink) == [1, 2, 3, 4, 5, 6, 7]
    assert source.calls == ["pause", "resume"]
    assert intake.full == ""
    intake.stop()


async def test_what_an_earlier_process_left_on_disk_comes_first(tmp_path: Path) -> None:
    Spill(tmp_path, 10**6).append([frame(1), frame(2)], 1)
    sink = Sink()
    intake, _ = made(sink, Spill(tmp_path, 10**6))
    intake.receive([frame(3)], 3)
    intake.poll()
    intake.stop()
    assert keys(sink) == [1, 2, 3]
