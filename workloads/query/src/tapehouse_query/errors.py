"""Errors that are meant for the person who asked.

Anything else that is raised while answering is a fault of ours: it is logged with an id and the
client sees the id only.
"""

from typing import Any


class QueryError(Exception):
    """An answer cannot be given and the client may know why."""

    def __init__(self, message: str, code: str, **detail: Any) -> None:
        super().__init__(message)
        self.extensions = {"code": code, **detail}


class BadInputError(QueryError):
    """An argument is wrong: names it, its value and what would be accepted."""

    def __init__(self, argument: str, value: object, remedy: str) -> None:
        shown = repr(value) if len(repr(value)) <= 120 else f"{repr(value)[:117]}..."
        super().__init__(
            f"{argument}: {shown}: {remedy}", "BAD_USER_INPUT", argument=argument, value=shown
        )


class UnavailableError(QueryError):
    """Something the answer needs cannot be reached or does not exist yet."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "UNAVAILABLE")


class TooLargeError(QueryError):
    """The memory allowed for reading is not enough."""

    def __init__(self) -> None:
        super().__init__(
            "the answer takes more memory than this server has: narrow the date range or the"
            " symbols, or raise DUCKDB_MEMORY",
            "TOO_COSTLY",
        )


class TooSlowError(QueryError):
    """The time allowed for one operation has passed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"no answer within {seconds:g} s: narrow the date range or the symbols", "TIMEOUT"
        )
