"""Which files a source has, and the digests that distinguish versions of a file."""

from fnmatch import fnmatch
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from pyarrow import fs

CHUNK = 1 << 20
_UNFINISHED = (".crc", ".tmp", ".temp", ".part", ".partial", ".inprogress", ".crdownload", "~")
"""Endings of checksums and of files that are still written under another name."""


def located(path: str) -> tuple[Any, str]:
    """The file system and the path or pattern in it."""
    if "://" in path:
        scheme, _, rest = path.partition("://")
        root = rest.split("/", 1)[0]
        filesystem, _ = fs.FileSystem.from_uri(f"{scheme}://{root}")
        return filesystem, rest
    return fs.LocalFileSystem(), path


def listed(filesystem: Any, pattern: str) -> list[Any]:
    """The file, the data files below a directory, or those that a pattern matches."""
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
            and is_data(info.path.removeprefix(base))
            and (not accept or fnmatch(info.path, accept))
        ),
        key=lambda info: info.path,
    )


def is_data(path: str) -> bool:
    """Whether a path below a directory is meant as data, not a marker or an unfinished file."""
    parts = PurePosixPath(path).parts
    return not any(part.startswith((".", "_")) for part in parts) and not path.lower().endswith(
        _UNFINISHED
    )


class Digests(NamedTuple):
    """What a file is now, compared with its first bytes, which were read before."""

    size: int
    """Bytes that count: all, or those up to the end of the last line."""
    digest: str
    early: str
    """The digest of the first bytes."""
    total: int
    seam: bytes
    """The byte before the end of the first bytes and the one after it."""

    @property
    def continues_a_line(self) -> bool:
        """Whether the first bytes ended within a line that goes on."""
        # In UTF-16 a line's end has a zero byte before or after it.
        return (
            len(self.seam) == 2 and self.seam[:1] not in b"\n\0" and self.seam[1:] not in b"\r\n\0"
        )


def digests(stream: Any, before: int, whole_lines: bool) -> Digests:
    """Read a file, of which the first `before` bytes were read before.

    With `whole_lines` what follows the last line's end is left for later.
    """
    whole, early = blake2b(digest_size=16), blake2b(digest_size=16)
    size, at, rest, seam = 0, 0, b"", b""
    while chunk := stream.read(CHUNK):
        early.update(chunk[: max(0, before - at)])
        seam += chunk[max(0, before - 1 - at) : max(0, before + 1 - at)]
        at += len(chunk)
        rest += chunk
        cut = rest.rfind(b"\n") + 1 if whole_lines else len(rest)
        whole.update(rest[:cut])
        size += cut
        rest = rest[cut:]
    return Digests(size, whole.hexdigest(), early.hexdigest(), at, seam)
