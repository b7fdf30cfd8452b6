"""How a request to the Kubernetes API fails: refused, or not answered."""

from dataclasses import dataclass


@dataclass
class Rejected(Exception):  # noqa: N818
    """The API server understood a request and refused it: asking again alone will not help."""

    status: int
    """The HTTP status: 400, 403, 404, 409, 422, …"""
    reason: str
    """The API server's own word: `Forbidden`, `Invalid`, `Conflict`, `NotFound`, …"""
    message: str

    __hash__ = Exception.__hash__

    @property
    def is_stale(self) -> bool:
        """Whether the caller only worked from an outdated copy of the object."""
        return (self.status, self.reason) in ((404, "NotFound"), (409, "Conflict"))

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


@dataclass
class Unavailable(Exception):  # noqa: N818
    """No answer, or a busy server: the same request may succeed later."""

    message: str
    retry_after: float = 0.0
    """Seconds the server asked to be left alone for."""

    __hash__ = Exception.__hash__

    def __str__(self) -> str:
        return self.message
