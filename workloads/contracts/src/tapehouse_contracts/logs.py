"""Log lines: one JSON object each, on standard error.

Fields: `time` (ISO 8601, UTC), `level`, `logger`, `message`, `exception` where there is one, and
what the call passed in `extra`.
"""

import logging
import sys
from collections.abc import Mapping

from pythonjsonlogger.json import JsonFormatter

_NAMES = {"levelname": "level", "name": "logger", "exc_info": "exception"}


def formatter() -> logging.Formatter:
    """The format of every program of the product."""
    return JsonFormatter(
        "%(levelname)s %(name)s %(message)s",
        rename_fields=_NAMES,
        timestamp="time",
        json_ensure_ascii=False,
    )


def configure_logs(level: str, libraries: Mapping[str, int] | None = None) -> None:
    """Write all records of at least `level` to standard error.

    Args:
        level: a name such as `INFO`.
        libraries: the least level of loggers that say too much, by their names.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name, least in (libraries or {}).items():
        logging.getLogger(name).setLevel(max(least, logging.getLogger().level))
