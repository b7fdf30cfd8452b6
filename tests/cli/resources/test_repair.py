"""`repair`: from what the publisher says to where the job starts again."""

import json
from typing import Any

import pytest
from tapehouse_cli.resources.repair import repair
from tapehouse_cli.resources.snapshot import Snapshot
from tapehouse_kube.objects import Body, Ref
from tapehouse_operator.kinds import KINDS
from tapehouse_operator.kinds.contract import Key
from tapehouse_operator.names import API_VERSION

JOB = Key("StreamJob", "n", "land")
PATH = "file:///state/checkpoints/0a/chk-60"


class Answers:
    """A Kubernetes API with the publisher's ConfigMaps, which keeps what is patched."""

    def __init__(self, said: dict[str, dict[str, Any]]) -> None:
        self.said = said
        self.patches: list[Body] = []

    async def get(self, ref: Ref) -> Body | None:
        table = ref.name.removesuffix("-published")
        found = self.said.get(table)
        return {"data": {"published.json": json.dumps(found)}} if found else None

    async def merge(self, ref: Ref, patch: Body) -> Body:
        assert (ref.kind, ref.name) == ("StreamJob", "land")
        self.patches.append(patch)
        return patch


def stalled(restore: str = PATH) -> dict[str, Any]:
    return {"ok": False, "reason": "CommitStalled", "restore": restore}


def snapshot(api: Answers, **spec: Any) -> Snapshot:
    found = Snapshot(api, KINDS, "n")  # type: ignore[arg-type]
    outputs = [{"table": "a"}, {"topic": "t"}, {"table": "b"}]
    found.put(
        {
            "apiVersion": API_VERSION,
            "kind": "StreamJob",
            "metadata": {"name": "land"},
            "spec": {"outputs": outputs, **spec},
        }
    )
    return found


async def test_a_stalled_job_starts_again_from_what_its_tables_have() -> None:
    api = Answers({"a": stalled(), "b": stalled()})
    assert await repair(snapshot(api), JOB) == PATH
    assert api.patches == [{"spec": {"restoreFrom": PATH}}]


async def test_the_same_place_once_more_is_another_wish() -> None:
    api = Answers({"a": stalled(), "b": stalled()})
    assert await repair(snapshot(api, restoreFrom=PATH), JOB) == PATH + "/"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({}, "nothing to repair"),
        ({"a": {"ok": True, "reason": "Published"}}, "nothing to repair"),
        ({"a": stalled(""), "b": stalled("")}, "spec.restoreFrom"),
        ({"a": stalled(), "b": {"ok": True, "reason": "Published"}}, "spec.restoreFrom"),
    ],
)
async def test_what_cannot_be_repaired_is_left_alone(
    said: dict[str, dict[str, Any]], problem: str
) -> None:
    api = Answers(said)
    with pytest.raises(ValueError, match=problem):
        await repair(snapshot(api), JOB)
    assert not api.patches


async def test_only_jobs_are_repaired() -> None:
    with pytest.raises(ValueError, match="streamjob/NAME"):
        await repair(snapshot(Answers({})), Key("TradeFeed", "n", "land"))
