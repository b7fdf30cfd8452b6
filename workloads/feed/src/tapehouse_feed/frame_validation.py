"""Checks of a frame and its data; the reason is worded for the sender."""

from typing import Any

import msgspec
from tapehouse_tape.events import Codec, Invalid, Reason
from tapehouse_tape.rules import non_finite

MAX_EVENT = 900_000
"""The largest event in bytes: topics take records of 1 MiB by default."""


def check_utf8(frame: bytes) -> bytes:
    """The frame; raises `Invalid` when it is not UTF-8 throughout."""
    try:
        frame.decode()
    except UnicodeDecodeError as error:
        raise _not_utf8(frame, error) from None
    return frame


def not_an_envelope(frame: bytes, error: Exception) -> Invalid:
    """What is wrong with a frame whose decoding ended in `error`."""
    if isinstance(error, RecursionError):
        return Invalid(Reason.NOT_JSON, "nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return _not_utf8(frame, error)
    infinite = non_finite(frame)
    if infinite is not None:
        return Invalid(Reason.RULE, f"{infinite} is not a finite number")
    if not isinstance(error, msgspec.ValidationError):
        return Invalid(Reason.NOT_JSON, str(error))
    if str(error).startswith("Expected `object`") and " - at " not in str(error):
        return Invalid(Reason.NOT_AN_OBJECT, str(error))
    return Invalid(Reason.WRONG_TYPE, str(error))


def _not_utf8(frame: bytes, error: UnicodeDecodeError) -> Invalid:
    detail = f"byte {error.start} is 0x{frame[error.start]:02x}: {error.reason}"
    return Invalid(Reason.NOT_UTF8, detail)


def as_invalid(error: Exception) -> Invalid:
    """The verdict on a frame whose checks ended in `error`, foreseen or not."""
    if isinstance(error, Invalid):
        return error
    return Invalid(Reason.UNEXPECTED, f"{type(error).__name__}: {error}"[:500])


def unusable(data: bytes) -> Invalid:
    """What is wrong with data that is too large or no object."""
    if len(data) > MAX_EVENT:
        detail = f"the event has {len(data)} bytes, at most {MAX_EVENT} are taken"
        return Invalid(Reason.TOO_LARGE, detail)
    found = data[:32].decode("utf-8", "replace") or "nothing"
    return Invalid(Reason.MISSING_DATA, f"data must be an object, found {found}")


def corrected(codec: Codec, event: Any, data: bytes, envelope_time: object, received: str) -> bytes:
    """`data` with its times put right and every other member's bytes as they were.

    Raises `Invalid` when one of them is not a real moment.
    """
    fallback = received if envelope_time is None else envelope_time
    if not isinstance(fallback, str):
        raise Invalid(Reason.BAD_TIMESTAMP, f"timestamp: {fallback!r} is not text")
    members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    for name, text in codec.corrected_times(event, fallback).items():
        members[name] = msgspec.Raw(msgspec.json.encode(text))
    return msgspec.json.encode(members)
