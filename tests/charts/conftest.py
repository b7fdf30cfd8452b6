from pathlib import Path

import pytest

from tests.charts import helm


@pytest.fixture(scope="session")
def program() -> Path:
    return helm.helm()


@pytest.fixture(scope="session")
def rendered(program: Path) -> list[helm.Object]:
    """The chart with the values it is shipped with."""
    return helm.render(program, {})
