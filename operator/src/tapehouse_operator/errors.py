"""The ways a reconcile can end without its goal."""

from dataclasses import dataclass

from tapehouse_operator.reasons import Reason

SHOWN = 200
"""Characters of a value that an error repeats: enough to find it."""


@dataclass
class SpecError(Exception):
    """The spec is wrong and only its author can correct it.

    `Accepted` turns False with `reason`; the last accepted revision keeps running.
    """

    reason: Reason
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
    """An object that the resource needs does not exist yet; a reconcile follows when it does."""

    reason: Reason
    message: str

    __hash__ = Exception.__hash__

    def __str__(self) -> str:
        return self.message


class Fenced(Exception):  # noqa: N818
    """This process is not the leader, or may not be for long enough to finish a write."""
