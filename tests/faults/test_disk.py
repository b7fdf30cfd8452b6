"""The disk of the whole platform is full for a while: it all comes back, and the books balance."""

import time

import pytest

from tests.faults.disk import full
from tests.faults.ledger import Ledger
from tests.local.platform import eventually

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("seconds", [5, 40])
def test_the_disk_is_full(ledger: Ledger, seconds: int) -> None:
    with full(ledger.platform.home.parent):
        time.sleep(seconds)
    ledger.grows(300)
    ledger.settles()
    # No component is left behind either: its exit code says whether all is well.
    eventually(lambda: ledger.platform.tapehouse("health"), 120, every=2)
