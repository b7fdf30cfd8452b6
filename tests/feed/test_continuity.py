"""The ledger of sequence numbers and the replay of what is missing."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tapehouse_feed.continuity import MAX_GAPS, Gap, Ledger, Replay, resumed

numbers = st.lists(st.integers(1, 60), max_size=80)


@given(numbers)
def test_the_ledger_is_a_set(seen: list[int]) -> None:
    ledger, model = Ledger(0), set[int]()
    for number in seen:
        assert ledger.is_new(number) == (number not in model)
        ledger.observe(number, 1)
        model.add(number)
        high = max(model)
        assert ledger.high == high
        missing = {n for gap in ledger.gaps for n in range(gap.first, gap.last + 1)}
        assert missing == set(range(1, high)) - model
        assert ledger.missing == len(missing)
        assert all(a.last + 1 < b.first for a, b in pairwise(ledger.gaps))
    assert ledger.opened - ledger.closed <= len(ledger.gaps)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=80))
def test_a_ledger_that_may_start_anywhere_misses_only_what_lies_between(seen: list[int]) -> None:
    ledger, model = Ledger(), set[int]()
    for number in seen:
        assert ledger.is_new(number) == (number not in model)
        ledger.observe(number, 1)
        model.add(number)
        assert ledger.missing == max(model) - min(model) + 1 - len(model)


@given(st.sets(st.integers(11, 60)), st.sets(st.integers(1, 10)))
def test_a_resumed_ledger_knows_what_is_there(later: set[int], missing: set[int]) -> None:
    gaps = [Gap(n, n, 5) for n in sorted(missing)]
    ledger = resumed(10, gaps, later, 9)
    for number in range(1, 70):
        there = number in later or (number <= 10 and number not in missing)
        assert ledger.is_new(number) == (not there)
    assert ledger.opened == 0


def test_a_gap_tells_when_it_opened() -> None:
    ledger = Ledger(3)
    ledger.observe(7, 1_000)
    assert ledger.gaps == [Gap(4, 6, 1_000)]
    ledger.observe(5, 2_000)
    assert ledger.gaps == [Gap(4, 4, 1_000), Gap(6, 6, 1_000)]
    assert (ledger.opened, ledger.closed) == (1, 0)


def test_more_gaps_than_can_be_kept_are_counted() -> None:
    ledger = Ledger(0)
    for number in range(2, 2 * MAX_GAPS + 6, 2):
        ledger.observe(number, 0)
    assert len(ledger.gaps) == MAX_GAPS
    assert ledger.lost == 2


def test_a_copy_stays() -> None:
    ledger = Ledger(3)
    ledger.observe(5, 0)
    copy = ledger.copy()
    ledger.observe(4, 0)
    assert copy.gaps == [Gap(4, 4, 0)]


def test_what_a_crash_tore_is_asked_for_until_it_has_passed() -> None:
    ledger = resumed(10, [Gap(3, 3, 0)], {12, 14}, 0)
    replay = Replay(floor=10)
    replay.begin(ledger)
    assert replay.first(ledger) == 11
    ledger.observe(11, 0)
    assert replay.first(ledger) == 13, "the connection was lost before 13"
    ledger.observe(13, 0)
    assert replay.first(ledger) == 15
    ledger.observe(15, 0)
    assert replay.first(ledger) == 16
    assert not replay.wanted(ledger, 1), "gaps below the floor are given up"


def test_a_gap_the_source_cannot_fill_is_asked_for_once() -> None:
    ledger, replay = Ledger(0), Replay()
    for number in (1, 2, 5):
        ledger.observe(number, 100)
    assert not replay.wanted(ledger, 100), "it may still come by itself"
    assert replay.wanted(ledger, 101)
    replay.begin(ledger)
    assert not replay.wanted(ledger, 101)
    assert replay.first(ledger) == 3
    ledger.observe(6, 200)
    assert replay.first(ledger) == 7
    assert not replay.wanted(ledger, 1_000)
    ledger.observe(9, 300)
    assert replay.wanted(ledger, 301)
