"""A commit that took place although the catalog said that it failed, and the other way round."""

import pytest

from tests.faults.catalogproxy import CatalogProxy, Fault
from tests.faults.ledger import Ledger
from tests.local.platform import eventually

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("times", [1, 2, 4])
@pytest.mark.parametrize("fault", ["500 after", "500 before", "hang up after"])
def test_a_commit_whose_answer_lies(
    ledger: Ledger, catalog_proxy: CatalogProxy, fault: Fault, times: int
) -> None:
    struck = catalog_proxy.struck[fault]
    catalog_proxy.fail(fault, times)
    eventually(lambda: catalog_proxy.struck[fault] >= struck + times, 180)
    ledger.grows(300)
    ledger.settles()
