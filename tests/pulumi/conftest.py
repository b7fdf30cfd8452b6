import pytest

from tests.pulumi.engine import Declared, deployed


@pytest.fixture(scope="module")
def staging() -> Declared:
    return deployed("staging")
