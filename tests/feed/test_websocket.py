"""The WebSocket source against real sockets that misbehave, with a session and no broker."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest
from tapehouse_feed.config import FrameMapping, Reply
from tapehouse_feed.mapping import Mapper
from tapehouse_feed.session import Collected, DeadLetter, Deliver, Session
from tapehouse_feed.sources import websocket
from tapehouse_feed.sources.websocket import WebSocket
from tapehouse_tape.events import Event
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

EVENT = {
    "name": "Trade",
    "topic": "trades",
    "key": "symbol",
    "eventTime": "timestamp",
    "schemaId": "s",
    "fields": [
        {"name": "trade_id", "type": "long", "required": True},
        {"name": "timestamp", "type": "timestamptz", "required": True},
        {"name": "symbol", "type": "string", "required": True},
        {"name": "price", "type": "decimal(18,8)", "required": True},
    ],
    "rules": [],
}
MAPPING = {
    "when": {"field": "e", "equals": "trade"},
    "event": "Trade",
    "fields": {
        "trade_id": {"from": "t"},
        "timestamp": {"from": "T", "unit": "ms"},
        "symbol": {"from": "s"},
        "price": {"from": "p"},
    },
}
Conversation = Callable[[ServerConnection], Awaitable[None]]


def trade(number: int, **changes: Any) -> str:
    """A trade as an exchange sends it; its time goes with its number."""
    return json.dumps(
        {"e": "trade", "s": "BTC", "t": number, "T": 1_767_600_000_000 + number, "p": "98000.10"}
        | changes
    )


class Receiver:
    """A session in the bridge's place."""

    def __init__(self, mapping: dict[str, Any] = MAPPING, sequence_field: str = "t") -> None:
        events = msgspec.convert([EVENT], tuple[Event, ...])
        declared = msgspec.convert([mapping], tuple[FrameMapping, ...])
        self.session = Session(
            "f",
            events,
            stream="5" * 16,
            run="a" * 16,
            mapper=Mapper(declared, events, sequence_field),
        )
        self.output = Collected()

    @property
    def taken(self) -> int:
        return self.session.events.total()

    def receive(self, frames: list[bytes], now: int) -> None:
        self.session.receive_all(frames, now, self.output)

    def next_sequence(self) -> int | None:
        return None

    @property
    def numbers(self) -> list[int]:
        """The trades delivered, in order."""
        found = [each for each in self.output.actions if isinstance(each, Deliver)]
        return [json.loads(each.value)["trade_id"] for each in found]


@asynccontextmanager
async def exchange(conversation: Conversation, status: int = 0, body: bytes = b"") -> Any:
    """The URL of a server that holds this conversation, or refuses with a status."""

    def refuse(_: ServerConnection, request: Request) -> Response | None:
        return Response(status, "", Headers(), body) if status else None

    async with serve(conversation, "127.0.0.1", 0, process_request=refuse) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def reading(url: str, receiver: Receiver, **more: Any) -> Any:
    source = WebSocket(url, receiver, **more)
    task = asyncio.create_task(source.run())
    try:
        yield source
    finally:
        source.stop()
        await asyncio.wait_for(task, 10)


async def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def stay(socket: ServerConnection) -> None:
    """Until the client goes."""
    with suppress(Exception):
        await socket.wait_closed()


async def test_a_bad_record_is_one_dead_letter_and_the_reader_goes_on() -> None:
    async def send(socket: ServerConnection) -> None:
        for number in range(1, 8):
            await socket.send(trade(number, **({"T": "1e999999"} if number == 3 else {})))
        await stay(socket)

    receiver = Receiver()
    async with exchange(send) as url, reading(url, receiver) as source:
        await eventually(lambda: receiver.session.frames == 7)
        assert source.connections == 1
    assert receiver.numbers == [1, 2, 4, 5, 6, 7]
    assert receiver.session.dead.total() == 1


async def test_a_fault_of_the_checks_is_a_dead_letter_too(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = Receiver()
    apply = Mapper.apply

    def broken(mapper: Mapper, frame: Any) -> Any:
        if frame.get("t") == 2:
            raise ZeroDivisionError("boo")
        return apply(mapper, frame)

    monkeypatch.setattr(Mapper, "apply", broken)
    receiver.receive([trade(n).encode() for n in (1, 2, 3)], 1)
    assert receiver.numbers == [1, 3]
    [letter] = [each for each in receiver.output.actions if isinstance(each, DeadLetter)]
    assert (letter.reason, letter.detail) == ("unexpected", "ZeroDivisionError: boo")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"", ["HTTP 401 Unauthorized", "headersFrom"]),
        (403, b"", ["HTTP 403 Forbidden", "headersFrom"]),
        (404, b"", ["HTTP 404 Not Found", "spec.source.websocket.url"]),
        (429, b"slow down", ["HTTP 429", "(slow down)", "fewer feeds"]),
        (451, b'{"msg": "restricted location"}', ["HTTP 451", "restricted location", "region"]),
        (503, b"", ["HTTP 503", "keeps trying"]),
    ],
)
async def test_a_refused_handshake_is_a_problem_with_a_remedy(
    status: int, body: bytes, words: list[str]
) -> None:
    async with exchange(stay, status, body) as url, reading(url, Receiver()) as source:
        await eventually(lambda: source.problem)
        assert not source.connected
        assert [word for word in words if word not in source.problem] == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ws://no-such-host.invalid/", ["no-such-host.invalid", "host name is not known"]),
        ("ws://127.0.0.1:1", ["127.0.0.1:1", "connection refused"]),
        ("http://127.0.0.1/", ["scheme", "spec.source.websocket.url"]),
        ("ws://[bad/", ["Invalid IPv6", "spec.source.websocket.url"]),
    ],
)
async def test_no_connection_is_a_problem_with_a_remedy(url: str, words: list[str]) -> None:
    async with reading(url, Receiver()) as source:
        await eventually(lambda: source.problem)
        assert [word for word in words if word not in source.problem] == []


async def test_a_close_before_any_event_is_a_problem_and_the_feed_backs_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    async def pause(source: WebSocket, wait: float) -> None:
        waits.append(wait)
        await asyncio.sleep(0)

    async def close(socket: ServerConnection) -> None:
        for text in ('{"type":"welcome"}', '{"subscribed":true}', '{"status":"online"}'):
            await socket.send(text)
        await socket.close(4001, "token expired")

    monkeypatch.setattr(WebSocket, "_pause_between", pause)
    async with exchange(close) as url, reading(url, Receiver()) as source:
        await eventually(lambda: len(waits) >= 10)
        assert "4001" in source.problem
        assert "token expired" in source.problem
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits[9] == websocket.LONGEST_WAIT


async def test_a_connection_that_brings_events_ends_the_problem() -> None:
    connections = 0

    async def second_time(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            await socket.send(trade(1))
            await stay(socket)

    receiver = Receiver()
    async with exchange(second_time) as url, reading(url, receiver) as source:
        await eventually(lambda: source.problem)
        await eventually(lambda: receiver.numbers == [1])
        assert source.problem == ""


async def test_heartbeats_that_are_texts_are_answered_as_declared() -> None:
    answers: list[Any] = []

    async def ping(socket: ServerConnection) -> None:
        for number in (7, 8):
            await socket.send(json.dumps({"ping": number}))
            answers.append(json.loads(await asyncio.wait_for(socket.recv(), 5)))
        await socket.send("pong")
        await socket.send(trade(1))
        await stay(socket)

    declared = [
        {"match": {"field": "ping"}, "reply": '{"pong": ${ping}}'},
        {"match": {"text": "pong"}},
    ]
    replies = msgspec.convert(declared, tuple[Reply, ...])
    receiver = Receiver()
    async with exchange(ping) as url, reading(url, receiver, replies=replies) as source:
        await eventually(lambda: receiver.numbers == [1])
        assert source.heartbeats == 3
    assert answers == [{"pong": 7}, {"pong": 8}]
    assert receiver.session.frames == 1


async def test_binary_fragmented_and_huge_frames() -> None:
    connections = 0

    async def send(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            await socket.send("x" * (websocket.MAX_FRAME + 1))
            return
        await socket.send(trade(1).encode())
        text = trade(2)
        await socket.send([text[:5], text[5:20], text[20:]])
        await socket.send(trade(3, note="x" * 1_000_000))

    receiver = Receiver()
    async with exchange(send) as url, reading(url, receiver) as source:
        await eventually(lambda: receiver.numbers == [1, 2, 3])
        await eventually(lambda: "exceeding max allowed size" in source.problem)


async def test_a_count_that_starts_again_is_recognised() -> None:
    receiver = Receiver()
    frames = [trade(n) for n in (1, 2, 3, 5, 4, 6, 6, 9)]
    later = [trade(n, T=1_767_600_009_000 + n) for n in (1, 2, 3)]
    receiver.receive([text.encode() for text in (*frames, *later, later[0])], 5)
    assert receiver.numbers == [1, 2, 3, 5, 4, 6, 9, 1, 2, 3]
    ledger = receiver.session.keyed["BTC"]
    [restart] = ledger.restarts
    assert (restart.after, restart.to, ledger.lost) == (9, 1, 2)
    assert receiver.session.skipped["duplicate"] == 2


async def test_another_event_under_a_known_number_is_counted() -> None:
    receiver = Receiver()
    frames = [trade(1), trade(2), trade(2, p="98000.20")]
    receiver.receive([text.encode() for text in frames], 5)
    assert receiver.session.skipped["conflict"] == 1
    assert receiver.session.keyed["BTC"].conflicts == 1
