"""The two ways a resource can fail to become a plan."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
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

    def __str__(self) -> str:
        return f"{self.path}: {self.value!r}: {self.remedy}"


@dataclass(frozen=True, slots=True)
class NotReady(Exception):
    """Something the resource needs is not there yet; it comes back when that changes."""

    reason: str
    message: str

    def __str__(self) -> str:
        return self.message
