"""Opaque cursors: the sort key of a row, so that a page does not depend on a snapshot.

A cursor is base64 of `version, crc32, JSON [list, key…]`. The checksum detects damaged cursors;
it is not a secret.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import TypeAlias
from zlib import crc32

import msgspec

Key: TypeAlias = tuple[int | str, ...]

_VERSION = b"\x01"
_MAX_LENGTH = 512
_decode_key = msgspec.json.Decoder(list[int | str]).decode
_encode_key = msgspec.json.Encoder().encode


class CursorError(ValueError):
    """A cursor that this server did not create, or created for another list."""


def encode(kind: str, key: Sequence[int | str]) -> str:
    """The cursor of the row with this sort key in lists of this kind."""
    return base64.b64encode(raw(kind, [key])[0]).decode()


def raw(kind: str, keys: Iterable[Sequence[int | str]]) -> list[bytes]:
    """Cursors before base64, which is how msgspec writes bytes."""
    payloads = [_encode_key((kind, *key)) for key in keys]
    return [_VERSION + crc32(payload).to_bytes(4, "big") + payload for payload in payloads]


def decode(kind: str, text: str, shape: tuple[type, ...]) -> Key:
    """The sort key in a cursor.

    Raises:
        CursorError: damaged, of another kind of list, or a key of another shape.
    """
    key = _decode_key(_payload(text))
    if not key or key[0] != kind:
        raise CursorError("it belongs to another list or other arguments")
    if len(key) != len(shape) + 1 or not all(map(isinstance, key[1:], shape)):
        raise CursorError("its key has the wrong shape")
    return tuple(key[1:])


def _payload(text: str) -> bytes:
    if len(text) > _MAX_LENGTH:
        raise CursorError("it is too long")
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CursorError("it is not base64") from error
    # The last character may have unused bits, but each row has exactly one cursor.
    if base64.b64encode(found).decode() != text:
        raise CursorError("it is not base64 as this server writes it")
    payload = found[5:]
    if found[:1] != _VERSION or found[1:5] != crc32(payload).to_bytes(4, "big"):
        raise CursorError("its checksum does not match")
    return payload
