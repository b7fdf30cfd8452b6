"""From a source to Kafka: reads, checks, writes, remembers where it stands."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tapehouse_contracts.durations import seconds
from tapehouse_tape.events import Invalid

from tapehouse_feed.account import account_of, without_event
from tapehouse_feed.actions import Action
from tapehouse_feed.config import FeedConfig, FilesSource, SimulatorSource, WebSocketSource
from tapehouse_feed.continuity import Ledger
from tapehouse_feed.cursor import STREAM, Version
from tapehouse_feed.cursor_store import FLUSH, CursorStore
from tapehouse_feed.exported_metrics import exported_metrics
from tapehouse_feed.intake import POLL, Intake
from tapehouse_feed.mapping import Mapper
from tapehouse_feed.market import Market
from tapehouse_feed.metrics import Collector, Latency, MetricValues, Server
from tapehouse_feed.report import Reporter, load_access
from tapehouse_feed.session import Session
from tapehouse_feed.simulator.server import PORT as SIMULATOR_PORT
from tapehouse_feed.sink import Sink
from tapehouse_feed.sources.files import Files
from tapehouse_feed.sources.websocket import WebSocket
from tapehouse_feed.spill import Spill
from tapehouse_feed.watch import GRACE, Account, Watch

TICK = 1.0
"""Seconds between cursors."""
RESTART = (0.5, 30.0)
"""Seconds before a source that failed is run again, the first and the longest."""
PATIENCE = 10.0
"""Seconds without a connection after which the bridge is not ready."""

log = logging.getLogger("tapehouse.bridge")


class Bridge:
    """One feed, from start to stop."""

    def __init__(
        self,
        config: FeedConfig,
        client: dict[str, Any],
        host: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._config = config
        self._headers = headers
        self._host = host
        client = {"client.id": f"{config.feed}-feed", **client}
        self._latency = Latency()
        self._sink = Sink(client, config.dead_letter_topic, config.feed, self._latency)
        self._cursor_store = CursorStore(config, client, self._sink)
        self._session = self._new_session()
        self._market = Market(config.session, config.events)
        spill = _spill(config)
        self._intake = Intake(
            self._session, self._sink, config.dead_letter_topic, self._market, spill
        )
        self._watch = Watch(config.continuity.max_gap)
        self._reporter = _reporter(config)
        self._source: WebSocket | Files | None = None
        self._stop = asyncio.Event()
        self._started = time.time()
        self._looking: asyncio.Task[None] | None = None
        self._failed, self._failed_at = "", 0
        """Why the source ended unexpectedly, and the events taken when it began again."""

    async def run(self, metrics_port: int) -> None:
        """Work until SIGTERM or SIGINT.

        Raises `OSError` when the metrics address is taken, `DeliveryError` when Kafka refuses a
        record for good, and `KafkaException` when it refuses the user.
        """
        server = Server(Collector(self._config.feed, self._latency, self._read), self._not_ready)
        server.start(self._host, metrics_port)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        try:
            if await self._cursor_store.find(self._session, self._stop):
                await self._work()
        finally:
            await asyncio.to_thread(self._cursor_store.close)
            server.stop()

    async def _work(self) -> None:
        self._source = self._new_source()
        self._intake.start(self._source)
        reading = asyncio.create_task(self._read_source(self._source))
        try:
            while not self._stop.is_set() and self._sink.failure is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), TICK)
                self._tick()
        finally:
            self._source.stop()
            await reading
            await self._finish()
        if self._sink.failure:
            raise self._sink.failure

    async def _read_source(self, source: WebSocket | Files) -> None:
        """Run the source until the end; after an unexpected exception, again with back-off."""
        wait = RESTART[0]
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                await source.run()
                return
            except Exception as error:
                log.exception("the source failed")
                self._failed = _described(error)
            if time.monotonic() - began > RESTART[1]:
                wait = RESTART[0]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), wait)
            wait = min(RESTART[1], wait * 2)
            self._failed_at = self._session.events.total()

    @property
    def _problem(self) -> str:
        """Why the source brings nothing; of a failed one until it brings events again."""
        if self._failed and self._session.events.total() > self._failed_at:
            self._failed = ""
        return self._failed or (self._source.problem if self._source else "")

    def _new_session(self) -> Session:
        config = self._config
        field = config.continuity.sequence_field
        return Session(
            config.feed,
            config.events,
            stream=self._cursor_store.stream,
            run=secrets.token_hex(STREAM // 2),
            sequence_field=field,
            mapper=Mapper(config.mapping, config.events, field) if config.mapping else None,
            per_key=config.counts_per_key,
        )

    def _new_source(self) -> WebSocket | Files:
        source = self._config.source
        if isinstance(source, SimulatorSource):
            return WebSocket(f"ws://{self._host}:{SIMULATOR_PORT}/", self)
        if isinstance(source, WebSocketSource):
            heartbeat = seconds(source.heartbeat)
            return WebSocket(
                source.url,
                self,
                headers=self._headers,
                subscribe=source.subscribe,
                heartbeat=heartbeat,
                replies=source.replies,
            )
        return Files(source, self._config.events, self._config.mapping is not None, self)

    # What sources ask for.

    @property
    def taken(self) -> int:
        """Events taken since the start, with frames that still wait to be looked at."""
        return self._session.events.total() + self._intake.waiting

    def receive(self, frames: list[bytes], now: int) -> None:
        """Take frames read together at `now`, µs since 1970."""
        self._intake.receive(frames, now)

    def next_sequence(self) -> int | None:
        """Where to ask the source to begin, or None where it cannot be asked."""
        resumable = isinstance(self._config.source, SimulatorSource)
        if not (resumable or self._config.continuity.backfill):
            return None
        return self._cursor_store.replay.first(self._session.ledger)

    def version(self, path: str) -> Version | None:
        """What was last read of a file."""
        return self._cursor_store.version(path)

    async def begin(self, path: str, version: Version) -> Ledger:
        """Take up a file; which of its rows are written already."""
        ledger = await self._cursor_store.begin(path, version)
        self._session.follow(version.stream, ledger)
        return ledger

    async def end(self) -> None:
        """Wait until every row is acknowledged, and remember that the file is complete."""
        while self._sink.in_flight and not self._stop.is_set():
            await asyncio.sleep(POLL)
        if not self._sink.in_flight:
            self._cursor_store.end(self._session.ledger)

    def receive_row(
        self, frame: bytes | Invalid, number: int, original: bytes, now: int
    ) -> list[Action]:
        """Take row `number` of a file."""
        return self._intake.receive_row(frame, number, original, now)

    # Every second, and at the end.

    def _tick(self) -> None:
        self._intake.poll()
        self._cursor_store.mark(self._session, self._intake.spill)
        self._cursor_store.settle(self._intake.spill)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._cursor_store.look())
        if self._intake.paused_since and isinstance(self._source, WebSocket):
            self._source.excuse_pong()
        elif self._config.continuity.backfill and self._source:
            self._backfill(self._source)
        self._report()

    def _backfill(self, source: WebSocket | Files) -> None:
        """Ask once for what has been missing for a while."""
        ledger, replay = self._session.ledger, self._cursor_store.replay
        if source.connected and replay.wanted(ledger, time.time_ns() // 1000 - GRACE):
            replay.begin(ledger)
            log.warning("asking again for missing events", extra={"missing": ledger.missing})
            source.reconnect()

    def _report(self) -> None:
        intake, now = self._intake, time.time_ns() // 1000
        source = self._source
        heartbeats = source.heartbeats if isinstance(source, WebSocket) else 0
        account = account_of(self._session, heartbeats)
        last = intake.last_frame or int(self._started * 1e6)
        too_quiet = self._market.is_too_quiet(last / 1e6, now / 1e6, self._trading())
        report = self._watch.look(
            self._session.ledgers,
            now,
            silent_since=last if too_quiet else 0,
            paused_since=intake.paused_since,
            full=intake.full,
            problem=self._problem,
            no_event=self._without_event(account),
            account=account,
        )
        if report and self._reporter:
            self._reporter.write(report)

    def _without_event(self, account: Account) -> str:
        """Why no event has ever come; empty where the topics hold some already."""
        topics = self._config.topics()
        if any(end for topic in topics for end in self._sink.offsets.get(topic, {}).values()):
            return ""
        return without_event(account, is_socket=not isinstance(self._source, Files))

    def _trading(self) -> set[bytes]:
        """The keys that events have come for, of those that may be halted."""
        lanes = self._sink.lanes.by_topic
        return {key for topic in self._market.trading_topics for key in lanes[topic].known}

    def stop(self) -> None:
        """Flush, write the cursor, end."""
        self._stop.set()

    async def _finish(self) -> None:
        """Flush and write the last cursor."""
        self._intake.stop()
        if self._looking:
            await self._looking
        if self._reporter:
            self._reporter.stop()
        spill = self._intake.spill
        self._cursor_store.mark(self._session, spill, last=True)
        left = self._sink.flush(FLUSH)
        if self._cursor_store.settle(spill):
            self._sink.flush(FLUSH)
        level = logging.WARNING if left else logging.INFO
        log.log(level, "stopped", extra={"acked": self._sink.acked, "unacknowledged": left})

    # What is seen from outside.

    @property
    def received(self) -> int:
        """Frames received since the start."""
        return self._session.frames

    @property
    def acknowledged(self) -> int:
        """Records that Kafka acknowledged since the start."""
        return self._sink.acked

    def _read(self) -> Iterator[MetricValues]:
        return exported_metrics(self._intake, self._sink, self._source)

    def _not_ready(self) -> str:
        if self._cursor_store.waiting:
            return self._cursor_store.waiting
        source = self._source
        if source is None or source.connected:
            return ""
        if source.connections and time.monotonic() - source.disconnected_since < PATIENCE:
            return ""
        return "not connected to the source"


def _described(error: Exception) -> str:
    first = str(error).splitlines()[0] if str(error) else ""
    return f"the source failed: {type(error).__name__}: {first}; it is started again"


def _spill(config: FeedConfig) -> Spill | None:
    """The disk that frames wait on; rows of files wait in their files."""
    if config.spill is None or isinstance(config.source, FilesSource):
        return None
    root = os.environ.get("TAPEHOUSE_ROOT", "")
    return Spill(Path(f"{root}{config.spill.path}"), config.spill.bytes)


def _reporter(config: FeedConfig) -> Reporter | None:
    if config.report is None:
        return None
    try:
        access = load_access()
    except (OSError, ValueError) as error:
        log.warning("nothing can be reported", extra={"error": str(error)})
        return None
    return Reporter(config.namespace, config.report, access) if access else None
