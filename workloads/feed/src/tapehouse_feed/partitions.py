"""Which partition a key goes to: computed here, so that records can be counted per partition."""

from collections.abc import Iterator, Mapping

from tapehouse_feed.cursor import Offsets

MOST_KEYS = 100_000
"""Keys whose partition is remembered, for each topic."""
_SEED, _M, _MASK = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """Kafka's hash of a key, made positive as its partitioners do."""
    length = len(key)
    h = _SEED ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = h * _M & _MASK ^ k
    if whole < length:
        h = (h ^ int.from_bytes(key[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return (h ^ h >> 15) & 0x7FFFFFFF


class Lane:
    """One topic: where its keys go, and how many records each partition was given."""

    __slots__ = ("_turn", "counts", "known", "topic")

    def __init__(self, topic: str, partitions: int) -> None:
        self.topic = topic
        self.counts = [0] * partitions
        self.known: dict[bytes, int] = {}
        """The partition of every key seen lately."""
        self._turn = 0

    def assign(self, key: bytes | None) -> int:
        """The partition of a key that is not `known`; records without one take turns."""
        if key is None:
            self._turn += 1
            return self._turn % len(self.counts)
        if len(self.known) >= MOST_KEYS:
            self.known.clear()
        self.known[key] = partition = murmur2(key) % len(self.counts)
        return partition


class Lanes:
    """Every topic a feed writes."""

    def __init__(self, ends: Offsets) -> None:
        self.by_topic = {topic: Lane(topic, len(partitions)) for topic, partitions in ends.items()}

    def __iter__(self) -> Iterator[Lane]:
        return iter(self.by_topic.values())

    @property
    def produced(self) -> int:
        """Records given to the producer since the start."""
        return sum(sum(lane.counts) for lane in self)

    def counts(self) -> dict[str, list[int]]:
        """How many records each partition was given so far."""
        return {lane.topic: list(lane.counts) for lane in self}


def reached(wanted: Mapping[str, list[int]], acked: Mapping[str, Mapping[int, int]]) -> bool:
    """Whether every partition has acknowledged as many records as `wanted`."""
    return all(
        not count or acked.get(topic, {}).get(partition, 0) >= count
        for topic, counts in wanted.items()
        for partition, count in enumerate(counts)
    )
