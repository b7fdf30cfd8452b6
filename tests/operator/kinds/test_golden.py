"""Whole files in, whole files out: `make golden` rewrites them, the review reads the diff.

A case is a folder `tests/golden/<kind>/<case>` with `resource.yaml`, perhaps `world.yaml` and
`applied.yaml`, and what must come of them: `children.yaml`, `status.yaml` (with `applied.yaml`
only), or `refused.yaml` alone.
"""

import os
from pathlib import Path

import pytest
from tapehouse_operator.errors import NotReady, SpecError
from tapehouse_operator.names import LABEL_REVISION

from tests.operator.kinds.worlds import (
    children_yaml,
    kind_of,
    read_applied,
    read_world,
    refusal_yaml,
    resource,
    revision,
    status_yaml,
)

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
GIVEN = {"resource.yaml", "world.yaml", "applied.yaml"}
CASES = sorted(path.parent for path in GOLDEN.glob("*/*/resource.yaml"))


def outcome(case: Path) -> dict[str, str]:
    world_file, applied_file = case / "world.yaml", case / "applied.yaml"
    where = read_world(world_file.read_text() if world_file.exists() else "")
    try:
        found = resource((case / "resource.yaml").read_text())
        kind = kind_of(found.kind)
        found = kind.resolve(found, where)
        plan = kind.validate(found, where)
    except (SpecError, NotReady) as error:
        return {"refused.yaml": refusal_yaml(error)}
    number = 1 + max(
        (int(c.labels.get(LABEL_REVISION, 0)) for c in where.children.values()), default=0
    )
    output = kind.compile(plan, revision(found, number))
    files = {"children.yaml": children_yaml(output.children, output.tables)}
    if check := kind.preflight(plan):
        files["check.yaml"] = children_yaml((*check.needs, check.child), ())
    if applied_file.exists():
        verdict = kind.judge(plan, read_applied(applied_file.read_text(), number))
        files["status.yaml"] = status_yaml(verdict)
    return files


@pytest.mark.parametrize("case", CASES, ids=[f"{c.parent.name}/{c.name}" for c in CASES])
def test_the_outcome_is_as_reviewed(case: Path) -> None:
    made = outcome(case)
    if os.environ.get("GOLDEN_REWRITE") == "1":
        rewrite(case, made)
    expected = {p.name: p.read_text() for p in case.iterdir() if p.name not in GIVEN}

    assert made == expected


def test_there_are_cases_for_every_kind_that_has_children() -> None:
    assert {c.parent.name for c in CASES} >= {
        "tradefeed",
        "streamjob",
        "lakehousetable",
        "qualitysuite",
        "dashboard",
    }


def rewrite(case: Path, made: dict[str, str]) -> None:
    for path in case.iterdir():
        if path.name not in GIVEN | made.keys():
            path.unlink()
    for name, text in made.items():
        (case / name).write_text(text)
