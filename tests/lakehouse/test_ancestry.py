"""The plan of moves: by example, and against a simulated catalog under random histories."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapehouse_lakehouse.ancestry import (
    Advance,
    Commit,
    Hold,
    NeedHistory,
    PublishReason,
    TableView,
    ancestors,
    plan,
)

BRANCH = "rev-00001"


@dataclass
class Table:
    """A table as the catalog holds it."""

    uuid: str = "u"
    refs: dict[str, int] = field(default_factory=dict)
    commits: dict[int, Commit] = field(default_factory=dict)

    def commit(self, branch, job="", checkpoint=None):
        parent = self.refs.get(branch, self.refs.get("main"))
        number = len(self.commits) + 1
        self.commits[number] = Commit(number, parent, job=job, checkpoint=checkpoint)
        self.refs[branch] = number
        return number

    def view(self, whole=True):
        commits = {n: c for n, c in self.commits.items() if whole or n in self.refs.values()}
        return TableView(self.uuid, dict(self.refs), commits, complete=whole)


def checkpointed(*numbers, job="j"):
    table = Table()
    for number in numbers:
        table.commit(BRANCH, job, number)
    return table


def decide(*tables, branch=BRANCH, put=None, whole=True):
    views = {f"t{i}": t.view(whole) if t else None for i, t in enumerate(tables)}
    return plan(branch, views, put or {})


def targets(decision):
    assert isinstance(decision, Advance), decision
    return {m.table: (m.old, m.new.checkpoint) for m in decision.moves}


def test_all_tables_move_to_the_newest_checkpoint_present_in_all():
    decision = decide(checkpointed(1, 2, 3), checkpointed(1, 2))
    assert targets(decision) == {"t0": (None, 2), "t1": (None, 2)}
    assert decision.pending


def test_nothing_moves_when_main_stands_at_the_newest():
    table = checkpointed(1)
    table.refs["main"] = 1
    assert decide(table, table) == Advance()


def test_an_interrupted_move_is_finished_by_moving_only_what_has_not_moved():
    moved, left = checkpointed(1, 2), checkpointed(1, 2)
    moved.refs["main"], left.refs["main"] = 2, 1
    assert targets(decide(moved, left)) == {"t1": (1, 2)}


def test_a_table_ahead_of_the_rest_is_not_moved_back():
    ahead, behind = checkpointed(1, 2), checkpointed(1)
    ahead.refs["main"], behind.refs["main"] = 2, 1
    assert decide(ahead, behind) == Advance((), pending=True)


def test_a_compaction_repeats_its_checkpoint_and_is_preferred():
    compacted, plain = checkpointed(1), checkpointed(1)
    head = compacted.commit(BRANCH, "j", 1)
    decision = decide(compacted, plain)
    assert isinstance(decision, Advance)
    assert {m.table: m.new.snapshot for m in decision.moves} == {"t0": head, "t1": 1}


def test_the_same_checkpoint_number_of_another_job_is_another_checkpoint():
    decision = decide(checkpointed(5, job="old"), checkpointed(5, job="new"))
    assert decision == Hold(dict.fromkeys(["t0", "t1"], PublishReason.AWAITING_CHECKPOINT))


def test_a_table_without_the_branch_makes_all_wait():
    assert decide(checkpointed(1), Table()) == Hold({"t1": PublishReason.AWAITING_CHECKPOINT})


def test_a_table_the_catalog_lacks_is_named():
    assert decide(checkpointed(1), None) == Hold({"t1": PublishReason.TABLE_MISSING})


def test_a_new_revision_is_followed_from_where_it_forked():
    table = checkpointed(1, 2)
    table.refs["main"] = 2
    table.refs["rev-00002"] = 2
    assert decide(table, branch="rev-00002") == Advance()
    table.commit("rev-00002", "k", 3)
    assert targets(decide(table, branch="rev-00002")) == {"t0": (2, 3)}


def test_a_new_revision_without_rows_readers_see_is_not_followed():
    table = checkpointed(1, 2)
    table.refs["main"] = 2
    table.refs["rev-00002"] = 1
    table.commit("rev-00002", "k", 3)
    assert decide(table, branch="rev-00002") == Hold({"t0": PublishReason.BRANCH_DIVERGED})


def test_a_direct_write_to_main_is_not_overwritten():
    table = checkpointed(1)
    table.refs["main"] = 1
    table.commit("main")
    table.commit(BRANCH, "j", 2)
    assert decide(table) == Hold({"t0": PublishReason.DIRECT_WRITE})


def test_a_main_set_back_by_hand_stays_back():
    table = checkpointed(1, 2, 3)
    table.refs["main"] = 1
    assert decide(table, put={"t0": 2}) == Hold({"t0": PublishReason.DIRECT_WRITE})
    assert targets(decide(table, put={"t0": 1})) == {"t0": (1, 3)}


def test_a_move_whose_answer_was_lost_is_no_direct_write():
    table = checkpointed(1, 2, 3)
    table.refs["main"] = 2
    assert targets(decide(table, put={"t0": 1})) == {"t0": (2, 3)}


def test_unknown_ancestry_is_asked_for_and_expired_ancestry_is_told():
    table = checkpointed(1, 2, 3)
    table.refs["main"] = 1
    assert decide(table, whole=False) == NeedHistory(frozenset({"t0"}))
    del table.commits[2]
    assert decide(table) == Hold({"t0": PublishReason.LINEAGE_BROKEN})


def test_a_head_right_after_main_needs_no_history():
    table = checkpointed(1, 2)
    table.refs["main"] = 1
    assert targets(decide(table, whole=False)) == {"t0": (1, 2)}


def test_rows_someone_added_on_the_branch_come_with_the_next_checkpoint():
    table = checkpointed(1)
    table.refs["main"] = 1
    table.commit(BRANCH)
    assert decide(table) == Advance()
    table.commit(BRANCH, "j", 2)
    assert targets(decide(table)) == {"t0": (1, 2)}


OPS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.integers(0, 2)),
        st.tuples(st.just("compact"), st.integers(0, 2)),
        st.tuples(st.just("publish"), st.integers(0, 3)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("fork"), st.just(0)),
    ),
    max_size=60,
)


class Simulation:
    """Three tables of a job; each commits its checkpoints at its own pace."""

    def __init__(self):
        self.tables = [Table() for _ in range(3)]
        self.reached = [0, 0, 0]
        self.job, self.revision = 1, 1
        self.put: dict[str, int] = {}

    @property
    def branch(self):
        return f"rev-{self.revision:05d}"

    def commit(self, i):
        if self.reached[i] < min(self.reached) + 3:
            self.reached[i] += 1
            self.tables[i].commit(self.branch, f"j{self.job}", self.reached[i])

    def compact(self, i):
        table = self.tables[i]
        if self.branch in table.refs:
            head = table.commits[table.refs[self.branch]]
            table.commit(self.branch, head.job, head.checkpoint)

    def level(self):
        """All tables reach the checkpoint the first of them has."""
        for i in range(3):
            while self.reached[i] < max(self.reached):
                self.commit(i)

    def restart(self, _=0):
        self.level()
        self.job += 1

    def fork(self, _=0):
        self.level()
        old = self.branch
        self.revision += 1
        self.job += 1
        self.put = {}
        for table in self.tables:
            if old in table.refs:
                table.refs[self.branch] = table.refs[old]

    def publish(self, upto=3):
        """Move, but die after `upto` tables."""
        views = {str(i): t.view() for i, t in enumerate(self.tables)}
        decision = plan(self.branch, views, self.put)
        if not isinstance(decision, Advance):
            assert set(decision.reasons.values()) == {PublishReason.AWAITING_CHECKPOINT}
            return
        for move in decision.moves[:upto]:
            table = self.tables[int(move.table)]
            before = {c.snapshot for c in ancestors(table.view(), table.refs.get("main"))}
            assert table.refs.get("main") == move.old
            table.refs["main"] = move.new.snapshot
            after = {c.snapshot for c in ancestors(table.view(), move.new.snapshot)}
            assert before < after, "main only grows"
            self.put[move.table] = move.new.snapshot
        if upto >= len(decision.moves):
            self.consistent()

    def consistent(self):
        """The mains hold the same checkpoint."""
        mains = [t.commits[t.refs["main"]].mark for t in self.tables if "main" in t.refs]
        assert len(set(mains)) <= 1
        assert len(mains) in (0, 3)


@settings(max_examples=300, deadline=None)
@given(OPS)
def test_main_only_grows_stays_consistent_and_arrives(ops):
    world = Simulation()
    for name, argument in ops:
        getattr(world, name)(argument)
    world.level()
    world.publish()
    world.publish()
    for table in world.tables:
        if world.branch in table.refs:
            head = table.commits[table.refs[world.branch]]
            assert table.commits[table.refs["main"]].mark == head.mark


@pytest.mark.parametrize("whole", [True, False])
def test_a_plan_is_stable_once_applied(whole):
    tables = [checkpointed(1, 2), checkpointed(1, 2)]
    for move in decide(*tables).moves:
        tables[int(move.table[1:])].refs["main"] = move.new.snapshot
    assert decide(*tables, whole=whole) == Advance()
