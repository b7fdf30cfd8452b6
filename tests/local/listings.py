"""Reference data that comes in files, and the history it is to become."""

from datetime import datetime
from pathlib import Path

from tests.local.recording import moment, write

START, CHANGE = moment(2019, 1, 2), moment(2019, 3, 9)
FIRST = [("AAPL", "Technology", START), ("MSFT", "Technology", START)]
SECOND = [("AAPL", "Media", CHANGE)]
HISTORY = {
    ("AAPL", 1, "Technology", START, CHANGE),
    ("AAPL", 2, "Media", CHANGE, None),
    ("MSFT", 1, "Technology", START, None),
}
"""Symbol, version, sector, since when, until when."""


def deliver(home: Path, name: str, rows: list[tuple[str, str, datetime]]) -> None:
    """A file below `home` with these rows."""
    (home / "listings").mkdir(exist_ok=True)
    lines = [f"listing,{symbol},{sector},{since.isoformat()}" for symbol, sector, since in rows]
    write(
        home / "listings" / name, [line.encode() for line in ["kind,symbol,sector,since", *lines]]
    )
