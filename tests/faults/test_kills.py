"""SIGKILL of anything, at a seeded moment: the books are exact afterwards.

`pytest -m e2e tests/faults -k 'broker and 7'` replays one case; the seed is in its name.
"""

from random import Random

import pytest

from tests.faults import processes
from tests.faults.ledger import Ledger
from tests.faults.moments import strike

pytestmark = pytest.mark.e2e

SEEDS = range(10)
MORE = 300
"""Rows that must come after the fault: two seconds of the feed."""


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("component", sorted(processes.PATTERNS))
def test_one_component_is_killed(ledger: Ledger, component: str, seed: int) -> None:
    home = ledger.platform.home
    processes.await_running(home, component)
    moment = strike(ledger.platform, ledger.name, Random(f"{component} {seed}"))
    assert processes.kill(home, component) >= 1, f"no {component} ran ({moment})"
    ledger.grows(MORE)
    ledger.settles()


@pytest.mark.parametrize("seed", SEEDS)
def test_two_components_are_killed_at_once(ledger: Ledger, seed: int) -> None:
    random = Random(f"two {seed}")
    pair = random.sample(sorted(processes.PATTERNS), 2)
    home = ledger.platform.home
    for component in pair:
        processes.await_running(home, component)
    moment = strike(ledger.platform, ledger.name, random)
    for component in pair:
        assert processes.kill(home, component) >= 1, f"no {component} ran ({moment})"
    ledger.grows(MORE)
    ledger.settles()


@pytest.mark.parametrize("seed", range(3))
def test_the_machine_reboots(ledger: Ledger, seed: int) -> None:
    platform = ledger.platform
    strike(platform, ledger.name, Random(f"reboot {seed}"))
    processes.kill_everything(platform.home)
    platform.up()
    ledger.grows(MORE)
    ledger.settles()
