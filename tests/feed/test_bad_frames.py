"""Every kind of bad frame over a real socket into a real broker, and back again once mended."""

import asyncio
import json
import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import picows
import pytest

from tests.feed.broker import eventually
from tests.feed.feeds import PROGRAM, Feed, simulated
from tests.feed.test_session import BAD, TRADE, frame

HELLO = b'{"type":"welcome"}'


class Exchange(picows.WSListener):
    """Sends everything to each client that connects."""

    def __init__(self, frames: list[bytes]) -> None:
        self.frames = frames

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        for text in self.frames:
            half = len(text) // 2
            if len(text) > 1_000_000:
                transport.send(picows.WSMsgType.TEXT, text[:half], fin=False)
                transport.send(picows.WSMsgType.CONTINUATION, text[half:])
            else:
                transport.send(picows.WSMsgType.TEXT, text)


@contextmanager
def exchange(host: str, frames: list[bytes]) -> Iterator[str]:
    """The URL of a server that sends `frames` to each client."""
    loop = asyncio.new_event_loop()
    make: Callable[..., Any] = lambda _: Exchange(frames)  # noqa: E731
    server = loop.run_until_complete(picows.ws_create_server(make, host, 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    address, port = server.sockets[0].getsockname()
    try:
        yield f"ws://{address}:{port}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()


def run(one: Feed, *arguments: str) -> str:
    command = [PROGRAM, "deadletters", arguments[0], one.file, *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bad_frames_are_kept_with_their_bytes_and_reason(feed: Callable[..., Feed]) -> None:
    one = feed()
    bad = [text for text, _ in BAD if text]
    with exchange(one.host, [HELLO, frame(), *bad, frame(data=TRADE | {"symbol": "Z"})]) as url:
        one.config["source"] = {"type": "websocket", "url": url}
        one.start("bridge")
        eventually(lambda: one.metric("events_total", event="TradeExecuted") == 2, 60)
        eventually(lambda: one.metric("in_flight") == 0, 30)
        assert one.metric("skipped_total", why="handshake") == 1
        assert one.metric("frames_total") == len(bad) + 3
        assert one.running["bridge"].poll() is None
        assert one.metric("connections_total") == 1
        assert one.stop("bridge") == 0
    letters = {m.value(): dict(m.headers()) for m in one.dead_letters()}
    assert set(letters) == set(bad)
    for text, reason in BAD:
        if text:
            assert letters[text]["reason"].decode() == reason.value
            assert letters[text]["feed"].decode() == one.config["feed"]
    assert [json.loads(m.value())["symbol"] for m in one.records()] == ["AAPL", "Z"]
    logged = [json.loads(line) for line in one.log("bridge").read_text().splitlines()]
    assert all(len(e["trace_id"]) == 32 for e in logged if e["message"] == "dead letter")


def test_letters_are_replayed_once_after_a_mend(feed: Callable[..., Feed]) -> None:
    one = feed()
    large = frame(data=TRADE | {"quantity": 2 * 10**9, "trade_id": "large"})
    with exchange(one.host, [large, b"42", frame()]) as url:
        one.config["source"] = {"type": "websocket", "url": url}
        one.start("bridge")
        eventually(lambda: one.metric("acked_total") == 3, 60)
        one.stop("bridge")
    assert "0 replayed, 2 still bad" in run(one, "replay")
    for event in one.config["events"]:
        for rule in event["rules"]:
            if rule["field"] == "quantity":
                rule["max"] = 10**10
    listed = run(one, "list", "--reason", "rule")
    assert "<= 1000000000" in listed
    assert run(one, "show", "--at", listed.split()[0]).rstrip().endswith(large.decode())
    assert run(one, "replay", "--reason", "rule") == "1 replayed, 0 still bad, 0 replayed before\n"
    assert run(one, "replay") == "0 replayed, 1 still bad, 1 replayed before\n"
    trades = {json.loads(m.value())["trade_id"]: dict(m.headers()) for m in one.records()}
    assert len(one.records()) == 2
    letters = {m.value(): dict(m.headers()) for m in one.dead_letters()}
    assert trades["large"]["trace_id"] == letters[large]["trace_id"]
    assert run(one, "purge", "--older-than", "1h") == "0 purged\n"
    assert run(one, "purge", "--replayed") == "1 purged\n"
    assert run(one, "list", "--reason", "rule") == ""
    assert run(one, "purge", "--before", "2999-01-01T00:00:00Z") == "1 purged\n"
    assert run(one, "list") == ""


def test_letters_are_replayed_while_the_feed_goes_on(feed: Callable[..., Feed]) -> None:
    one = feed(simulated(faults={"malformed": 0.02}))
    one.start("simulator")
    one.start("bridge")
    eventually(lambda: one.metric("dead_letters_total", reason="wrong-type") > 0, 60)
    assert "0 replayed, 1 still bad" in run(one, "replay", "--at", run(one, "list").split()[0])
    assert one.running["bridge"].poll() is None


@pytest.mark.parametrize("arguments", [["--before", "yesterday"], ["--reason"]])
def test_bad_options_are_refused(feed: Callable[..., Feed], arguments: list[str]) -> None:
    command = [PROGRAM, "deadletters", "list", feed().file, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_topic_that_takes_no_large_record_keeps_the_beginning(feed: Callable[..., Feed]) -> None:
    one = feed()
    one.config["deadLetterTopic"] += ".small"
    one.create_dead_letters()
    large = random.Random(1).randbytes(2_000_000)
    with exchange(one.host, [frame(), large, frame(), b"42", frame()]) as url:
        one.config["source"] = {"type": "websocket", "url": url}
        one.start("bridge")
        eventually(lambda: one.metric("acked_total") == 5, 60)
        assert one.stop("bridge") == 0
    letters = {dict(m.headers()).get("truncated"): m.value() for m in one.dead_letters()}
    assert letters == {None: b"42", b"2000000": large[:900_000]}
    assert len(one.records()) == 3
