"""Which transitions of a status become Events, and how these are posted."""

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tapehouse_kube.errors import Rejected, Unavailable
from tapehouse_kube.objects import Body, Ref
from tapehouse_operator.api.base import ConditionType, Reason, condition
from tapehouse_operator.kinds.contract import ChildHealth, Key, Subject, Verdict
from tapehouse_operator.notices import Notice, notices
from tapehouse_operator.report import Cause, Report, compose
from tapehouse_operator.shell import recorder as module
from tapehouse_operator.shell.recorder import Recorder

from tests.operator.engine.virtual import run_virtual

NOW = "2026-01-01T00:00:00Z"
START = datetime(2026, 1, 1, tzinfo=UTC)
FED = condition(ConditionType.CONNECTED, True, Reason.CONNECTED)
UNFED = condition(ConditionType.CONNECTED, False, Reason.NOT_CONNECTED, "nobody listens")
Status = Mapping[str, Any]


def report(*conditions: Any, **changes: Any) -> Report:
    verdict = Verdict(conditions=conditions, children=(ChildHealth("Deployment", "d", True),))
    return Report(**{"generation": 1, "verdict": verdict, "judged": True, "revision": 1} | changes)


def after(*reports: Report) -> Status:
    status: Status = {}
    for one in reports:
        status = compose(one, status, NOW)
    return status


def told(former: Status, one: Report) -> list[tuple[str, bool]]:
    found = notices(former, compose(one, former, NOW), one.returns_to)
    return [(str(n.reason), n.warning) for n in found]


def test_a_new_resource_tells_its_revision_and_then_that_it_is_ready() -> None:
    assert told({}, report(UNFED)) == [("RevisionCreated", False)]
    assert told(after(report(UNFED)), report(FED)) == [("Ready", False), ("Connected", False)]


def test_nothing_is_told_twice() -> None:
    for one in (report(FED), report(UNFED), report(acceptance=Cause(Reason.INVALID, "spec.x"))):
        assert told(after(one), one) == []


def test_a_refusal_names_its_reason_as_a_warning_and_so_does_the_next_one() -> None:
    refused = report(FED, acceptance=Cause(Reason.INVALID_SQL, "spec.sql: no", stalled=True))
    again = report(FED, acceptance=Cause(Reason.INVALID_SQL, "spec.sql: still no", stalled=True))
    assert told(after(report(FED)), refused) == [("InvalidSql", True)]
    assert told(after(report(FED), refused), again) == [("InvalidSql", True)]
    assert told(after(refused), report(FED)) == [("Accepted", False), ("Ready", False)]


def test_what_is_waited_for_is_no_warning() -> None:
    waits = report(acceptance=Cause(Reason.TABLE_NOT_READY, "t"), checking=True, judged=False)
    assert told({}, waits) == [("RevisionCreated", False), ("TableNotReady", False)]


def test_what_worked_and_fails_is_a_warning_once() -> None:
    assert told(after(report(FED)), report(UNFED)) == [("NotConnected", True)]
    assert told(after(report(FED), report(UNFED)), report(FED)) == [
        ("Ready", False),
        ("Connected", False),
    ]


def test_suspending_is_no_warning() -> None:
    assert told(after(report(FED)), report(FED, suspended=True)) == [("Suspended", False)]


def test_drift_comes_and_goes() -> None:
    adrift = report(FED, drift=["Deployment d: spec.replicas"])
    assert told(after(report(FED)), adrift) == [("Drifted", True)]
    assert told(after(report(FED), adrift), report(FED)) == [("NoDrift", False)]


def test_a_blocked_deletion_is_told_even_of_what_was_never_ready() -> None:
    blocked = report(
        deleting=True, judged=False, obstacle=Cause(Reason.DELETE_FAILED, "no catalog")
    )
    given_up = report(deleting=True, judged=False, obstacle=Cause(Reason.DELETE_FAILED, "given up"))
    assert told(after(report(UNFED)), blocked) == [("DeleteFailed", True)]
    assert told(after(report(UNFED), blocked), given_up) == [("DeleteFailed", True)]


def test_going_back_is_told_as_such() -> None:
    (notice,) = notices({"revision": 2}, {"revision": 3}, returns_to=1)
    assert (notice.reason, notice.message) == (
        "RolledBack",
        "revision 3 has the spec of revision 1 again",
    )


# -- posting -----------------------------------------------------------------------------------


class Cabinet:
    """Keeps what is posted; fails as often as it is told to."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.failures: list[Exception] = []
        self.requests = 0

    async def create(self, body: Body) -> Body:
        self._request()
        self.events[body["metadata"]["name"]] = dict(body)
        return body

    async def merge(self, ref: Ref, patch: Body) -> Body:
        self._request()
        if ref.name not in self.events:
            raise Rejected(404, "NotFound", "expired")
        self.events[ref.name] |= patch
        return self.events[ref.name]

    def _request(self) -> None:
        self.requests += 1
        if self.failures:
            raise self.failures.pop()

    def counts(self) -> dict[str, int]:
        return {e["message"]: e["count"] for e in self.events.values()}


def subject(name: str) -> Subject:
    return Subject(Key("TradeFeed", "market", name), f"uid-{name}", "1", 1, {}, {})


def play(*steps: list[Notice], cabinet: Cabinet, forget: bool = False) -> Recorder:
    """Tell one step after the other, a minute between them; `forget` what the first one left."""

    async def main() -> Recorder:
        recorder = Recorder(cabinet, lambda: START, "me", random.Random(1))
        task = asyncio.create_task(recorder.run())
        for number, step in enumerate(steps):
            if forget and number == 1:
                cabinet.events.clear()
            recorder.tell(subject("market"), step)
            await asyncio.sleep(60)
        task.cancel()
        return recorder

    return run_virtual(main())


def test_an_event_that_happens_again_is_counted() -> None:
    cabinet, bad = Cabinet(), Notice("Drifted", "by others", True)
    play([bad], [bad], [bad, Notice("Ready", "works")], cabinet=cabinet)
    assert cabinet.counts() == {"by others": 3, "works": 1}
    (event,) = (e for e in cabinet.events.values() if e["reason"] == "Drifted")
    assert (event["type"], event["involvedObject"]["name"]) == ("Warning", "market")


def test_an_event_that_was_forgotten_begins_anew() -> None:
    cabinet, ready = Cabinet(), Notice("Ready", "works")
    play([ready], [ready], [ready], cabinet=cabinet, forget=True)
    assert cabinet.counts() == {"works": 2}
    assert cabinet.requests == 4


def test_what_cannot_be_posted_is_lost_without_a_second_try() -> None:
    cabinet = Cabinet()
    cabinet.failures = [Unavailable("busy"), Rejected(403, "Forbidden", "no")]
    recorder = play([Notice("A", "a"), Notice("B", "b"), Notice("C", "c")], cabinet=cabinet)
    assert cabinet.counts() == {"c": 1}
    assert (recorder.dropped, cabinet.requests) == (2, 3)


def test_what_waits_is_bounded_and_a_warning_goes_before() -> None:
    cabinet = Cabinet()
    many = [Notice("Ready", str(n)) for n in range(module.WAITING + 100)]
    recorder = play([*many, Notice("Stalled", "help", True)], cabinet=cabinet)
    assert len(cabinet.events) == module.WAITING
    assert "help" in cabinet.counts()
    assert recorder.dropped == 101
