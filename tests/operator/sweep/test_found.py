"""What the sweeps have found, each by itself."""

import asyncio

from tapehouse_kube.errors import Rejected
from tapehouse_kube.objects import Ref, Scope
from tapehouse_operator.api.base import ConditionType, Reason, condition
from tapehouse_operator.emit.core import ObjectKey, TableState
from tapehouse_operator.errors import SpecError
from tapehouse_operator.kinds.contract import ChildHealth, Observed, Verdict
from tapehouse_operator.names import LABEL_REVISION, SETTINGS
from tapehouse_operator.report import Report, compose
from tapehouse_operator.rollout import read_history

from tests.operator.engine.virtual import run_virtual
from tests.operator.kinds.cluster import NS, cluster
from tests.operator.sweep.stories import RESOURCES
from tests.operator.sweep.test_field_recovery import FOUNDATIONS
from tests.support.memory_kube import Calm

NOW = "2026-01-01T00:00:00Z"


def test_an_error_repeats_no_more_of_a_value_than_helps_to_find_it() -> None:
    error = SpecError(Reason.UNKNOWN_COLUMN, "spec.key[0]", "x" * 100_000, "name a column")
    assert str(error).startswith("spec.key[0]: 'xxx")
    assert str(error).endswith("(100002 characters): name a column")
    assert len(str(error)) < 300


def test_a_long_message_is_cut_rather_than_refused() -> None:
    """The API server would refuse the whole status."""
    said = condition(ConditionType.SCHEMA_IN_SYNC, False, Reason.OUT_OF_SYNC, "x" * 100_000)
    state = TableState("t", exists=False, error="x" * 100_000)
    rows = [ChildHealth("Table", "t", False, state.error)]
    status = compose(Report(1, verdict=Verdict([said], rows), judged=True), {}, NOW)
    assert max(len(c.get("message", "")) for c in status["conditions"]) == 1024
    assert len(status["children"][0]["reason"]) == 1024


class NoKafka:
    """The right to list Kafka is missing."""

    def before(self, verb: str, ref: Ref | Scope) -> None:
        if verb == "list" and ref.kind == "Kafka":
            raise Rejected(403, "Forbidden", "not allowed")

    def after(self, verb: str, ref: Ref | Scope) -> None:
        """Nothing."""


def test_what_cannot_be_listed_holds_no_worker() -> None:
    async def main() -> None:
        async with cluster([*FOUNDATIONS, RESOURCES["LakehouseTable"]]) as c:
            await c.settle()
            c.kube.interference = NoKafka()
            c.apply([RESOURCES["TradeFeed"]])
            await asyncio.sleep(100)
            assert c.engine.queue.oldest() < 1.0
            c.kube.interference = Calm()
            await asyncio.sleep(60)
            await c.settle()
            assert c.unready() == {}

    run_virtual(main())


def test_the_revisions_of_a_former_resource_are_not_its_successors() -> None:
    """They are about to be collected; taken over, they would vanish and start everything again."""
    former, ours = revision(1, "former"), revision(2, "ours")
    history = read_history(dict([former, ours]), {}, "ours")
    assert [r.number for r in history.revisions] == [2]
    history = read_history(dict([former]), {}, "ours")
    assert (history.latest, history.high_water) == (None, 1)


def revision(number: int, owner: str) -> tuple[ObjectKey, Observed]:
    labels, data = {LABEL_REVISION: str(number)}, {"spec": {"n": 1}}
    live = Observed("uid", "1", 1, labels, {}, {}, data, owners=(owner,))
    return ObjectKey("apps/v1", "ControllerRevision", f"r-{number}"), live


def test_a_namespace_that_loses_its_settings_first_still_drops_its_tables() -> None:
    async def main() -> None:
        async with cluster([*FOUNDATIONS, RESOURCES["LakehouseTable"]]) as c:
            await c.settle()
            assert list(c.tables.states) == ["bronze.ticks"]
            c.kube.remove(Ref("v1", "ConfigMap", NS, SETTINGS))
            await c.settle()
            c.remove("LakehouseTable", "bronze-ticks")
            await c.settle()
            assert list(c.tables.states) == []
            assert not [ref for ref in c.kube.objects if ref.kind == "LakehouseTable"]

    run_virtual(main())
