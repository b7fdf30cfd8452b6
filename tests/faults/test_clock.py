"""The clocks of the feed, its job and the publisher jump: nothing is lost, nothing comes twice.

The processes are restarted with a clock that the test sets; the operator is set to leave their
environment be (`driftPolicy: Ignore`). Control plane and broker keep the right time, as other
machines would.

Iceberg takes no commit that is more than a minute older than the one before: after a greater step
back tables stand still until the clock has caught up.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.ledger import Ledger
from tests.local.platform import Platform
from tests.support.jumpingclock import JumpingClock

pytestmark = pytest.mark.e2e

SMALL = (50, 0, -50, 0)
"""Seconds off the right time, one after the other."""
GREAT = -3_600


def patched(platform: Platform, kind: str, name: str, patch: Any) -> None:
    how = "json" if isinstance(patch, list) else "merge"
    platform.kubectl("patch", kind, name, "--type", how, "-p", json.dumps(patch))


def give(platform: Platform, kind: str, name: str, path: str, variables: dict[str, str]) -> None:
    """Start the containers of a workload again with more variables."""
    pod: Any = platform.get(kind, name)
    for part in path.split("/"):
        pod = pod[part]
    changes = []
    for index, container in enumerate(pod["containers"]):
        at = f"/{path}/containers/{index}/env"
        if "env" not in container:
            changes.append({"op": "add", "path": at, "value": []})
        for variable, value in variables.items():
            entry = {"name": variable, "value": value}
            changes.append({"op": "add", "path": f"{at}/-", "value": entry})
    patched(platform, kind, name, changes)


@pytest.fixture
def clock(ledger: Ledger, tmp_path: Path) -> Iterator[JumpingClock]:
    """Of the whole path, from the exchange to readers; right again at the end."""
    platform, name, clock = ledger.platform, ledger.name, JumpingClock(tmp_path)
    for kind in ("tradefeed", "streamjob"):
        patched(platform, kind, name, {"spec": {"driftPolicy": "Ignore"}})
        platform.wait(kind, name)
    give(platform, "deployment", f"{name}-feed", "spec/template/spec", clock.environment)
    give(platform, "flinkdeployment", name, "spec/podTemplate/spec", clock.environment)
    give(platform, "deployment", "publisher", "spec/template/spec", clock.environment)
    ledger.grows(300)
    yield clock
    clock.jump(0)
    for kind in ("tradefeed", "streamjob"):
        patched(platform, kind, name, {"spec": {"driftPolicy": None}})
    platform.kubectl("rollout", "undo", "deployment", "publisher")
    for kind in ("tradefeed", "streamjob"):
        platform.wait(kind, name)


def test_small_steps_stop_nothing(ledger: Ledger, clock: JumpingClock) -> None:
    for seconds in SMALL:
        clock.jump(seconds)
        time.sleep(3)
        ledger.grows(300)
    balances(ledger)


def test_a_great_step_back_stops_tables_until_the_clock_is_right(
    ledger: Ledger, clock: JumpingClock
) -> None:
    clock.jump(GREAT)
    time.sleep(20)
    clock.jump(0)
    ledger.grows(300)
    balances(ledger)


def balances(ledger: Ledger) -> None:
    ledger.settles()
    said = ledger.platform.condition("tradefeed", ledger.name, "GapOpen")
    assert said.get("status") != "True", said
