"""`feed.json`: what the operator wrote for this feed, read with errors that name the field."""

import datetime as dt
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from tapehouse_contracts.durations import seconds
from tapehouse_tape.events import Event


class ConfigError(ValueError):
    """The configuration is unusable; the message names file, field, value and remedy."""


class Faults(msgspec.Struct, frozen=True, rename="camel"):
    """Misbehaviour of the simulator; shares are of all frames, 0 to 1."""

    duplicates: float = 0.0
    late: float = 0.0
    malformed: float = 0.0
    drops: float = 0.0
    reorders: float = 0.0
    disconnect_every: int = 0


class SimulatorSource(
    msgspec.Struct, frozen=True, rename="camel", tag="simulator", tag_field="type"
):
    """The seeded exchange in the same Pod; `limit` counts trades."""

    symbols: tuple[str, ...]
    trades_per_second: float = 100.0
    seed: int = 1
    limit: int | None = None
    faults: Faults = Faults()


class ReplyMatch(msgspec.Struct, frozen=True):
    """Which frames are answered: those that are `text`, or have `field` (with that value)."""

    text: str | None = None
    field: str | None = None
    equals: str | None = None


class Reply(msgspec.Struct, frozen=True):
    """A heartbeat of the source's own, and what to answer; empty: nothing."""

    match: ReplyMatch
    reply: str = ""


class WebSocketSource(
    msgspec.Struct, frozen=True, rename="camel", tag="websocket", tag_field="type"
):
    """A foreign WebSocket; `headers` maps names to files beside `feed.json`."""

    url: str
    headers: dict[str, str] = {}
    subscribe: tuple[str, ...] = ()
    heartbeat: str = "20s"
    replies: tuple[Reply, ...] = ()


class FilesSource(msgspec.Struct, frozen=True, rename="camel", tag="files", tag_field="type"):
    """Recorded events, each file once; `speed` 0 is as fast as possible."""

    path: str
    format: str
    columns: tuple[str, ...] = ()
    """Of CSV without a header line; empty: the first line is the header."""
    follow: bool = False
    speed: float = 0.0


Source = SimulatorSource | WebSocketSource | FilesSource


class Continuity(msgspec.Struct, frozen=True, rename="camel"):
    """How missing events are noticed and fetched."""

    sequence_field: str = "sequence"
    scope: Literal["Feed", "Key"] | None = None
    """What numbers count: the whole feed or each key; None: the key where frames are mapped."""
    max_gap: int | None = None
    backfill: bool = False


class Hours(msgspec.Struct, frozen=True):
    """When a market is open, on which days (Monday is 0), in its own time."""

    days: tuple[int, ...]
    open: dt.time
    close: dt.time


class Halts(msgspec.Struct, frozen=True):
    """The events by which a market says that one of its instruments does not trade."""

    halt: str
    resume: str


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """When silence is normal."""

    timezone: str = "UTC"
    hours: tuple[Hours, ...] = ()
    """Empty: always open."""
    holidays: tuple[dt.date, ...] = ()
    silence: str | None = None
    """How long an open market may say nothing; None: as long as it likes."""
    halts: Halts | None = None


class SpillTo(msgspec.Struct, frozen=True):
    """Where frames wait while Kafka takes none, and how many bytes of them."""

    path: str
    bytes: int


class When(msgspec.Struct, frozen=True):
    """Which foreign frames a mapping is for."""

    field: str
    equals: str


class FieldMapping(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """Where one field's value comes from: a dotted path or a constant."""

    from_: str | None = None
    value: str | None = None
    scale: float | None = None
    unit: str | None = None
    map: dict[str, str] | None = None


class FrameMapping(msgspec.Struct, frozen=True, rename="camel"):
    """How one kind of foreign frame becomes one kind of event."""

    when: When
    event: str
    fields: dict[str, FieldMapping]
    quantity_scale: int = 1
    each: str | None = None
    """Dotted path of a list: one event for each element; None: one for the frame."""


class FeedConfig(msgspec.Struct, frozen=True, rename="camel"):
    """The whole of `feed.json`."""

    feed: str
    source: Source
    events: tuple[Event, ...]
    dead_letter_topic: str
    cursor_topic: str
    kafka: dict[str, Any]
    namespace: str = "default"
    mapping: tuple[FrameMapping, ...] | None = None
    continuity: Continuity = Continuity()
    session: Session | None = None
    spill: SpillTo | None = None
    report: str | None = None
    """The ConfigMap in which to say what must be known outside; None: nowhere."""
    log_level: str = "INFO"

    @property
    def counts_per_key(self) -> bool:
        """Whether sequence numbers count per key."""
        scope = self.continuity.scope
        return self.mapping is not None if scope is None else scope == "Key"

    def topics(self) -> list[str]:
        """Every event topic once, in the order of the events."""
        return list(dict.fromkeys(event.topic for event in self.events))


def load(path: Path) -> FeedConfig:
    """Read `feed.json`.

    Raises `ConfigError` when it is not there, not JSON, or a field is missing or wrong.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give the path of a feed.json") from None
    return parse(text, path)


def parse(text: bytes, path: Path) -> FeedConfig:
    """Read the text of `feed.json`; `path` is where it comes from, for messages.

    Raises `ConfigError` when it is not JSON, or a field is missing or wrong.
    """
    try:
        config = msgspec.json.decode(text, type=FeedConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_located(str(error), text)}") from None
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from None
    _check(path, config)
    return config


def headers(source: WebSocketSource, directory: Path) -> dict[str, str]:
    """The handshake's headers, their values read from the mounted Secrets.

    Raises `ConfigError` when one cannot be read.
    """
    values = {}
    for name, file in source.headers.items():
        try:
            values[name] = (directory / file).read_text().strip()
        except OSError as error:
            raise ConfigError(
                f"source.headers.{name}: {directory / file}: {error.strerror}; "
                "is the key in the Secret?"
            ) from None
    return values


def _located(message: str, text: bytes) -> str:
    """`message` with the value that stands at the path it ends with."""
    what, _, where = message.rpartition(" - at ")
    steps = re.findall(r"\.([^.\[\]`]+)|\[(\d+)\]", where)
    value: Any = msgspec.json.decode(text)
    for name, index in steps:
        try:
            value = value[int(index)] if index else value[name]
        except (KeyError, IndexError, TypeError):
            return message
    shown = msgspec.json.encode(value).decode()
    field = where.strip("`").removeprefix("$.") or "the document"
    return f"{field}: {shown[:120]}: {what or message}"


def _check(path: Path, config: FeedConfig) -> None:
    if not config.events:
        raise ConfigError(f"{path}: events: []: declare at least one event")
    names = [event.name for event in config.events]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: events: {name!r} is declared twice; use each name once")
    if "bootstrap.servers" not in config.kafka:
        raise ConfigError(f"{path}: kafka: bootstrap.servers is missing; give host:port")
    for mapping in config.mapping or ():
        if mapping.event not in names:
            raise ConfigError(
                f"{path}: mapping.event: {mapping.event!r} is not one of {', '.join(names)}"
            )
    if config.session:
        _check_session(path, config.session)
    if isinstance(config.source, SimulatorSource):
        _check_simulator(path, config.source)


def _check_session(path: Path, session: Session) -> None:
    try:
        ZoneInfo(session.timezone)
    except (ValueError, OSError):
        zone = session.timezone
        raise ConfigError(
            f"{path}: session.timezone: {zone!r}: give an IANA name such as America/New_York"
        ) from None
    if session.silence is not None:
        try:
            seconds(session.silence)
        except ValueError as error:
            raise ConfigError(f"{path}: session.silence: {error}") from None


def _check_simulator(path: Path, source: SimulatorSource) -> None:
    shares = {name: getattr(source.faults, name) for name in source.faults.__struct_fields__}
    disconnect_every = shares.pop("disconnect_every")
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ConfigError(f"{path}: source.faults.{name}: {share}: give a share from 0 to 1")
    for name, number, least in (
        ("symbols", len(set(source.symbols)), 1),
        ("tradesPerSecond", source.trades_per_second, 0),
        ("seed", source.seed, 0),
        ("limit", 1 if source.limit is None else source.limit, 1),
        ("faults.disconnectEvery", disconnect_every, 0),
    ):
        if number < least:
            raise ConfigError(f"{path}: source.{name}: {number}: give at least {least}")


def kafka_client(config: FeedConfig, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The settings every Kafka client of this feed starts from, with the password added."""
    client = dict(config.kafka)
    if password := environment.get("KAFKA_PASSWORD"):
        client["sasl.password"] = password
    return client


__all__ = [
    "ConfigError",
    "Continuity",
    "Faults",
    "FeedConfig",
    "FieldMapping",
    "FilesSource",
    "FrameMapping",
    "Halts",
    "Hours",
    "Session",
    "SimulatorSource",
    "Source",
    "SpillTo",
    "WebSocketSource",
    "headers",
    "kafka_client",
    "load",
    "parse",
]
