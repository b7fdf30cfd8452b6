"""Everything `environments/local` declares is accepted once what it names is there."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from tapehouse_operator.errors import NotReady, SpecError
from tapehouse_operator.kinds import KINDS
from tapehouse_operator.kinds.contract import World

from tests.operator.kinds.worlds import neighbours, world

ENVIRONMENTS = Path(__file__).resolve().parents[3] / "environments"


def documents(folder: Path) -> Iterator[dict[str, Any]]:
    """What kustomize would read."""
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for name in listed.get("resources", ()):
        path = (folder / name).resolve()
        if path.is_dir():
            yield from documents(path)
        else:
            yield from (d for d in yaml.safe_load_all(path.read_text()) if d)


def accept(bodies: list[Mapping[str, Any]], where: World) -> dict[str, str]:
    """Accept what can be, again and again; what is left says why not."""
    refused: dict[str, str] = {}
    left = list(bodies)
    objects = dict(where.objects)
    while left:
        refused, waiting = {}, []
        for body in left:
            try:
                objects |= neighbours([body], world(objects=objects, settings=where.settings))
            except (SpecError, NotReady) as error:
                refused[f"{body['kind']} {body['metadata']['name']}"] = str(error)
                waiting.append(body)
        if len(waiting) == len(left):
            break
        left = waiting
    return refused


def test_all_of_local_is_accepted() -> None:
    found = list(documents(ENVIRONMENTS / "local"))
    (settings,) = [d["data"] for d in found if d["metadata"]["name"] == "tapehouse-platform"]
    ours = [d for d in found if d["apiVersion"] == "tapehouse.dev/v1alpha1"]

    assert {d["kind"] for d in ours} >= {"TradeFeed", "StreamJob", "LakehouseTable"}
    assert accept(ours, world(settings=settings)) == {}


EXAMPLES = sorted((ENVIRONMENTS.parent / "crds" / "examples").glob("*.yaml"))


def test_every_example_is_accepted_beside_the_shipped_environment() -> None:
    """All of them, as `kubectl apply -f crds/examples` does; none takes a name that is in use."""
    found = [*documents(ENVIRONMENTS / "local")]
    (settings,) = [d["data"] for d in found if d["metadata"]["name"] == "tapehouse-platform"]
    ours = [d for d in found if d["apiVersion"] == "tapehouse.dev/v1alpha1"]
    examples = [yaml.safe_load(path.read_text()) for path in EXAMPLES]

    assert {body["kind"] for body in examples} == {kind.model.__name__ for kind in KINDS}
    bodies = [*ours, *examples]
    names = [(body["kind"], body["metadata"]["name"]) for body in bodies]
    assert len(set(names)) == len(names)
    assert accept(bodies, world(settings=settings)) == {}
