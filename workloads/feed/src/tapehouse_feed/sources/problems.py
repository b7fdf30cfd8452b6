"""Why a WebSocket source brings nothing, as one sentence with its remedy."""

import asyncio
import http
import socket
import ssl
from urllib.parse import urlsplit

import picows

BODY = 200
"""Characters of an HTTP answer's body that are quoted."""
CLOSES = {
    1000: "normal closure",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1007: "invalid data",
    1008: "policy violation",
    1009: "message too big",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
}
"""What close codes mean: RFC 6455, 7.4.1, and the registry that continues it."""
_URL = "check spec.source.websocket.url"
_LATER = "the source has trouble of its own; the feed keeps trying"
_STATUSES = {
    401: "the source wants credentials: set spec.source.websocket.headersFrom, or renew its Secret",
    403: "the source refuses these credentials or this network: check the Secret of "
    "spec.source.websocket.headersFrom, and whether the source admits this address",
    404: f"the source has no such path: {_URL}",
    429: "too many requests: run fewer feeds against this source, or ask it for a higher limit; "
    "the feed keeps trying, at most every 30 s",
    451: "the source refuses this location for legal reasons: use its endpoint for your region in "
    "spec.source.websocket.url, or run the feed from another network",
}
_CLOSED_EARLY = (
    "it closes before an event comes: check spec.source.websocket.subscribe, and declare under "
    "spec.source.websocket.replies what it wants answered"
)


def of_attempt(url: str, error: Exception) -> str:
    """Why no connection was made."""
    host = urlsplit(url).netloc if "[" not in url else url
    match error:
        case picows.WSHandshakeError() if error.response is not None:
            return _refused(int(error.response.status), error.raw_body or b"")
        case picows.WSHandshakeError():
            return f"{host}: the WebSocket handshake failed: {_first_line(error)}; {_URL}"
        case picows.WSError() | ValueError():
            return f"{url}: {_first_line(error)}; {_URL}"
        case socket.gaierror():
            return f"{host}: the host name is not known ({error.strerror}); {_URL}, or mend the DNS"
        case ssl.SSLCertVerificationError():
            return f"{host}: the certificate is not trusted: {error.verify_message}; {_URL}"
        case ssl.SSLError():
            return f"{host}: no TLS connection: {_first_line(error)}; {_URL}"
        case TimeoutError() | asyncio.TimeoutError():
            return f"{host}: no answer in time; {_URL}, and that the network lets the feed out"
        case ConnectionRefusedError():
            return f"{host}: connection refused; {_URL}, and that the source runs"
        case OSError():
            return f"{host}: {_first_line(error)}; {_URL}, and that the network lets the feed out"
    return f"unexpected {type(error).__name__}: {_first_line(error)}; the feed's log has the trace"


def _refused(status: int, body: bytes) -> str:
    try:
        phrase = f" {http.HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    text = " ".join(body.decode("utf-8", "replace").split())[:BODY]
    quoted = f" ({text})" if text and text.isprintable() else ""
    remedy = _STATUSES.get(status) or (_LATER if status >= 500 else _URL)
    return f"the source answered the handshake with HTTP {status}{phrase}{quoted}; {remedy}"


def of_close(handshake: "picows.picows.WSCloseHandshake | None", error: Exception | None) -> str:
    """Why a connection ended before it brought an event."""
    received = handshake.recv if handshake else None
    sent = handshake.sent if handshake else None
    if isinstance(error, picows.WSProtocolError):
        return f"the source broke the protocol: {_first_line(error)}; ask its operator"
    if error is not None:
        return of_attempt("", error)
    if received is not None:
        code = received.code.value
        meaning = CLOSES.get(code, "a code of the source's own; see its documentation")
        reason = f": {received.reason}" if received.reason else ""
        return f"the source closed the connection: {code} ({meaning}){reason}; {_CLOSED_EARLY}"
    if sent is not None:
        return f"the connection was given up: {sent.reason or sent.code.value}; {_LATER}"
    return f"the source cut the connection without a close frame; {_CLOSED_EARLY}"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
