"""What a job does with records that are no events: it keeps them, and goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tapehouse_operator.emit.ddl import (
    DETAIL,
    REASON,
    TRUNCATED,
    VALUE,
    WHOLE,
    Input,
    claims,
    create_table,
    missing,
)
from tapehouse_operator.emit.events import Event
from tapehouse_operator.emit.sql import Insert, literal, quote

LARGEST = 16 * 1024**2
"""Bytes of a request: what a dead-letter topic takes, headers included."""
_COLUMNS = ("value", "headers")
_ISO = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """The records of one feed's topics that a job cannot take, on their way to its dead letters."""

    job: str
    feed: str
    topic: str
    inputs: tuple[Input, ...]

    def ddl(self, kafka: Mapping[str, str]) -> str:
        """The table over the feed's dead-letter topic, called like the topic."""
        options = {
            "connector": "kafka",
            "topic": self.topic,
            **{f"properties.{name}": value for name, value in kafka.items()},
            "properties.max.request.size": str(LARGEST),
            "sink.delivery-guarantee": "at-least-once",
            "format": "raw",
        }
        columns = ("`value` BYTES", "`headers` MAP<STRING, BYTES> METADATA")
        return create_table(self.topic, columns, options)

    def insert(self) -> Insert:
        """The statement that writes them: every record once, whichever inputs read its topic."""
        selects = []
        reported: set[tuple[str, str]] = set()
        for table in self.inputs:
            own = [e for e in table.events if (table.topic, e.name) not in reported]
            first = not any(topic == table.topic for topic, _ in reported)
            reported.update((table.topic, e.name) for e in table.events)
            if own:
                selects.append(self._select(table, own, strays=first))
        query = "\nUNION ALL\n".join(selects)
        return Insert(self.topic, _COLUMNS, query, line=1, words=frozenset())

    def _select(self, table: Input, own: Sequence[Event], *, strays: bool) -> str:
        headers = {
            "reason": f"COALESCE({REASON}, {_incomplete(table)})",
            "detail": f"COALESCE({DETAIL}, {missing(table)} || ': is required')",
            "feed": literal(self.feed),
            "job": literal(self.job),
            "source_topic": "`kafka_topic`",
            "source_partition": "CAST(`kafka_partition` AS STRING)",
            "source_offset": "CAST(`kafka_offset` AS STRING)",
            "received_at": f"DATE_FORMAT(`ingested_at`, {literal(_ISO)})",
            "trace_id": "`trace_id`",
            "truncated": TRUNCATED,
        }
        pairs = ", ".join(f"{literal(name)}, {value}" for name, value in headers.items())
        where = f"NOT {WHOLE}"
        if table.told_apart:
            where += f" AND {_reported(table, own, strays)}"
        return f"SELECT {VALUE}, HEADERS({pairs})\nFROM {quote(table.table)}\nWHERE {where}"


def dead_letters(
    job: str, inputs: Sequence[Input], topics: Mapping[str, str]
) -> tuple[DeadLetters, ...]:
    """One for each feed that is read; `topics` are the feeds' dead-letter topics.

    What other jobs write has none: what cannot be read of it is counted with all faults.
    """
    feeds = dict.fromkeys(each.feed for each in inputs if each.feed)
    return tuple(
        DeadLetters(job, feed, topics[feed], tuple(i for i in inputs if i.feed == feed))
        for feed in feeds
    )


def _incomplete(table: Input) -> str:
    """What is wrong with a record that can be read and is not whole."""
    if not table.told_apart:
        return "'missing-field'"
    own = claims([e.name for e in table.events])
    return f"CASE WHEN {own} THEN 'missing-field' ELSE 'unknown-event' END"


def _reported(table: Input, own: Sequence[Event], strays: bool) -> str:
    """The condition that this input, of several on its topic, is the one to report a record."""
    claimed = claims([e.name for e in own])
    return f"({claimed} OR {claims(table.known)} IS NOT TRUE)" if strays else claimed
