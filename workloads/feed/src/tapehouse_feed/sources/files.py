"""Recorded events from files: each version of each file once, whatever interrupts it."""

import asyncio
import logging
import time
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, BinaryIO, Protocol

import msgspec
import pyarrow
from tapehouse_tape.events import Event, Invalid

from tapehouse_feed.config import ConfigError, FilesSource
from tapehouse_feed.continuity import Ledger
from tapehouse_feed.cursor import Version
from tapehouse_feed.session import Action, Deliver
from tapehouse_feed.sources import rows
from tapehouse_feed.sources.listing import digests, listed, located
from tapehouse_feed.sources.pace import Pace
from tapehouse_feed.sources.row import Row

LOOK = 2.0
"""Seconds between looks for new files."""
BREATH = 200
"""Rows after which others get their turn."""
REST = 10.0
"""Seconds without growth after which a last line without an end is taken as it is."""
REMEMBERED = 600.0
"""Seconds for which a loss is shown."""

log = logging.getLogger("tapehouse.bridge")


_BEFORE_END = "before it was read to its end: its unread rows are lost"
_Signature = tuple[int | None, Any]


class _Refused(msgspec.Struct):
    """A file that cannot be read."""

    signature: _Signature
    why: str
    is_content: bool
    """Whether it stays so until the file changes."""


class RowReceiver(Protocol):
    """Takes the rows and knows what is written already."""

    def version(self, path: str) -> Version | None:
        """What was last read of a file."""

    async def begin(self, path: str, version: Version) -> Ledger:
        """Take up a file; which of its rows are written already."""

    async def end(self) -> None:
        """Wait until every row is acknowledged, and remember that the file is complete."""

    def receive_row(
        self, frame: bytes | Invalid, number: int, original: bytes, now: int
    ) -> list[Action]:
        """Take one row."""


class Files:
    """The files of one feed, in the order of their names."""

    def __init__(
        self, source: FilesSource, events: tuple[Event, ...], mapped: bool, receiver: RowReceiver
    ) -> None:
        if source.format not in rows.FORMATS:
            known = ", ".join(rows.FORMATS)
            raise ConfigError(f"source.format: {source.format!r}: give one of {known}")
        self._source = source
        self._framer = rows.Framer(events, mapped)
        self._receiver = receiver
        self._room = asyncio.Event()
        self._room.set()
        self._stopping = asyncio.Event()
        self._seen: dict[str, _Signature] = {}
        self._tails: dict[str, tuple[_Signature, float]] = {}
        """Files that end within a line: as they were, and since when."""
        self._refused: dict[str, _Refused] = {}
        self._reading: set[str] = set()
        """Files that are not read to their end."""
        self._lost: tuple[str, float] | None = None
        """What was lost last, and when."""
        self._unreachable = ""
        self.connected = False
        self.connections = 0
        """Files opened since the start."""
        self.disconnected_since = time.monotonic()

    async def run(self) -> None:
        """Read what is there; then wait for more where that is wanted, else for the end."""
        filesystem, pattern = located(self._source.path)
        while not self._stopping.is_set():
            try:
                found = await asyncio.to_thread(listed, filesystem, pattern)
            except (OSError, pyarrow.ArrowException, ValueError) as error:
                self.connected = False
                self._unreachable = f"{self._source.path}: {error}; check spec.source.files"
                extra = {"path": self._source.path, "error": str(error)}
                log.warning("cannot read the files", extra=extra)
            else:
                self.connected, self._unreachable = True, ""
                await self._look_at_all(filesystem, found)
            await self._wait(LOOK if self._source.follow or self.problem else None)

    @property
    def problem(self) -> str:
        """Why something is not read, with a remedy; empty while everything is."""
        if self._unreachable:
            return self._unreachable
        if self._refused:
            path, refused = next(iter(self._refused.items()))
            more = f" (and {len(self._refused) - 1} more)" if len(self._refused) > 1 else ""
            return f"cannot read {path}{more}: {refused.why}; replace or remove it"
        if self._lost and time.monotonic() - self._lost[1] < REMEMBERED:
            return self._lost[0]
        return ""

    async def _look_at_all(self, filesystem: Any, found: list[Any]) -> None:
        """Look at each file; one that cannot be read does not keep the others waiting."""
        present = {info.path for info in found}
        # Removing a file that cannot be read is the remedy, not a loss.
        self._reading -= self._refused.keys() - present
        self._refused = {path: why for path, why in self._refused.items() if path in present}
        for path in self._reading - present:
            self._lose(path, f"it was removed {_BEFORE_END}")
        for info in found:
            if self._stopping.is_set():
                return
            try:
                await self._look_at(filesystem, info)
            except (FileNotFoundError, rows.CutError):
                self._lose(info.path, f"it was removed or cut {_BEFORE_END}")
            except Exception as error:
                self._refuse(info, error)

    def _refuse(self, info: Any, error: Exception) -> None:
        is_content = isinstance(error, ValueError) and not isinstance(error, OSError)
        is_expected = is_content or isinstance(error, (OSError, pyarrow.ArrowException))
        why = str(error) or type(error).__name__
        before = self._refused.get(info.path)
        if before is None or before.why != why:
            extra = {"path": info.path, "error": why}
            log.warning("cannot read a file", extra=extra, exc_info=not is_expected)
        self._refused[info.path] = _Refused((info.size, info.mtime_ns), why, is_content)

    def _lose(self, path: str, what: str) -> None:
        self._reading.discard(path)
        self._lost = f"{path}: {what}", time.monotonic()
        log.error("rows are lost", extra={"path": path, "error": what})

    async def _wait(self, seconds: float | None) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _look_at(self, filesystem: Any, info: Any) -> None:
        """Read a file, or the rest of it, if it is not what it was."""
        signature = info.size, info.mtime_ns
        refused = self._refused.get(info.path)
        if refused and refused.is_content and refused.signature == signature:
            return
        if self._seen.get(info.path) == signature:
            return
        known = self._receiver.version(info.path)
        whole = not (self._lines and self._source.follow) or self._rested(info.path, signature)
        version, total = await asyncio.to_thread(self._version, filesystem, info, known, whole)
        if known and not known.complete and version.stream != known.stream and not refused:
            self._lose(info.path, f"it was replaced or cut {_BEFORE_END}")
        if version is not known or not version.complete:
            await self._read(filesystem, info.path, version)
        if self._stopping.is_set():
            return
        self._refused.pop(info.path, None)
        if version.size < total:
            if self._tails.get(info.path, ((), 0.0))[0] != signature:
                self._tails[info.path] = signature, time.monotonic()
            return
        self._tails.pop(info.path, None)
        self._seen[info.path] = signature

    def _rested(self, path: str, signature: _Signature) -> bool:
        """Whether a file that ends within a line has not grown for a while."""
        then = self._tails.get(path)
        return bool(then and then[0] == signature and time.monotonic() - then[1] >= REST)

    def _version(
        self, filesystem: Any, info: Any, known: Version | None, whole: bool
    ) -> tuple[Version, int]:
        """What the file is now - the known one, that one grown, or something new - and its size.

        Without `whole` a last line without an end is left for later.
        """
        with filesystem.open_input_stream(info.path) as stream:
            found = digests(stream, known.size if known else 0, not whole)
        if known and (found.early if self._lines else found.digest) == known.digest:
            # Its last line may have been taken without an end: then `size` is less.
            if found.size <= known.size:
                return known, found.total
            if self._lines and found.continues_a_line:
                self._lose(info.path, "its last line grew after it was read; the rest is lost")
            return Version(found.size, found.digest, known.stream), found.total
        identity = f"{self._source.path}\0{info.path}\0{found.digest}".encode()
        stream = blake2b(identity, digest_size=8).hexdigest()
        return Version(found.size, found.digest, stream), found.total

    @property
    def _lines(self) -> bool:
        """Whether the format grows by lines."""
        return self._source.format != "parquet"

    async def _read(self, filesystem: Any, path: str, version: Version) -> None:
        ledger = await self._receiver.begin(path, version)
        self.connections += 1
        self.connected = True
        log.info("reading", extra={"path": path, "from": (ledger.high or 0) + 1})
        self._reading.add(path)
        # A stream is decompressed as the file's name says, as it was for its digest.
        opened = filesystem.open_input_stream if self._lines else filesystem.open_input_file
        with await asyncio.to_thread(opened, path) as file:
            stream = rows.limited(file, version.size) if self._lines else file
            if not await self._send(stream, ledger):
                return
        await self._receiver.end()
        self._reading.discard(path)
        log.info("read to the end", extra={"path": path, "rows": ledger.high})

    def _rows(self, stream: BinaryIO, first: int) -> Iterator[tuple[int, Row]]:
        found = rows.rows(stream, self._source.format, self._source.columns)
        return rows.take_from(found, first)

    async def _send(self, stream: BinaryIO, ledger: Ledger) -> bool:
        """Send the rows that are not written yet; False when stopped before the end."""
        pace = Pace(self._source.speed)
        first = ledger.gaps[0].first if ledger.gaps else (ledger.high or 0) + 1
        for number, row in self._rows(stream, first):
            frame = self._framer.frame(row)
            actions = self._receiver.receive_row(
                frame, number, row.original, time.time_ns() // 1000
            )
            newest = [each.event_time for each in actions if isinstance(each, Deliver)]
            ahead = pace.ahead(newest[-1]) if newest else 0.0
            if ahead > 0:
                await self._wait(ahead)
            elif number % BREATH == 0:
                await asyncio.sleep(0)
            await self._room.wait()
            if self._stopping.is_set():
                return False
        return True

    def pause(self) -> None:
        """Stop reading."""
        self._room.clear()

    def resume(self) -> None:
        """Read again."""
        self._room.set()

    def reconnect(self) -> None:
        """Files miss nothing."""

    def stop(self) -> None:
        """End after the row at hand."""
        self._stopping.set()
        self._room.set()
