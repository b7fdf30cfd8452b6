"""Frames from a WebSocket: connects, reconnects, and asks for what it has not had."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import picows

from tapehouse_feed.config import Reply
from tapehouse_feed.sources import problems
from tapehouse_feed.sources.replies import Replies

MAX_FRAME = 10 * 1024 * 1024
"""The largest frame taken, in bytes; a larger one closes the connection."""

MAX_CONTROL = 125
"""Bytes: RFC 6455, 5.5."""
TOGETHER = 100
"""Frames handed on at once, at most: so many are still in the processor's cache."""
FIRST_WAIT = 0.1
LONGEST_WAIT = 30.0
LASTING = 60.0
"""Seconds after which a connection counts as good without an event: the market was quiet."""

_TEXT, _BINARY = picows.WSMsgType.TEXT, picows.WSMsgType.BINARY

log = logging.getLogger("tapehouse.bridge")


class Receiver(Protocol):
    """Takes the frames."""

    @property
    def taken(self) -> int:
        """Events taken since the start, with frames that still wait to be looked at."""

    def receive(self, frames: list[bytes], now: int) -> None:
        """Take frames read together at `now`, µs since 1970."""

    def next_sequence(self) -> int | None:
        """The first number to ask for, or None to take what comes."""


class WebSocket:
    """One source of frames, over as many connections as it takes."""

    def __init__(
        self,
        url: str,
        receiver: Receiver,
        *,
        headers: Mapping[str, str] | None = None,
        subscribe: Sequence[str] = (),
        heartbeat: float = 20.0,
        replies: Sequence[Reply] = (),
    ) -> None:
        self._url = url
        self._receiver = receiver
        self._headers = dict(headers or {})
        self._subscribe = subscribe
        self._heartbeat = heartbeat
        self._replies = Replies(replies) if replies else None
        self._transport: picows.WSTransport | None = None
        self.heartbeats = 0
        """Frames that were the source's heartbeats, as `replies` declares them."""
        self._paused = False
        self._stopping = asyncio.Event()
        self.connections = 0
        """Connections made since the start."""
        self.disconnected_since: float = time.monotonic()
        self._failed = ""
        """Why the last connection was not made or brought no event."""
        self._before = 0
        """Events taken before the present connection."""

    @property
    def problem(self) -> str:
        """Why the source brings nothing, with a remedy; empty while it brings events."""
        if self.connected and self._receiver.taken > self._before:
            return ""
        return self._failed

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._transport is not None

    async def run(self) -> None:
        """Keep a connection until `stop`; an exception of any kind ends one connection at most."""
        wait = FIRST_WAIT
        while not self._stopping.is_set():
            try:
                if await self._converse():
                    wait = FIRST_WAIT
            except Exception as error:
                self._failed = problems.of_attempt(self._url, error)
                if not isinstance(error, (OSError, picows.WSError, ValueError)):
                    log.exception("unexpected error while connecting")
                extra = {"url": self._url, "error": self._failed, "retry_in": round(wait, 2)}
                log.warning("no connection to the source", extra=extra)
            await self._pause_between(wait)
            wait = min(LONGEST_WAIT, wait * 2)

    async def _pause_between(self, wait: float) -> None:
        """Back off with jitter, or stop at once."""
        try:
            jittered = wait * random.uniform(0.7, 1.3)  # noqa: S311
            await asyncio.wait_for(self._stopping.wait(), jittered)
        except TimeoutError:
            return

    async def _converse(self) -> bool:
        """One connection, until it is lost; whether it was a good one: the next is made at once."""
        first = self._receiver.next_sequence()
        # The first frames may be here before the call returns.
        began, self._before = time.monotonic(), self._receiver.taken
        transport, _ = await picows.ws_connect(
            lambda: _Listener(self._receive, self._connected),
            asking_from(self._url, first),
            extra_headers=self._headers,
            max_frame_size=MAX_FRAME,
            enable_auto_ping=True,
            # Pings come to the listener, so that it sees the end of every read.
            enable_auto_pong=False,
            auto_ping_idle_timeout=self._heartbeat,
            auto_ping_reply_timeout=self._heartbeat,
        )
        log.info("connected", extra={"url": self._url, "from": first})
        error = await self._until_disconnected(transport)
        brought = self._receiver.taken > self._before
        good = brought or time.monotonic() - began >= LASTING
        why = problems.of_close(transport.close_handshake, error)
        self._failed = "" if good and error is None else why
        if not self._stopping.is_set():
            log.warning("connection lost", extra={"url": self._url, "error": why})
        return good and error is None

    def _connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        self.connections += 1

    async def _until_disconnected(self, transport: picows.WSTransport) -> Exception | None:
        """Read until the connection ends; the exception that ended it, if one did."""
        try:
            if self._paused:
                transport.underlying_transport.pause_reading()
            for text in self._subscribe:
                transport.send(picows.WSMsgType.TEXT, text.encode())
            await transport.wait_disconnected()
        except picows.WSProtocolError as error:
            return error
        except Exception as error:
            log.exception("unexpected error while reading")
            return error
        finally:
            self._transport = None
            self.disconnected_since = time.monotonic()
        return None

    def _receive(self, frames: list[bytes], now: int) -> None:
        """Answer heartbeats at once; the rest is the receiver's."""
        if self._replies is not None:
            frames = [frame for frame in frames if not self._is_heartbeat(self._replies, frame)]
        if frames:
            self._receiver.receive(frames, now)

    def _is_heartbeat(self, replies: Replies, frame: bytes) -> bool:
        reply = replies.answer(frame)
        if reply is None:
            return False
        self.heartbeats += 1
        if reply and self._transport:
            self._transport.send(picows.WSMsgType.TEXT, reply.encode())
        return True

    def pause(self) -> None:
        """Stop reading the socket, so that the source feels it."""
        self._paused = True
        if self._transport:
            self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        if self._transport:
            self._transport.underlying_transport.resume_reading()

    def excuse_pong(self) -> None:
        """Miss no answer to a ping: while reading is stopped it cannot be read."""
        if self._transport:
            self._transport.notify_user_specific_pong_received()

    def reconnect(self) -> None:
        """Ask again, from what the receiver wants next."""
        if self._transport:
            self._transport.disconnect()

    def stop(self) -> None:
        """Close and do not come back."""
        self._stopping.set()
        if self._transport:
            self._transport.disconnect()


class _Listener(picows.WSListener):
    """One connection; hands on together what was read together."""

    def __init__(
        self,
        receive: Callable[[list[bytes], int], None],
        connected: Callable[[picows.WSTransport], None],
    ) -> None:
        self._receive = receive
        self._connected = connected
        self._read: list[bytes] = []
        self._parts: list[bytes] = []
        self._size = 0

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._connected(transport)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        # Control frames are short, and asking for the kind costs as much as reading the frame.
        read = self._read
        if frame.payload_size > MAX_CONTROL and frame.fin and not self._parts:
            read.append(frame.get_payload_as_bytes())
        else:
            self._unusual(transport, frame)
        if frame.last_in_buffer or len(read) >= TOGETHER:
            self._hand_on()

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self._hand_on()

    def _hand_on(self) -> None:
        if frames := self._read:
            self._read = []
            self._receive(frames, time.time_ns() // 1000)

    def _unusual(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Short frames, control frames among them, and messages that come in several frames."""
        kind = frame.msg_type
        if frame.fin and (kind is _TEXT or kind is _BINARY):
            self._read.append(frame.get_payload_as_bytes())
        elif kind is picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif kind is picows.WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind is not picows.WSMsgType.PONG:
            self._fragment(transport, frame)

    def _fragment(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        self._parts.append(frame.get_payload_as_bytes())
        self._size += frame.payload_size
        if self._size > MAX_FRAME:
            transport.send_close(picows.WSCloseCode.MESSAGE_TOO_BIG)
            transport.disconnect()
        elif frame.fin:
            self._read.append(b"".join(self._parts))
            self._parts, self._size = [], 0


def asking_from(url: str, first: int | None) -> str:
    """`url` with `from=first` in its query, whether or not it has a path or a query."""
    if first is None:
        return url
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "from"]
    query.append(("from", str(first)))
    return urlunsplit(parts._replace(path=parts.path or "/", query=urlencode(query)))
