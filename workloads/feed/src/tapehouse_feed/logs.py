"""Logs as one JSON object per line."""

import json
import logging
import sys
from typing import Any

from tapehouse_tape.times import from_micros

KAFKA = logging.getLogger("tapehouse.kafka")
"""What the Kafka client has to say; handed over whenever it is polled."""
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Seldom(logging.Filter):
    """Lets each topic of a talkative library through once in so many seconds.

    A topic is the first word of a message: `FAIL` for every attempt at every broker.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is time again."""
        topic = record.getMessage().partition(" ")[0]
        if record.created - self._said.get(topic, 0.0) < self._seconds:
            return False
        self._said[topic] = record.created
        return True


class JsonFormatter(logging.Formatter):
    """Time, level, logger, message, and whatever came in `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        entry: dict[str, Any] = {
            "time": from_micros(int(record.created * 1_000_000)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


def configure(level: str) -> None:
    """Send all logs to standard error as JSON, from `level` up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    KAFKA.filters = [Seldom(10.0)]
    for library in ("picows", "aiofastnet"):
        # What they have to say about a lost connection, the bridge says itself.
        logging.getLogger(library).setLevel(logging.ERROR)
