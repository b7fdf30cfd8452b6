"""Frames that wait on disk for Kafka: first in, first out."""

import os
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import BinaryIO

SEGMENT = 16 * 1024 * 1024
"""Bytes after which a new file is begun: a file is deleted once all of it is acknowledged."""
_HEAD = struct.Struct("<qI")
"""Before each frame: when it came in (µs since 1970) and how long it is."""


class SpillFull(OSError):  # noqa: N818  (a limit met, not a fault)
    """There is no room for more; the message says which limit was met."""


class Spill:
    """A queue of frames in the files of one directory.

    What an earlier process left there comes first. A frame that a crash tore is dropped: it
    was never acknowledged.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._limit = limit
        self._segments = deque(sorted(directory.glob("*.frames")))
        """Not read to their ends yet, oldest first."""
        self._number = int(self._segments[-1].stem) + 1 if self._segments else 0
        self._offset = 0
        """How far the oldest is read."""
        self._writing: FileIO | None = None
        self._spent: list[Path] = []
        self.frames = sum(_count(path) for path in self._segments)
        """Frames that wait."""
        self.bytes = sum(path.stat().st_size for path in self._segments)
        """Bytes on disk: of frames that wait, and of those that are not acknowledged yet."""

    def append(self, frames: Sequence[bytes], now: int) -> None:
        """Add frames that came in at `now` (µs since 1970): all of them or none.

        Raises `SpillFull` when the limit or the disk leaves no room.
        """
        records = b"".join([_HEAD.pack(now, len(frame)) + frame for frame in frames])
        if self.bytes + len(records) > self._limit:
            raise SpillFull(f"{self.bytes} of at most {self._limit} bytes are in use")
        try:
            self._write(records)
        except OSError as error:
            raise SpillFull(f"{self._directory}: {error.strerror}") from None
        self.bytes += len(records)
        self.frames += len(frames)

    def _write(self, records: bytes) -> None:
        if self._writing is None or self._writing.tell() >= SEGMENT:
            self._close()
            path = self._directory / f"{self._number:016d}.frames"
            self._writing = FileIO(path, "x")
            self._number += 1
            self._segments.append(path)
        start = self._writing.tell()
        try:
            written = self._writing.write(records) or 0
        except OSError:
            written = -1
        if written != len(records):
            # The last write to a full disk may be a part of what was asked for.
            os.ftruncate(self._writing.fileno(), start)
            self._writing.seek(start)
            raise OSError(None, "no space left on the device")

    def take(self, most: int) -> list[tuple[bytes, int]]:
        """The next frames and when they came in; none when none wait."""
        taken: list[tuple[bytes, int]] = []
        while self.frames and len(taken) < most:
            with self._segments[0].open("rb") as stream:
                stream.seek(self._offset)
                for frame, now in _frames(stream):
                    taken.append((frame, now))
                    self.frames -= 1
                    self._offset += _HEAD.size + len(frame)
                    if len(taken) == most:
                        break
                else:
                    self._finish_oldest()
        if not self.frames and self._segments:
            self._finish_oldest()
        return taken

    def _finish_oldest(self) -> None:
        if len(self._segments) == 1:
            self._close()
        self._spent.append(self._segments.popleft())
        self._offset = 0

    def spent(self) -> list[Path]:
        """Files whose frames have all been taken since the last call: to be released."""
        spent, self._spent = self._spent, []
        return spent

    def release(self, files: Iterable[Path]) -> None:
        """Delete files whose frames are safe elsewhere."""
        for path in files:
            self.bytes -= path.stat().st_size
            path.unlink()

    def _close(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None


def _frames(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    while len(head := stream.read(_HEAD.size)) == _HEAD.size:
        now, size = _HEAD.unpack(head)
        frame = stream.read(size)
        if len(frame) < size:
            return
        yield frame, now


def _count(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(1 for _ in _frames(stream))
