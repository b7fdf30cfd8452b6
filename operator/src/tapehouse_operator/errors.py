"""The ways a reconcile can end without its goal."""

from dataclasses import dataclass

SHOWN = 200
"""Characters of a value that an error repeats: enough to find it."""


@dataclass
class SpecError(Exception):
    """The spec is wrong and only its author can mend it.

    `Accepted` turns False with `reason`; the last accepted revision keeps running.
    """

    reason: str
    """A reason from `api.base.Reason`, CamelCase."""
    path: str
    """The field, as in `spec.columns[2].type`."""
    value: object
    """What was found there."""
    remedy: str
    """What would be accepted instead, as a sentence."""

    __hash__ = Exception.__hash__

    def __str__(self) -> str:
        value = repr(self.value)
        if len(value) > SHOWN:
            value = f"{value[:SHOWN]}… ({len(value)} characters)"
        return f"{self.path}: {value}: {self.remedy}"


@dataclass
class NotReady(Exception):  # noqa: N818
    """Something the resource needs is not there yet; it comes back when that changes."""

    reason: str
    message: str

    __hash__ = Exception.__hash__

    def __str__(self) -> str:
        return self.message


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
        """Whether it only means that the caller's picture of the object was behind."""
        return (self.status, self.reason) in ((404, "NotFound"), (409, "Conflict"))

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


@dataclass
class Unavailable(Exception):  # noqa: N818
    """Nobody answered, or too busy to: the same request may succeed later."""

    message: str
    retry_after: float = 0.0
    """Seconds the server asked to be left alone for."""

    __hash__ = Exception.__hash__

    def __str__(self) -> str:
        return self.message


class Fenced(Exception):  # noqa: N818
    """This process is not the leader, or may not be for long enough to finish a write."""
