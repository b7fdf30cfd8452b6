"""Dead letters as a queue to work off: list, show, replay once, purge."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from confluent_kafka import KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tapehouse_feed import logs
from tapehouse_feed.config import FeedConfig
from tapehouse_feed.cursor import Journal, Offsets, header
from tapehouse_feed.mapping import Mapper
from tapehouse_feed.session import Deliver, Session

ORIGIN = ("source_topic", "source_partition", "source_offset")
REPLAYED = "replayed_from"
"""Header of a replayed record: `partition:offset` of its dead letter."""
TIMEOUT = 60.0
SETTLED = 2.0
"""Seconds after which nothing of a replay that was cut short is under way; the feed goes on."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter and where it lies."""

    partition: int
    offset: int
    reason: str
    detail: str
    received_at: str
    trace_id: str
    seq: str
    origin: str
    """`topic:partition:offset` of what stood in a topic already; empty for a frame."""
    value: bytes

    @property
    def position(self) -> str:
        """`partition:offset`."""
        return f"{self.partition}:{self.offset}"


Wanted = Callable[[Letter], bool]


class Replayed(msgspec.Struct):
    """What has been replayed: kept in the cursor topic, so that nothing is replayed twice.

    While `running`, records of a replay that was cut short may lie at `offsets` or beyond.
    """

    positions: list[str] = msgspec.field(name="places")
    offsets: Offsets = {}
    running: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay did."""

    replayed: int
    still_bad: int
    done_before: int


class DeadLetters:
    """The dead letters of one feed; blocking."""

    def __init__(self, config: FeedConfig, client: Mapping[str, Any]) -> None:
        self._config = config
        self._client = dict(client)
        self._journal = Journal(client, config.feed)
        self._key = f"replayed:{config.dead_letter_topic}"

    def close(self) -> None:
        """Let go of the connections."""
        self._journal.close()

    def letters(self, wanted: Wanted) -> Iterator[Letter]:
        """Those that are wanted, by partition and offset."""
        topic = self._config.dead_letter_topic
        found = map(_letter, self._journal.between({}, self._journal.ends([topic])))
        yield from sorted(filter(wanted, found), key=lambda x: (x.partition, x.offset))

    def replay(self, wanted: Wanted) -> Outcome:
        """Send through the feed's present checks what is wanted and was not replayed before.

        What passes goes to its topic with the trace id of its dead letter. Raises `RuntimeError`
        when Kafka does not take a record; run again, nothing is written twice.
        """
        done = self.replayed()
        letters = list(self.letters(wanted))
        todo = [letter for letter in letters if letter.position not in done]
        ends = self._journal.settled_ends(self._config.topics(), SETTLED)
        self._remember(Replayed(sorted(done), ends, running=True))
        sent, bad = self._send(todo)
        self._remember(Replayed(sorted(done | sent), ends))
        return Outcome(len(sent), bad, len(letters) - len(todo))

    def purge(self, before: Wanted) -> int:
        """Delete from each partition the oldest letters that `before` holds for; how many.

        Kafka deletes from the beginning only: what lies beyond the first letter that is to be
        kept stays. Raises `KafkaException` when that is not allowed.
        """
        last: dict[int, int] = {}
        kept: set[int] = set()
        purged = 0
        for letter in self.letters(lambda _: True):
            if letter.partition in kept or not before(letter):
                kept.add(letter.partition)
                continue
            last[letter.partition] = letter.offset + 1
            purged += 1
        topic = self._config.dead_letter_topic
        positions = [TopicPartition(topic, number, offset) for number, offset in last.items()]
        if positions:
            admin = AdminClient(self._client, logger=logs.KAFKA)
            for future in admin.delete_records(positions).values():
                future.result()
        return purged

    def replayed(self) -> set[str]:
        """The positions replayed so far, those of a replay that was cut short included."""
        state = Replayed([])
        for message in self._journal.records(self._config.cursor_topic):
            if header(message.key()) == self._key:
                state = msgspec.json.decode(message.value() or b"{}", type=Replayed)
        positions = set(state.positions)
        if state.running:
            ends = self._journal.settled_ends(self._config.topics(), SETTLED)
            for message in self._journal.between(state.offsets, ends):
                position = header(dict(message.headers() or ()).get(REPLAYED))
                positions.update([position] if position else [])
        return positions

    def _remember(self, state: Replayed) -> None:
        producer = self._producer()
        producer.produce(self._config.cursor_topic, msgspec.json.encode(state), self._key)
        if producer.flush(TIMEOUT):
            raise RuntimeError("Kafka did not take the record of what has been replayed")

    def _send(self, letters: list[Letter]) -> tuple[set[str], int]:
        session = self._session()
        producer = self._producer()
        sent: set[str] = set()
        failures: list[str] = []

        def report(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error.str())

        bad = 0
        for letter in letters:
            session.forget()
            actions = session.receive(letter.value, time.time_ns() // 1000)
            delivered = [each for each in actions if isinstance(each, Deliver)]
            if len(delivered) != 1 or len(actions) != 1:
                bad += 1
                continue
            [action] = delivered
            headers = dict(action.headers) | {
                "trace_id": letter.trace_id,
                REPLAYED: letter.position,
            }
            producer.produce(
                action.topic, action.value, action.key, on_delivery=report, headers=headers
            )
            producer.poll(0)
            sent.add(letter.position)
        if producer.flush(TIMEOUT) or failures:
            raise RuntimeError(f"not all replayed: {failures[0] if failures else 'no answer'}")
        return sent, bad

    def _session(self) -> Session:
        config = self._config
        field = config.continuity.sequence_field
        mapper = Mapper(config.mapping, config.events, field) if config.mapping else None
        return Session(
            config.feed,
            config.events,
            stream="0" * 16,
            run=secrets.token_hex(8),
            sequence_field=field,
            mapper=mapper,
        )

    def _producer(self) -> Producer:
        return Producer(
            {**self._client, "enable.idempotence": True, "partitioner": "murmur2_random"},
            logger=logs.KAFKA,
        )


def _letter(message: Message) -> Letter:
    headers = dict(message.headers() or ())
    names = ("reason", "detail", "received_at", "trace_id", "seq")
    reason, detail, received_at, trace_id, seq = (header(headers.get(name)) for name in names)
    return Letter(
        message.partition() or 0,
        message.offset() or 0,
        reason,
        detail,
        received_at,
        trace_id,
        seq,
        ":".join(header(headers[name]) for name in ORIGIN if name in headers),
        message.value() or b"",
    )
