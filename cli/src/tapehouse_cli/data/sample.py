"""Behind `tapehouse sample`: frames of a feed's source, and what the bridge would make of them."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from time import time_ns

import click
import msgspec
from tapehouse_contracts.durations import seconds
from tapehouse_feed import config as feeds
from tapehouse_feed.config import ConfigError, FeedConfig, WebSocketSource
from tapehouse_feed.continuity import Ledger
from tapehouse_feed.cursor import Version
from tapehouse_feed.mapping import Mapper
from tapehouse_feed.session import Action, DeadLetter, Deliver, Session
from tapehouse_feed.simulator.server import Simulator
from tapehouse_feed.sources.files import Files
from tapehouse_feed.sources.websocket import WebSocket
from tapehouse_laptop.errors import LaptopError
from tapehouse_operator.emit.feed import CONFIG_KEY, HEADERS_DIR, FeedNames
from tapehouse_operator.errors import SpecError
from tapehouse_tape.events import DeclarationError, Invalid

from tapehouse_cli.data import running
from tapehouse_cli.data.declared import Declared, only
from tapehouse_cli.target import Target

QUIET = 2.0
"""Seconds without a row after which files have no more."""
Show = Callable[[bytes, Action], None]


def show(
    feed: str | None, file: Path | None, frames: int, raw: bool, timeout: float, target: Target
) -> None:
    """Print frames of a feed that runs here, or of one in a file.

    Raises:
        LaptopError: there is no such feed, or its source cannot be reached.
    """
    try:
        config = read(file) if file else _live(feed or "", target)
        shown = take(config, frames, timeout, _raw if raw else _told, _headers(config, target))
    except (ConfigError, DeclarationError, SpecError) as error:
        raise LaptopError(str(error)) from error
    if shown < frames:
        click.echo(f"{shown} of {frames} frames came", err=True)


def read(file: Path) -> FeedConfig:
    """The feed in a YAML file, as the bridge would read it.

    Raises:
        LaptopError: there is not one TradeFeed in it.
        SpecError: the operator would refuse it.
    """
    name = only(file, "TradeFeed")
    return decoded(str(Declared.read(None, file).feed(name)[FeedNames(name).workload][CONFIG_KEY]))


def decoded(text: str) -> FeedConfig:
    """`feed.json`.

    Raises:
        LaptopError: this version cannot read it.
    """
    try:
        return msgspec.json.decode(text, type=FeedConfig)
    except msgspec.DecodeError as error:
        raise LaptopError(f"{CONFIG_KEY}: {error}") from error


def take(
    config: FeedConfig,
    frames: int,
    timeout: float = 30.0,
    told: Show | None = None,
    headers: Mapping[str, str] | None = None,
) -> int:
    """Take at most so many frames from the source; how many came within `timeout` seconds.

    Raises:
        LaptopError: the source cannot be reached.
        ConfigError: the source is declared in a way no bridge could read.
    """
    sampler = _Sampler(config, frames, told or _told)
    source = config.source
    if isinstance(source, feeds.SimulatorSource):
        for frame in islice(Simulator(source).frames(1), frames):
            sampler.receive([frame], time_ns() // 1000)
    elif isinstance(source, WebSocketSource):
        asyncio.run(_listen(source, sampler, headers or {}, timeout))
    else:
        asyncio.run(_read_files(source, config, sampler, timeout))
    return sampler.taken


class _Sampler:
    """Stands where the bridge stands, and shows instead of writing."""

    def __init__(self, config: FeedConfig, frames: int, show: Show) -> None:
        number = config.continuity.sequence_field
        mapper = Mapper(config.mapping, config.events, number) if config.mapping else None
        self.mapped = mapper is not None
        self._session = Session(
            config.feed,
            config.events,
            stream=secrets.token_hex(8),
            run=secrets.token_hex(8),
            sequence_field=number,
            mapper=mapper,
        )
        self._frames = frames
        self._show = show
        self.taken = 0
        self.done = asyncio.Event()

    def receive(self, frames: list[bytes], now: int) -> None:
        """Take frames that were read together."""
        for frame in frames:
            for action in self._session.receive(frame, now):
                self._shown(frame, action)

    def next_sequence(self) -> int | None:
        """From now on."""
        return None

    def version(self, path: str) -> Version | None:
        """Nothing of any file was read before."""
        return None

    async def begin(self, path: str, version: Version) -> Ledger:
        """Take up a file from its first row."""
        self._session.follow(version.stream, Ledger())
        return self._session.ledger

    async def end(self) -> None:
        """A file is complete."""

    def receive_row(
        self, frame: bytes | Invalid, number: int, original: bytes, now: int
    ) -> list[Action]:
        """Take one row of a file."""
        actions = self._session.receive_row(frame, number, original, now)
        for action in actions:
            self._shown(original, action)
        return actions

    def _shown(self, frame: bytes, action: Action) -> None:
        if self.taken < self._frames:
            self.taken += 1
            self._show(frame, action)
        if self.taken >= self._frames:
            self.done.set()


async def _listen(
    source: WebSocketSource, sampler: _Sampler, headers: Mapping[str, str], timeout: float
) -> None:
    socket = WebSocket(
        source.url,
        sampler,
        headers=headers,
        subscribe=source.subscribe,
        heartbeat=seconds(source.heartbeat),
        replies=source.replies,
    )
    reading = asyncio.create_task(socket.run())
    try:
        await asyncio.wait_for(sampler.done.wait(), timeout)
    except TimeoutError:
        if not socket.connections:
            raise LaptopError(
                f"source.websocket.url: {source.url}: no connection within {timeout:g} s: "
                f"{socket.problem}"
            ) from None
    finally:
        socket.stop()
        await reading


async def _read_files(
    source: feeds.FilesSource, config: FeedConfig, sampler: _Sampler, timeout: float
) -> None:
    at_once = msgspec.structs.replace(source, speed=0.0, follow=False)
    files = Files(at_once, config.events, sampler.mapped, sampler)
    reading = asyncio.create_task(files.run())
    try:
        await asyncio.wait_for(_finished(sampler), timeout)
    except TimeoutError:
        if not files.connections:
            where = f"source.files.path: {source.path}"
            why = files.problem or "no file there that can be read"
            raise LaptopError(f"{where}: {why}") from None
    finally:
        if files.problem:
            click.echo(files.problem, err=True)
        files.stop()
        await reading


async def _finished(sampler: _Sampler) -> None:
    """Until all wanted rows are there, or no more come after the first."""
    seen = 0
    while not sampler.done.is_set() and not 0 < sampler.taken == seen:
        seen = sampler.taken
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(sampler.done.wait(), QUIET)


def _live(feed: str, target: Target) -> FeedConfig:
    try:
        return decoded(running.config(target, FeedNames(feed).workload, CONFIG_KEY))
    except LaptopError as error:
        raise LaptopError(
            f"no TradeFeed {feed} runs there ({error}); `kubectl get tradefeeds` lists those that "
            "do, -f takes one from a file"
        ) from error


def _headers(config: FeedConfig, target: Target) -> dict[str, str]:
    """The handshake's headers, their values read from the cluster's Secrets."""
    source = config.source
    if not isinstance(source, WebSocketSource):
        return {}
    places = {name: path.removeprefix(f"{HEADERS_DIR}/") for name, path in source.headers.items()}
    return {name: running.secret(target, *place.split("/", 1)) for name, place in places.items()}


def _raw(frame: bytes, action: Action) -> None:
    click.echo(frame.decode("utf-8", "backslashreplace"))


def _told(frame: bytes, action: Action) -> None:
    for line in lines(frame, action):
        click.echo(line)


def lines(frame: bytes, action: Action) -> Iterator[str]:
    """What became of a frame, for people."""
    if isinstance(action, Deliver):
        event = next(value for name, value in action.headers if name == "event_type")
        kind = event.decode() if isinstance(event, bytes) else event
        key, value = action.key.decode(), action.value.decode()
        yield f"{kind}  topic={action.topic}  key={key}  {value}"
    elif isinstance(action, DeadLetter):
        text = frame.decode("utf-8", "backslashreplace")
        yield f"dead letter  {action.reason.value}: {action.detail}  {text}"
    else:
        yield f"left out  {action.why}  {frame.decode('utf-8', 'backslashreplace')}"
