"""Keys go where Kafka's own partitioner would send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapehouse_feed.partitions import Lane, murmur2, reached

KAFKA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
"""From the tests of Kafka's own `Utils.murmur2`."""


@pytest.mark.parametrize(("key", "hashed"), KAFKA.items())
def test_the_hash_is_kafkas(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed & 0x7FFFFFFF


@given(st.binary(), st.integers(1, 100))
def test_a_key_stays_where_it_is(key: bytes, partitions: int) -> None:
    lane = Lane("t", partitions)
    assert lane.assign(key) == lane.known[key] == murmur2(key) % partitions


def test_records_without_a_key_take_turns() -> None:
    lane = Lane("t", 3)
    assert sorted(lane.assign(None) for _ in range(6)) == [0, 0, 1, 1, 2, 2]
    assert lane.known == {}


def test_a_mark_is_reached_when_every_partition_is() -> None:
    wanted = {"a": [2, 0, 5], "b": [1]}
    assert not reached(wanted, {})
    assert not reached(wanted, {"a": {0: 2, 2: 5}})
    assert not reached(wanted, {"a": {0: 2, 2: 4}, "b": {0: 1}})
    assert reached(wanted, {"a": {0: 9, 2: 5}, "b": {0: 1}})
