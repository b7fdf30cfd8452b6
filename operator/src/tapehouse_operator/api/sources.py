"""Where a TradeFeed's events come from: exactly one of five sources."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tapehouse_operator.api.base import KeyRef, Model, Rule
from tapehouse_operator.api.types import (
    Boolean,
    Fraction,
    Identifier,
    Integer,
    Number,
    ObjectName,
    Period,
    Url,
)

Symbol = Annotated[str, Field(pattern=r"^[A-Za-z0-9][-A-Za-z0-9._/]*$", max_length=32)]


class Faults(Model):
    """How often the simulator misbehaves on purpose; every share is of all frames, 0 to 1."""

    duplicates: Fraction = 0.0
    """Share of frames sent twice, 0 to 1. Default: 0. Example: 0.01."""
    late: Fraction = 0.0
    """Share of frames whose timestamp is minutes to hours old, 0 to 1. Default: 0."""
    malformed: Fraction = 0.0
    """Share of frames that are broken: truncated, not JSON, wrong types, 0 to 1. Default: 0."""
    drops: Fraction = 0.0
    """Share of frames left out, so that a sequence number is missing, 0 to 1. Default: 0."""
    reorders: Fraction = 0.0
    """Share of frames sent after the next one, 0 to 1. Default: 0."""
    disconnect_every: Annotated[Integer, Field(ge=0, le=1_000_000_000)] = 0
    """Close the connection after that many frames; 0 never does. Default: 0. Example: 1500."""


class Simulator(Model):
    """A seeded exchange: an order book, agents, nine kinds of events."""

    symbols: Annotated[tuple[Symbol, ...], Field(min_length=1, max_length=1000)]
    """The instruments traded. Example: [AAPL, MSFT]."""
    trades_per_second: Annotated[Number, Field(ge=0, le=1_000_000)] = 100.0
    """Trades per second over all symbols; the other events come with them. Default: 100."""
    seed: Annotated[Integer, Field(ge=0, le=2**53 - 1)] = 1
    """Equal seeds and symbols give equal events. Default: 1."""
    limit: Annotated[Integer, Field(ge=1, le=2**53 - 1)] | None = None
    """Stop after that many trades. Default: never."""
    faults: Faults = Faults()
    """Misbehaviour on purpose, to see what the pipeline does with it. Default: none."""


class Header(Model):
    """An HTTP header whose value is a secret."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$", max_length=128)]
    """The header. Example: `Authorization`."""
    secret_key_ref: KeyRef
    """The Secret and the key in it that hold the value."""


class ReplyMatch(Model):
    """Which frames are the source's heartbeats."""

    invariants = (
        Rule(
            "has(self.text) != has(self.field)",
            "exactly one of text, field must be set",
            lambda m: (m.text is None) != (m.field is None),
        ),
    )

    text: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """The whole frame. Example: `ping`."""
    field: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """Dotted path in the frame, which must be there. Example: `ping`."""
    equals: Annotated[str, Field(max_length=256)] | None = None
    """The text the value of `field` must have. Default: any."""


class Reply(Model):
    """What to answer to a heartbeat that is a text frame."""

    match: ReplyMatch
    """Which frames are heartbeats; they are left out of the events."""
    reply: Annotated[str, Field(max_length=1024)] = ""
    """The text to send; `${path}` is a value of the frame. Default: nothing is sent.
    Example: `{"pong": ${ping}}`."""


class WebSocket(Model):
    """Text frames from a WebSocket, one JSON object each."""

    url: Annotated[Url, Field(pattern=r"^wss?://")]
    """`ws://` or `wss://`, with or without a path. Example: `wss://stream.example.com/ws`."""
    headers_from: Annotated[tuple[Header, ...], Field(max_length=16)] = ()
    """Headers of the handshake, from Secrets. Default: none."""
    subscribe: Annotated[
        tuple[Annotated[str, Field(max_length=8192)], ...], Field(max_length=64)
    ] = ()
    """Texts to send after connecting, in order, as the exchange wants them. Default: none."""
    heartbeat: Period = "20s"
    """Ping that often and reconnect when two go unanswered. Default: 20s."""
    replies: Annotated[tuple[Reply, ...], Field(max_length=8)] = ()
    """Answers to heartbeats that are text frames, of sources that close unanswered connections.
    Default: none."""


class Format(StrEnum):
    """How a file is laid out."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class Files(Model):
    """Recorded events from files, each file once."""

    invariants = (
        Rule(
            "!has(self.columns) || self.columns.size() == 0 || self.format == 'csv'",
            "columns are declared for format csv only: jsonl and parquet name theirs",
            lambda m: not m.columns or m.format is Format.CSV,
        ),
    )

    path: Annotated[str, Field(min_length=1, max_length=1024)]
    """A file, a directory or a pattern, local or in object storage.
    Example: `s3://tapes/2026-01-05/*.csv`."""
    format: Format
    """`csv` (with a header line, or with `columns`), `jsonl` (one object per line) or `parquet`."""
    columns: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128)], ...], Field(max_length=256)
    ] = ()
    """The columns of CSV files without a header line, in order; a first line that repeats them is
    skipped. Default: none, the first line is the header. Example: [id, price, qty, time]."""
    follow: Boolean = False
    """Keep looking for new files after the last one. Default: false."""
    speed: Annotated[Number, Field(ge=0, le=1_000_000)] = 0.0
    """Replay at that multiple of the pace of the events' times; 0 is as fast as possible.
    Default: 0. Example: 1 for the original pace."""


class Postgres(Model):
    """Changes of PostgreSQL tables by logical replication."""

    connection_secret_ref: ObjectName
    """A Secret with the keys `host`, `port`, `database`, `username`, `password`."""
    publication: Identifier
    """The publication to read. Example: `tapehouse`."""
    tables: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[^.]+\.[^.]+$", max_length=128)], ...],
        Field(min_length=1, max_length=256),
    ]
    """The tables to take, with their schema; each is an event of the same name.
    Example: [public.customers]."""


class Http(Model):
    """Records polled from an HTTP endpoint, page by page."""

    url: Annotated[Url, Field(pattern=r"^https?://")]
    """The endpoint; it answers with a JSON list or an object that holds one."""
    every: Period = "1m"
    """How long to wait after the last page. Default: 1m."""
    cursor: Annotated[str, Field(max_length=256)] = ""
    """Dotted path in the answer of the value to ask the next page with; it is sent as the query
    parameter of the last name. Default: no pages. Example: `page.next`."""
    headers_from: Annotated[tuple[Header, ...], Field(max_length=16)] = ()
    """Headers of the request, from Secrets. Default: none."""


SOURCES = ("simulator", "websocket", "files", "postgres", "http")


class Source(Model):
    """Where events come from: exactly one of the five."""

    invariants = (
        Rule(
            "["
            + ", ".join(f"has(self.{name})" for name in SOURCES)
            + "].filter(set, set).size() == 1",
            f"exactly one of {', '.join(SOURCES)} must be set",
            lambda s: sum(getattr(s, name) is not None for name in SOURCES) == 1,
        ),
    )

    simulator: Simulator | None = None
    """A seeded exchange: an order book, agents and nine kinds of events. For everything that
    must not depend on anybody else."""
    websocket: WebSocket | None = None
    """Text frames from a WebSocket, one JSON object each. Foreign shapes are mapped by
    `spec.mapping`."""
    files: Files | None = None
    """Recorded events from CSV, JSON Lines or Parquet files, each file once."""
    postgres: Postgres | None = None
    """Changes of PostgreSQL tables, by logical replication."""
    http: Http | None = None
    """Records polled from an HTTP endpoint, page by page."""

    @property
    def type(self) -> str:
        """The name of the source that is set."""
        return next(name for name in SOURCES if getattr(self, name) is not None)
