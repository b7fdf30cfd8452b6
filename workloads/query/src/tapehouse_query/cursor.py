"""Opaque cursors: the sort key of a row, so that a page does not depend on a snapshot.

A cursor is base64url of `version, crc32, JSON [list, key…]`. The checksum is there to tell a
damaged cursor from a good one, not to keep secrets.
"""

import base64
import binascii
import zlib
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

Key: TypeAlias = tuple[int | str, ...]

_VERSION = b"\x01"
_MAX_LENGTH = 512
_decode_key = msgspec.json.Decoder(list[int | str]).decode
_encode_key = msgspec.json.Encoder().encode


class CursorError(ValueError):
    """A cursor that this server did not make, or made for another list."""


def encode(kind: str, key: Sequence[int | str]) -> str:
    """The cursor of the row with this sort key in lists of this kind."""
    payload = _encode_key((kind, *key))
    raw = _VERSION + zlib.crc32(payload).to_bytes(4, "big") + payload
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


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
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise CursorError("it is not base64url") from error
    payload = raw[5:]
    if raw[:1] != _VERSION or raw[1:5] != zlib.crc32(payload).to_bytes(4, "big"):
        raise CursorError("its checksum does not match")
    return payload
