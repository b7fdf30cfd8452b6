"""Lines of text files: byte order marks are honoured, other encodings refused."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO

LONGEST_LINE = 4 * 1024 * 1024
"""Bytes of a line; of a longer one only so many are read, and it becomes a dead letter."""
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, ""),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BINARY = {
    b"\x1f\x8b": "gzip (name it *.gz)",
    b"PK\x03\x04": "a zip archive (unpack it)",
    b"\x28\xb5\x2f\xfd": "zstd (name it *.zst)",
    b"BZh": "bzip2 (name it *.bz2)",
    b"\xfd7zXZ": "xz (unpack it)",
    b"PAR1": "Parquet (declare format: parquet)",
}


def byte_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a file in UTF-8, without a byte order mark.

    What is not UTF-8 stays as it is. Raises `ValueError` when the file is not text.
    """
    first = stream.readline(LONGEST_LINE)
    mark, encoding = next(((m, e) for m, e in _MARKS if first.startswith(m)), (b"", ""))
    binary = next((what for magic, what in _BINARY.items() if first.startswith(magic)), None)
    if binary or (not encoding and b"\0" in first):
        what = binary or "UTF-16 without a byte order mark, or no text"
        raise ValueError(f"not a text file in UTF-8: it is {what}")
    if encoding:
        decoder = codecs.getincrementaldecoder(encoding)()
        yield from _reencoded(stream, first[len(mark) :], decoder)
        return
    line = first
    while line:
        yield line[len(mark) :] if line is first else line
        while line and not line.endswith(b"\n"):
            line = stream.readline(LONGEST_LINE)
        line = stream.readline(LONGEST_LINE)


def _reencoded(
    stream: BinaryIO, rest: bytes, decoder: codecs.IncrementalDecoder
) -> Iterator[bytes]:
    """The lines of a file in UTF-16 or UTF-32, in UTF-8."""
    text = ""
    while rest:
        try:
            text += decoder.decode(rest)
        except UnicodeDecodeError as error:
            raise ValueError(f"not the text that its byte order mark says: {error}") from None
        *lines, text = text.split("\n")
        for line in lines:
            yield f"{line}\n".encode("utf-8", "surrogatepass")
        rest = stream.read(1 << 16)
    if text:
        yield text.encode("utf-8", "surrogatepass")


def text_lines(stream: BinaryIO) -> Iterator[str]:
    """The same lines decoded; bytes that are not UTF-8 as lone surrogates, to be refused."""
    for line in byte_lines(stream):
        yield line.decode("utf-8", "surrogateescape")
