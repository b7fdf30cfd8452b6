"""What upkeep may do: by example and by property."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapehouse_lakehouse.ancestry import Commit, TableView, ancestors
from tapehouse_lakehouse.maintenance.plan import Small, expired, merges, orphans

TARGET = 128 << 20


def line(*commits, refs):
    """A view of commits, each (snapshot, parent, at, job, checkpoint)."""
    made = {c[0]: Commit(c[0], c[1], c[2], *c[3:]) for c in commits}
    return TableView("u", refs, made, complete=True)


def chain(count, job="j", start=1):
    return [(n, n - 1 if n > 1 else None, n, job, n) for n in range(start, count + 1)]


def test_old_snapshots_go_and_the_newest_stay():
    view = line(*chain(10), refs={"main": 10, "rev-00001": 10})
    assert expired(view, 3, 10**9) == {1, 2, 3, 4, 5, 6, 7}
    assert expired(view, 3, 5) == {1, 2, 3, 4}


def test_the_path_from_a_branch_to_main_stays():
    view = line(*chain(10), refs={"main": 4, "rev-00001": 10})
    assert expired(view, 1, 10**9) == {1, 2, 3}


def test_what_a_restored_job_looks_for_stays():
    commits = [*chain(3), (4, 3, 4), (5, 4, 5), (6, 5, 6)]
    view = line(*commits, refs={"main": 6, "rev-00001": 6})
    assert expired(view, 1, 10**9) == {1, 2, 4, 5}
    restarted = [*chain(3), (4, 3, 4, "k", 4), (5, 4, 5, "k", 5)]
    view = line(*restarted, refs={"main": 5, "rev-00001": 5})
    assert expired(view, 1, 10**9) == {1, 2, 4}


def test_tags_and_branches_stay():
    view = line(*chain(5), refs={"main": 5, "rev-00001": 5, "audit": 2})
    assert 2 not in expired(view, 1, 10**9)


@st.composite
def views(draw):
    count = draw(st.integers(1, 25))
    commits = []
    for n in range(1, count + 1):
        parent = draw(st.sampled_from([None, *range(1, n)])) if n > 1 else None
        mark = draw(st.sampled_from([(), ("j", n), ("k", n)]))
        commits.append((n, parent, n, *mark))
    names = st.sampled_from(["main", "rev-00001", "rev-00002", "tag"])
    return line(*commits, refs=draw(st.dictionaries(names, st.integers(1, count))))


@given(views(), st.integers(1, 5), st.integers(0, 30))
def test_nothing_needed_expires(view, keep_last, before):
    gone = expired(view, keep_last, before)
    assert gone.isdisjoint(view.refs.values())
    assert all(view.commits[g].at_ms < before for g in gone)
    for head in view.refs.values():
        path = list(ancestors(view, head))
        assert gone.isdisjoint(c.snapshot for c in path[:keep_last])
        marked = [c.snapshot for c in path if c.mark]
        assert gone.isdisjoint(marked[:1])
        ids = [c.snapshot for c in path]
        if view.main in ids:
            assert gone.isdisjoint(ids[: ids.index(view.main) + 1])


def small(*sizes, partition=0):
    return [Small(f"f{i}", partition, s) for i, s in enumerate(sizes)]


def test_few_or_large_files_are_left_alone():
    assert merges(small(*[1000] * 7), TARGET, 8) == []
    assert merges(small(*[TARGET] * 20), TARGET, 8) == []


def test_small_files_of_a_partition_are_merged_up_to_the_target():
    (group,) = merges(small(*[1000] * 9), TARGET, 8)
    assert len(group) == 9
    groups = merges(small(*[TARGET // 4] * 9), TARGET, 8)
    assert [len(g) for g in groups] == [4, 4]


def test_partitions_and_sizes_are_not_mixed():
    mixed = [*small(*[1000] * 4), *small(*[1000] * 4, partition=1)]
    assert merges(mixed, TARGET, 8) == []
    assert merges(small(*[1000] * 7, TARGET // 2), TARGET, 8) == []


@pytest.mark.parametrize("base", [2, 4, 8])
def test_a_tier_is_as_wide_as_the_least_number_of_files(base):
    """Of base 8: from the target to an eighth of it, from there to a 64th, and so on."""
    limit = TARGET // base
    within, across = [limit - base] * (base - 1), [limit + base]
    assert merges(small(*within, limit - 2 * base), TARGET, base) != []
    assert merges(small(*within, *across), TARGET, base) == []
    lower = limit // base
    assert merges(small(*within, lower + base), TARGET, base) != []
    assert merges(small(*within, lower - base), TARGET, base) == []


def test_each_byte_is_rewritten_a_few_times_only():
    """10,000 files of 100 kB, compacted whenever there is something to do."""
    files, written, serial = [], 0, 0
    for n in range(10_000):
        files.append(Small(f"new{n}", 0, 100_000))
        for group in merges(files, TARGET, 8):
            total = sum(f.bytes for f in group)
            written, serial = written + total, serial + 1
            files = [f for f in files if f not in group] + [Small(f"m{serial}", 0, total)]
    assert written < 5 * 10_000 * 100_000
    assert len(files) < 60


def test_orphans_are_old_unnamed_and_older_than_the_last_commit():
    hour = 3_600_000
    found = {"named": 0, "old": 0, "late": 9 * hour, "new": 95 * hour}
    assert orphans(found, {"named"}, hour, 100 * hour, 100 * hour) == {"old", "late", "new"}
    assert orphans(found, {"named"}, 10 * hour, 100 * hour, 100 * hour) == {"old", "late"}
    # The job stopped at hour 10; what it wrote then it may still commit.
    assert orphans(found, {"named"}, 2 * hour, 10 * hour, 100 * hour) == {"old"}
