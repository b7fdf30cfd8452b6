"""A broker that finds the end of its log torn after a crash."""

from pathlib import Path
from random import Random

import pytest

from tests.faults import processes
from tests.faults.ledger import Ledger
from tests.faults.moments import strike
from tests.local.platform import eventually

pytestmark = pytest.mark.e2e


def newest_segment(home: Path, topic: str, partition: int) -> Path:
    found = sorted(home.glob(f"data/kafka/**/{topic}-{partition}/*.log"))
    assert found, f"no log of {topic}-{partition}"
    return found[-1]


@pytest.mark.parametrize("seed", range(3))
def test_the_broker_starts_on_a_torn_log(ledger: Ledger, seed: int) -> None:
    home = ledger.platform.home
    random = Random(f"torn {seed}")
    processes.await_running(home, "broker")
    strike(ledger.platform, ledger.name, random)
    segment = newest_segment(home, f"raw.{ledger.name}", seed % 2)
    assert processes.kill(home, "broker") == 1
    with segment.open("ab") as log:  # a batch of which only the beginning reached the disk
        log.write(random.randbytes(61))
    eventually(lambda: processes.find(home, "broker"), 60)
    ledger.grows(300)
    ledger.settles()
