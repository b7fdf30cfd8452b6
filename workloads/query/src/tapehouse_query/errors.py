"""Errors that clients see.

Any other exception is an internal error: it is logged with an id, and the client sees only the id.
"""

from typing import Any


class QueryError(Exception):
    """A request fails for a reason that the client may see."""

    def __init__(self, message: str, code: str, **detail: Any) -> None:
        super().__init__(message)
        self.extensions = {"code": code, **detail}


class BadInputError(QueryError):
    """An argument is invalid: names it, its value and what is accepted."""

    def __init__(self, argument: str, value: object, remedy: str) -> None:
        shown = repr(value) if len(repr(value)) <= 120 else f"{repr(value)[:117]}..."
        super().__init__(
            f"{argument}: {shown}: {remedy}", "BAD_USER_INPUT", argument=argument, value=shown
        )


class UnavailableError(QueryError):
    """A dependency does not answer or does not exist yet."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "UNAVAILABLE")


class TooLargeError(QueryError):
    """A read exceeds its memory limit."""

    def __init__(self) -> None:
        super().__init__(
            "the answer takes more memory than this server has: narrow the date range or the"
            " symbols, or raise DUCKDB_MEMORY",
            "TOO_COSTLY",
        )


class TooSlowError(QueryError):
    """A read exceeds its time limit."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"no answer within {seconds:g} s: narrow the date range or the symbols", "TIMEOUT"
        )
