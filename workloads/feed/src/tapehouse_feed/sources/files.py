"""Recorded events from files: each version of each file once, whatever interrupts it."""

import asyncio
import logging
import time
from collections.abc import Callable
from fnmatch import fnmatch
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Protocol

import pyarrow
from pyarrow import fs
from tapehouse_tape import times
from tapehouse_tape.events import Event, Invalid

from tapehouse_feed.config import ConfigError, FilesSource
from tapehouse_feed.continuity import Ledger
from tapehouse_feed.cursor import Version
from tapehouse_feed.session import Action, Deliver
from tapehouse_feed.sources import rows

LOOK = 2.0
"""Seconds between looks for new files."""
BREATH = 200
"""Rows after which others get their turn."""
CHUNK = 1 << 20

log = logging.getLogger("tapehouse.bridge")


class Desk(Protocol):
    """Who takes the rows and knows what is written already."""

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
        self, source: FilesSource, events: tuple[Event, ...], mapped: bool, desk: Desk
    ) -> None:
        if source.format not in rows.FORMATS:
            known = ", ".join(rows.FORMATS)
            raise ConfigError(f"source.format: {source.format!r}: give one of {known}")
        self._source = source
        self._framer = rows.Framer(events, mapped)
        self._desk = desk
        self._room = asyncio.Event()
        self._room.set()
        self._stopping = asyncio.Event()
        self._seen: dict[str, tuple[int | None, Any]] = {}
        self.connected = False
        self.problem = ""
        """Why nothing can be read, with a remedy; empty while it works."""
        self.connections = 0
        """Files opened since the start."""
        self.disconnected_since = time.monotonic()

    async def run(self) -> None:
        """Read what is there; then wait for more where that is wanted, else for the end."""
        filesystem, pattern = _located(self._source.path)
        while not self._stopping.is_set():
            try:
                for info in await asyncio.to_thread(_listed, filesystem, pattern):
                    await self._look_at(filesystem, info)
                self.connected, self.problem = True, ""
            except (OSError, pyarrow.ArrowException, ValueError) as error:
                self.connected = False
                self.problem = f"{self._source.path}: {error}; check spec.source.files"
                extra = {"path": self._source.path, "error": str(error)}
                log.warning("cannot read the files", extra=extra)
            await self._wait(LOOK if self._source.follow or not self.connected else None)

    async def _wait(self, seconds: float | None) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _look_at(self, filesystem: Any, info: Any) -> None:
        """Read a file, or the rest of it, if it is not what it was."""
        signature = info.size, info.mtime_ns
        if self._stopping.is_set() or self._seen.get(info.path) == signature:
            return
        known = self._desk.version(info.path)
        version = await asyncio.to_thread(self._version, filesystem, info, known)
        if version is not known or not version.complete:
            await self._read(filesystem, info.path, version)
        if not self._stopping.is_set():
            self._seen[info.path] = signature

    def _version(self, filesystem: Any, info: Any, known: Version | None) -> Version:
        """What the file is now: the known one, that one grown, or something new."""
        with filesystem.open_input_stream(info.path) as stream:
            whole_lines = self._lines and self._source.follow
            size, digest, before = _digests(stream, known.size if known else 0, whole_lines)
        if known and (size, digest) == (known.size, known.digest):
            return known
        if known and self._lines and before == known.digest:
            return Version(size, digest, known.stream)
        identity = f"{self._source.path}\0{info.path}\0{digest}".encode()
        return Version(size, digest, blake2b(identity, digest_size=8).hexdigest())

    @property
    def _lines(self) -> bool:
        """Whether the format grows by lines."""
        return self._source.format != "parquet"

    async def _read(self, filesystem: Any, path: str, version: Version) -> None:
        ledger = await self._desk.begin(path, version)
        self.connections += 1
        self.connected = True
        log.info("reading", extra={"path": path, "from": (ledger.high or 0) + 1})
        opened = filesystem.open_input_file(path)
        with opened:
            stream = rows.limited(opened, version.size) if self._lines else opened
            if not await self._send(stream, ledger):
                return
        await self._desk.end()
        log.info("read to the end", extra={"path": path, "rows": ledger.high})

    async def _send(self, stream: BinaryIO, ledger: Ledger) -> bool:
        """Send the rows that are not written yet; False when stopped before the end."""
        pace = _Pace(self._source.speed)
        first = ledger.gaps[0].first if ledger.gaps else (ledger.high or 0) + 1
        for number, row in rows.take_from(rows.rows(stream, self._source.format), first):
            frame: bytes | Invalid
            try:
                frame = self._framer.frame(row)
            except Invalid as invalid:
                frame = invalid
            actions = self._desk.receive_row(frame, number, row.original, time.time_ns() // 1000)
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


class _Pace:
    """Keeps to `speed` times the pace of the events' own times; 0 is no pace."""

    def __init__(self, speed: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._speed = speed
        self._clock = clock
        self._started: tuple[float, int] | None = None

    def ahead(self, event_time: str | None) -> float:
        """Seconds to wait after an event of this time."""
        if not self._speed or event_time is None:
            return 0.0
        moment = times.to_micros(event_time)
        if self._started is None:
            self._started = self._clock(), moment
        began, first = self._started
        return (moment - first) / 1e6 / self._speed - (self._clock() - began)


def _located(path: str) -> tuple[Any, str]:
    """The file system and the path or pattern in it."""
    if "://" in path:
        scheme, _, rest = path.partition("://")
        root = rest.split("/", 1)[0]
        filesystem, _ = fs.FileSystem.from_uri(f"{scheme}://{root}")
        return filesystem, rest
    return fs.LocalFileSystem(), path


def _listed(filesystem: Any, pattern: str) -> list[Any]:
    """Files that are meant: the file, all below a directory, or what a pattern matches."""
    parts = PurePosixPath(pattern).parts
    wild = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), None)
    if wild is None:
        info = filesystem.get_file_info(pattern)
        if info.type == fs.FileType.File:
            return [info]
        if info.type == fs.FileType.NotFound:
            raise FileNotFoundError(f"{pattern}: there is no such file or directory")
        base, accept = pattern, ""
    else:
        base, accept = str(PurePosixPath(*parts[:wild])), pattern
    found = filesystem.get_file_info(fs.FileSelector(base, recursive=True, allow_not_found=True))
    return sorted(
        (
            info
            for info in found
            if info.type == fs.FileType.File
            and not info.base_name.startswith(".")
            and (not accept or fnmatch(info.path, accept))
        ),
        key=lambda info: info.path,
    )


def _digests(stream: Any, before: int, whole_lines: bool) -> tuple[int, str, str]:
    """Size and digest of a file and the digest of its first `before` bytes.

    With `whole_lines` what follows the last line's end is left for later.
    """
    whole, early = blake2b(digest_size=16), blake2b(digest_size=16)
    size, at, rest = 0, 0, b""
    while chunk := stream.read(CHUNK):
        early.update(chunk[: max(0, before - at)])
        at += len(chunk)
        rest += chunk
        cut = rest.rfind(b"\n") + 1 if whole_lines else len(rest)
        whole.update(rest[:cut])
        size += cut
        rest = rest[cut:]
    return size, whole.hexdigest(), early.hexdigest()
