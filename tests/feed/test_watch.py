"""What is reported, and when."""

import pytest
from tapehouse_feed import watch
from tapehouse_feed.continuity import Ledger
from tapehouse_feed.watch import GRACE, Report, Watch

SECOND = 1_000_000


def look(one: Watch, ledger: Ledger, now: int, **more: float | str) -> Report:
    report = one.look({"": ledger}, now, **more)  # type: ignore[arg-type]
    assert report is not None
    return report


def test_a_gap_is_told_once_it_lasts_and_its_end_with_the_evidence() -> None:
    one, ledger = Watch(None), Ledger(3)
    assert look(one, ledger, 0).open_gaps == 0, "the first word is said in any case"
    ledger.observe(7, SECOND)
    assert one.look({"": ledger}, SECOND + GRACE - 1) is None, "it may come by itself"
    report = look(one, ledger, SECOND + GRACE)
    assert (report.open_gaps, report.missing, report.too_large) == (1, 3, False)
    [gap] = report.gaps
    assert (gap.first, gap.last, gap.opened_at) == (4, 6, "1970-01-01T00:00:01.000000Z")
    ledger.by = "backfill"
    for number in (4, 5, 6):
        ledger.observe(number, 9 * SECOND)
    report = look(one, ledger, 10 * SECOND)
    assert report.open_gaps == 0
    [closed] = report.closed
    assert (closed.first, closed.last, closed.by) == (4, 6, "backfill")
    assert closed.closed_at == "1970-01-01T00:00:09.000000Z"


def test_what_is_only_out_of_order_is_not_worth_a_word() -> None:
    one, ledger = Watch(None), Ledger(3)
    look(one, ledger, 0)
    ledger.observe(5, SECOND)
    ledger.observe(4, SECOND + 10)
    assert one.look({"": ledger}, 5 * SECOND) is None


def test_numbers_move_seldom_and_turns_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one, ledger = Watch(2), Ledger(0)
    look(one, ledger, 0)
    ledger.observe(2, 0)
    assert not look(one, ledger, 2 * SECOND).too_large
    ledger.observe(4, 0)
    assert one.look({"": ledger}, 3 * SECOND) is None
    ledger.observe(9, 0)
    assert look(one, ledger, 4 * SECOND).too_large, "4 missing in one gap, 2 allowed"
    ledger.observe(11, 0)
    assert one.look({"": ledger}, 5 * SECOND) is None
    monkeypatch.setattr(watch, "AGAIN", 0.0)
    assert look(one, ledger, 6 * SECOND).open_gaps == 4


def test_silence_and_back_pressure() -> None:
    one, ledger = Watch(None), Ledger(0)
    look(one, ledger, 0)
    assert look(one, ledger, 9 * SECOND, silent_since=SECOND).silent.startswith(
        "1970-01-01T00:00:01"
    )
    assert look(one, ledger, 10 * SECOND).silent == ""
    assert one.look({"": ledger}, 20 * SECOND, paused_since=15.0) is None
    assert "unacknowledged since" in look(one, ledger, 26 * SECOND, paused_since=15.0).held
    assert (
        "on disk: 5 of 5" in look(one, ledger, 27 * SECOND, paused_since=15.0, full="5 of 5").held
    )
    assert look(one, ledger, 28 * SECOND).held == ""
