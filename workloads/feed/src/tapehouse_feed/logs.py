"""The bridge's logs: what libraries may say, and how often."""

import logging

from tapehouse_contracts.logs import configure_logs

KAFKA = logging.getLogger("tapehouse.kafka")
"""Messages of the Kafka client, delivered whenever it is polled."""


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


def configure(level: str) -> None:
    """Send all logs to standard error as JSON, from `level` up."""
    # The bridge itself reports a lost connection.
    configure_logs(level, {"picows": logging.ERROR, "aiofastnet": logging.ERROR})
    KAFKA.filters = [Seldom(10.0)]
